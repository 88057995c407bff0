"""One string names a source of captioned pictures or videos: `kind:location`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from etils import epath

from input_pipeline.columns import columns, ops
from input_pipeline.columns.columns import Row
from input_pipeline.examples import Examples
from input_pipeline.media import box, quarantine
from input_pipeline.sources import folder, prepared, shards, tfds, tfrecord, webdataset
from input_pipeline.store import records
from input_pipeline.store.videos import FramesWanted
from input_pipeline.tensorflow_on_cpu import tf

KINDS = (
    "folder:DIR, folder:DIR/CAPTIONS, folder:DIR@FIELD=VALUE, tfrecord:PATTERN, "
    "webdataset:PATTERN, tfds:NAME, tfds:NAME:SPLIT, drawn:SPLIT, drawn:SPLIT:COUNT; baked:DIR is "
    "for training only"
)


def open_source(
    source: str,
    cache_dir: str,
    wanted: FramesWanted = FramesWanted(),  # noqa: B008 (immutable)
) -> Examples:
    """Opens a source; what has to be prepared or checked once is kept in cache_dir ("~" is home).

    wanted: what is taken of a video. Of a folder's videos as much is kept; where a prepared store
    has less, a line says so.

    - `folder:DIR[@FIELD=VALUE]`: DIR/captions.jsonl, a JSON object a line: "image" or "video" (a
      path inside DIR), "captions", and a picture's "box"; @FIELD=VALUE keeps the lines whose FIELD
      is VALUE. DIR may have captions in another format (docs/data.md), and DIR/FILE names the file
      that has them. Pictures are read as they are; videos are decoded once, into cache_dir. DIR may
      also be a store that `animclip prepare` wrote, here or at gs://; of a video set, @split=NAME
      says which split.
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
                return _open_folder(source, location, cache_dir, wanted)
            case "tfrecord":
                return _open_tfrecord(source, shards.expand(location), cache_dir)
            case "webdataset":
                return _open_webdataset(source, shards.expand(location), cache_dir)
            case "tfds":
                return _open_tfrecord(source, tfds.files(location), cache_dir)
            case "drawn":
                return _open_drawn(source, location, cache_dir)
    raise ValueError(f"source {source!r}: no such kind of source, wanted one of {KINDS}")


def _open_folder(source: str, location: str, cache_dir: str, wanted: FramesWanted) -> Examples:
    if (found := prepared.open_prepared(location, cache_dir)) is not None:
        if lacks := prepared.lacks(found.directory, wanted):
            print(f"{source}: {lacks}", file=sys.stderr)
        return _open_store(source, *found, cache_dir)
    listing = folder.read_listing(location)
    if listing.is_video:
        place = epath.Path(folder.prepared_videos(listing, cache_dir, wanted))
        lines, missing = folder.usable(listing, records.read_index(place), place)
        # Its captions are those of captions.jsonl, which is read each time.
        made = prepared.columns_of(place, lines, None, cache_dir)
        return _open_store(source, place, made, missing, cache_dir)
    pictures, missing = folder.checked_pictures(listing, cache_dir)
    made = columns.held(lambda _: map(_row, pictures))
    name, directory = ops.texts(made.ids), str(listing.directory)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        file = name(tf.reshape(index, [1]))[0]
        return tf.io.read_file(tf.strings.join([directory, file], "/"))[None]

    listed = listing.cache(cache_dir) / quarantine.NAME
    examples = _examples(source, made, fetch, listed, missing)
    fields = [_fields(picture.item) for picture in pictures]
    # Where there are none, no memory is spent on them.
    known = fields if any(fields) else ()
    return dataclasses.replace(examples, fields=known, state=listing.state)


def _fields(item: folder.Item) -> dict[str, Any]:
    return {name: value for name, value in item.fields.items() if name != box.NAME}


def _row(picture: folder.Picture) -> Row:
    item, header = picture
    ends = item.fields.get(box.NAME, ())
    told = item.told if item.siblings else ()
    return Row(
        item.file, item.captions, header[:2], orientation=header.orientation, box=ends, told=told
    )


def _open_tfrecord(source: str, files: list[str], cache_dir: str) -> Examples:
    index = shards.indexed(source, files, tfrecord.read, cache_dir)
    made = index.columns
    return _examples(source, made, tfrecord.fetch(files, made), index.quarantine, made.missing)


def _open_webdataset(source: str, files: list[str], cache_dir: str) -> Examples:
    index = shards.indexed(source, files, webdataset.read, cache_dir)
    made = index.columns
    return _examples(source, made, webdataset.fetch(files, made), index.quarantine, made.missing)


def _open_store(
    source: str,
    directory: epath.Path,
    made: columns.Columns,
    missing: Mapping[str, str],
    cache_dir: str,
) -> Examples:
    offset, fetch_record = ops.rows(made.offsets), records.fetch_record(directory)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        return fetch_record(offset(index))

    listed = Path(cache_dir) / f"store-{records.digest(directory)}" / quarantine.NAME
    return _examples(source, made, fetch, listed, missing)


def _examples(
    source: str,
    made: columns.Columns,
    fetch: Callable[[tf.Tensor], tf.Tensor],
    listed: Path,
    missing: Mapping[str, str],
) -> Examples:
    return Examples(
        source,
        made.ids,
        made.captions,
        fetch,
        is_video=made.is_video,
        sizes=made.sizes,
        orientations=made.orientations,
        quarantine=listed,
        missing=missing,
        told=made.told,
        boxes=made.boxes,
        digest=made.digest,
    )


def _open_drawn(source: str, location: str, cache_dir: str) -> Examples:
    from input_pipeline.drawn import cache

    split, colon, count = location.partition(":")
    if colon and not (count.isdecimal() and int(count) > 0):
        raise ValueError(f"source {source!r}: count {count!r}, wanted a whole number above 0")
    directory = epath.Path(cache.prepared(split, int(count) if colon else None, cache_dir))
    made = prepared.columns_of(directory, records.each_item(directory), [None, ""], cache_dir)
    return _open_store(source, directory, made, {}, cache_dir)
