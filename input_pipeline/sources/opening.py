"""One string names a source of captioned pictures or videos: `kind:location`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from etils import epath

from input_pipeline.examples import TOLD, Examples, Told
from input_pipeline.media import box, quarantine
from input_pipeline.sources import folder, prepared, shards, tfds, tfrecord, webdataset
from input_pipeline.store import records
from input_pipeline.tensorflow_on_cpu import tf

KINDS = (
    "folder:DIR, folder:DIR@FIELD=VALUE, tfrecord:PATTERN, webdataset:PATTERN, tfds:NAME, "
    "tfds:NAME:SPLIT, drawn:SPLIT, drawn:SPLIT:COUNT; baked:DIR is for training only"
)


def open_source(source: str, cache_dir: str) -> Examples:
    """Opens a source; what has to be prepared or checked once is kept in cache_dir ("~" is home).

    - `folder:DIR[@FIELD=VALUE]`: DIR/captions.jsonl, a JSON object a line: "image" or "video" (a
      path inside DIR), "captions", and a picture's "box"; @FIELD=VALUE keeps the lines whose FIELD
      is VALUE. Pictures are read as they are; videos are decoded once, into cache_dir. DIR may also
      be a store that `animclip prepare` wrote, here or at gs://; of a video set, @split=NAME says
      which split.
    - `tfrecord:PATTERN`, `webdataset:PATTERN`: files as img2dataset writes them, named by `*`, `?`
      and braces; an index of them is made once, in cache_dir.
    - `tfds:NAME[:SPLIT]`: a prepared TensorFlow Datasets set of captioned pictures.
    - `drawn:SPLIT[:COUNT]`: the drawn world, drawn once, into cache_dir.

    Raises ValueError or FileNotFoundError saying what is wrong where.
    """
    if "://" in cache_dir:
        raise ValueError(f"cache_dir {cache_dir}: wanted a folder on a disk")
    cache_dir = os.path.expanduser(cache_dir)
    kind, colon, location = source.partition(":")
    if colon and location:
        match kind:
            case "folder":
                return _open_folder(source, location, cache_dir)
            case "tfrecord":
                return _open_tfrecord(source, shards.expand(location), cache_dir)
            case "webdataset":
                return _open_webdataset(source, shards.expand(location), cache_dir)
            case "tfds":
                return _open_tfrecord(source, tfds.files(location), cache_dir)
            case "drawn":
                return _open_drawn(source, location, cache_dir)
    raise ValueError(f"source {source!r}: no such kind of source, wanted one of {KINDS}")


def _open_folder(source: str, location: str, cache_dir: str) -> Examples:
    if (found := prepared.open_prepared(location)) is not None:
        return _open_store(source, *found, cache_dir)
    listing = folder.read_listing(location)
    if listing.is_video:
        directory = folder.prepared_videos(listing, cache_dir)
        index, missing = folder.usable(listing, records.read_index(directory), cache_dir)
        return _open_store(source, epath.Path(directory), index, missing, cache_dir)
    pictures, missing = folder.checked_pictures(listing, cache_dir)
    paths = tf.constant([str(listing.directory / picture.item.file) for picture in pictures])

    def fetch(index: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(paths[index])[None]

    return Examples(
        source,
        [picture.item.file for picture in pictures],
        [picture.item.captions for picture in pictures],
        fetch,
        is_video=False,
        sizes=np.array([picture.header[:2] for picture in pictures], np.int32),
        orientations=np.array([picture.header.orientation for picture in pictures], np.uint8),
        quarantine=listing.cache(cache_dir) / quarantine.NAME,
        missing=missing,
        told=[picture.item.told for picture in pictures],
        boxes=box.table(picture.item.fields.get(box.NAME) for picture in pictures),
    )


def _open_tfrecord(source: str, files: list[str], cache_dir: str) -> Examples:
    index = shards.indexed(source, files, tfrecord.read, cache_dir)
    return _open_shards(source, index, tfrecord.fetch(files, index.entries))


def _open_webdataset(source: str, files: list[str], cache_dir: str) -> Examples:
    index = shards.indexed(source, files, webdataset.read, cache_dir)
    return _open_shards(source, index, webdataset.fetch(files, index.entries))


def _open_shards(
    source: str, index: shards.Index, fetch: Callable[[tf.Tensor], tf.Tensor]
) -> Examples:
    entries = index.entries
    return Examples(
        source,
        [entry.id for entry in entries],
        [entry.captions for entry in entries],
        fetch,
        is_video=False,
        sizes=np.array([(entry.height, entry.width) for entry in entries], np.int32),
        orientations=np.array([entry.orientation for entry in entries], np.uint8),
        quarantine=index.quarantine,
        missing=index.missing,
        boxes=box.table(entry.box for entry in entries),
    )


def _open_store(
    source: str,
    directory: epath.Path,
    index: list[dict],
    missing: Mapping[str, str],
    cache_dir: str,
) -> Examples:
    offsets = tf.constant([line["offset"] for line in index], tf.int64)
    fetch_record = records.fetch_record(directory)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        return fetch_record(offsets[index])

    return Examples(
        source,
        [line["id"] for line in index],
        [line["captions"] for line in index],
        fetch,
        is_video=any(line["num_frames"] > 1 for line in index),
        sizes=np.array([(line["height"], line["width"]) for line in index], np.int32),
        orientations=np.ones(len(index), np.uint8),  # A store's pictures stand upright.
        quarantine=Path(cache_dir) / f"store-{records.digest(directory)}" / quarantine.NAME,
        missing=missing,
        told=_told(index),
        boxes=box.table(_box(directory, line) for line in index),
    )


def _told(index: list[dict]) -> list[list[Told]]:
    """What the lines of a store's index say of their captions, if any does."""
    found = [line.get("fields", {}).get(TOLD, []) for line in index]
    if not any(found):
        return []
    return [
        [Told(*one) for one in some] if some else [Told()] * len(line["captions"])
        for line, some in zip(index, found, strict=True)
    ]


def _box(directory: epath.Path, line: dict) -> list[float] | None:
    """Raises ValueError where a line of a store's index has something else as a box."""
    found = line.get("fields", {}).get(box.NAME)
    try:
        return None if found is None else box.checked(found)
    except ValueError as error:
        where = f"{directory / records.INDEX}: {line['id']!r}"
        raise ValueError(f"{where}: {error}; {records.AGAIN}") from None


def _open_drawn(source: str, location: str, cache_dir: str) -> Examples:
    from input_pipeline.drawn import cache

    split, colon, count = location.partition(":")
    if colon and not (count.isdecimal() and int(count) > 0):
        raise ValueError(f"source {source!r}: count {count!r}, wanted a whole number above 0")
    directory = epath.Path(cache.prepared(split, int(count) if colon else None, cache_dir))
    return _open_store(source, directory, records.read_index(directory), {}, cache_dir)
