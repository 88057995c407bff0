"""One string names a source of captioned pictures or videos: `kind:location`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from input_pipeline import folder, prepared, store

KINDS = "folder:DIR, folder:DIR@FIELD=VALUE, drawn:SPLIT, drawn:SPLIT:COUNT"


@dataclass(frozen=True)
class Examples:
    """An opened source of N examples.

    name: the source as it was written. ids: N names, each once. captions: one or more for each.
    fetch: from an index (int64 scalar) to its encoded frames, tf.string [F], in TensorFlow ops
    alone, so that it runs inside Dataset.map; F is 1 where is_video is False.
    """

    name: str
    ids: list[str]
    captions: list[list[str]]
    fetch: Callable[[tf.Tensor], tf.Tensor]
    is_video: bool


def open_source(source: str, cache_dir: str) -> Examples:
    """Opens a source; what has to be prepared or checked once is kept in cache_dir ("~" is home).

    - `folder:DIR[@FIELD=VALUE]`: DIR/captions.jsonl, a JSON object a line: "image" or "video" (a
      path inside DIR) and "captions"; @FIELD=VALUE keeps the lines whose FIELD is VALUE. Pictures
      are read as they are; videos are decoded once, into cache_dir. DIR may also be a store that
      `animclip prepare` wrote; of a video set, @split=NAME says which of its splits.
    - `drawn:SPLIT[:COUNT]`: the embedded world, drawn once, into cache_dir.

    Raises ValueError or FileNotFoundError saying what is wrong where.
    """
    cache_dir = os.path.expanduser(cache_dir)
    kind, colon, location = source.partition(":")
    if not colon or not location or kind not in ("folder", "drawn"):
        raise ValueError(f"source {source!r}: no such kind of source, wanted one of {KINDS}")
    if kind == "drawn":
        return _open_drawn(source, location, cache_dir)
    if (found := prepared.open_prepared(location)) is not None:
        return _open_store(
            source, *found, is_video=any(line["num_frames"] > 1 for line in found[1])
        )
    listing = folder.read_listing(location)
    if listing.is_video:
        directory = folder.prepared_videos(listing, cache_dir)
        index = folder.usable(listing, store.read_index(directory), cache_dir)
        return _open_store(source, directory, index, is_video=True)
    return _open_pictures(source, listing, folder.checked_pictures(listing, cache_dir))


def _open_pictures(source: str, listing: folder.Listing, items: list[folder.Item]) -> Examples:
    paths = tf.constant([str(listing.directory / item.file) for item in items])

    def fetch(index: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(paths[index])[None]

    ids, captions = [item.file for item in items], [item.captions for item in items]
    return Examples(source, ids, captions, fetch, is_video=False)


def _open_store(source: str, directory: Path, index: list[dict], is_video: bool) -> Examples:
    offsets = tf.constant([line["offset"] for line in index], tf.int64)
    fetch_record = store.fetch_record(directory)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        return fetch_record(offsets[index])

    ids, captions = [line["id"] for line in index], [line["captions"] for line in index]
    return Examples(source, ids, captions, fetch, is_video)


def _open_drawn(source: str, location: str, cache_dir: str) -> Examples:
    from input_pipeline.drawn import cache

    split, colon, count = location.partition(":")
    if colon and not (count.isdecimal() and int(count) > 0):
        raise ValueError(f"source {source!r}: count {count!r}, wanted a whole number above 0")
    directory = Path(cache.prepared(split, int(count) if colon else None, cache_dir))
    index = store.read_index(directory)
    is_video = any(line["num_frames"] > 1 for line in index)
    return _open_store(source, directory, index, is_video)
