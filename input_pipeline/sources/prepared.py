"""A prepared store as a source: `folder:STORE`, `folder:STORE@split=NAME`, `@FIELD=VALUE`."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from etils import epath

from animclip_jax.files import is_remote
from animclip_jax.words import count
from input_pipeline.columns import columns
from input_pipeline.columns.columns import Columns, Row
from input_pipeline.examples import TOLD, Told
from input_pipeline.media import box, quarantine
from input_pipeline.sources.folder import matches, split_location
from input_pipeline.store import records
from input_pipeline.store.making import SPLITS
from input_pipeline.store.told import coverage
from input_pipeline.store.videos import FramesWanted

# Stores of as many items are kept as columns in the cache; a smaller index is read each time.
MANY = 50_000


class Prepared(NamedTuple):
    """What is asked for of a store.

    columns: of its items, in order. missing: what it lacks of them, with the reason.
    """

    directory: epath.Path
    columns: Columns
    missing: dict[str, str]


def open_prepared(location: str, cache_dir: str) -> Prepared | None:
    """The store at `DIR[@FIELD=VALUE]`; None where DIR is no store.

    Of a video set, `@split=NAME` must say which of its splits: the items have that split's
    captions. Prints how many items are missing.
    Raises ValueError for a split or a field that isn't there, and what `store.read_index` does.
    """
    directory, field, value = split_location(location)
    if not (directory / records.SUMMARY).is_file():
        return None
    listed = directory / quarantine.NAME
    bad = records.read_lines(listed, quarantine.FIELDS) if listed.is_file() else []
    split: list[dict[str, Any]] | None = None
    if (directory / SPLITS).is_dir():
        split = _split(directory, field, value)
        asked = {line["id"] for line in split}
        bad = [line for line in bad if line["file"] in asked]
    elif field is not None:
        # Of a line of captions.jsonl that can't be read, nobody knows: it counts as kept.
        bad = [
            line for line in bad if "fields" not in line or _is_kept(directory, line, field, value)
        ]

    def lines() -> Iterator[dict[str, Any]]:
        found = False
        for line in _lines(directory, split, field, value):
            found = True
            yield line
        if not found:
            raise ValueError(f"folder:{location}: no item of it is kept, wanted 1 or more")

    made = columns_of(directory, lines(), [field, value], cache_dir)
    missing = {line["file"]: line["reason"] for line in bad}
    if missing:
        told = coverage(len(made.ids) + len(missing), len(made.ids))
        print(f"folder:{location}: {told}, see {listed}", file=sys.stderr)
    return Prepared(directory, made, missing)


def lacks(directory: epath.Path, wanted: FramesWanted) -> str:
    """What a store of videos has less of than is wanted, and what to do; "" where nothing."""
    kept = records.read_summary(directory).get("frames", {})
    few = kept.get("num_frames", wanted.num_frames) < wanted.num_frames
    small = kept.get("short_side", wanted.image_size) < wanted.image_size
    does = ["some are repeated"] * few + ["they are enlarged"] * small
    if not does:
        return ""
    options = wanted.kept
    return (
        f"keeps {count(kept['num_frames'], 'frame')} of {kept['short_side']} pixels of a video, "
        f"and the model takes {wanted.num_frames} of {wanted.image_size}: {' and '.join(does)}. "
        f"To avoid that, prepare it with --num-frames={options.num_frames} "
        f"--short-side={options.short_side}"
    )


def columns_of(
    directory: epath.Path, lines: Iterable[dict[str, Any]], choice: list[Any] | None, cache_dir: str
) -> Columns:
    """The columns of lines of a store's index; those of many items are made once, in cache_dir.

    choice: which of its lines they are; None for lines that are made anew each time, whose columns
    stay in memory. Lines that need not be read are not.
    Raises what `records.check` and reading the lines raise.
    """
    summary = records.check(directory)

    def rows(_: dict[str, str]) -> Iterator[Row]:
        return (_row(directory, line) for line in lines)

    if choice is None or summary["num_items"] < MANY:
        return columns.held(rows)
    parts = [directory / records.INDEX, directory / records.RECORDS]
    parts += [one for one in [directory / SPLITS / f"{choice[-1]}.jsonl"] if one.is_file()]
    key = json.dumps([columns.VERSION, choice, *map(_stamp, parts)])
    name = f"columns-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return columns.kept(Path(cache_dir) / f"store-{records.digest(directory)}" / name, rows)


def _lines(
    directory: epath.Path, split: list[dict[str, Any]] | None, field: str | None, value: str
) -> Iterator[dict[str, Any]]:
    """The lines of the index that are asked for."""
    if split is not None:
        asked = {line["id"] for line in split}
        there = {line["id"]: line for line in records.each_item(directory) if line["id"] in asked}
        yield from (there[line["id"]] | line for line in split if line["id"] in there)
        return
    for line in records.each_item(directory):
        if field is None or _is_kept(directory, line, field, value):
            yield line


def _row(directory: epath.Path, line: dict[str, Any]) -> Row:
    """Raises ValueError where a line has something else as a box."""
    fields, is_video = line.get("fields", {}), line["num_frames"] > 1
    ends: list[float] = []
    # Earlier versions kept a video's own fields of these names, which mean nothing here.
    told = fields.get(TOLD) if isinstance(fields.get(TOLD), list) else []
    if (found := fields.get(box.NAME)) is not None and not is_video:
        try:
            ends = box.checked(found)
        except ValueError as error:
            where = f"{directory / records.INDEX}: {line['id']!r}"
            raise ValueError(f"{where}: {error}; {records.AGAIN}") from None
    return Row(
        line["id"],
        line["captions"],
        (line["height"], line["width"]),
        offset=line["offset"],
        box=ends,
        told=[Told(*one) for one in told],
        is_video=is_video,
    )


def _is_kept(directory: epath.Path, line: dict[str, Any], field: str, value: str) -> bool:
    where = f"{directory}: {line.get('id', line.get('file'))}"
    return matches(line.get("fields", {}), field, value, where)


def _split(directory: epath.Path, field: str | None, value: str) -> list[dict[str, Any]]:
    """The lines of a split: ids and their captions there."""
    names = sorted(path.stem for path in (directory / SPLITS).glob("*.jsonl"))
    if field != "split" or value not in names:
        raise ValueError(
            f"{directory}: found {'no split' if field is None else f'{field}={value}'}, wanted one "
            f"of its splits: folder:{directory}@split=NAME with NAME {', '.join(names)}"
        )
    path = directory / SPLITS / f"{value}.jsonl"
    split = records.read_lines(path, {"id": str, "captions": list})
    for line in split:
        if not all(isinstance(caption, str) for caption in line["captions"]):
            raise ValueError(
                f"{path}: captions of {line['id']!r} are {line['captions']!r:.80}, wanted texts; "
                f"{records.AGAIN}"
            )
    return split


def _stamp(path: epath.Path) -> list[int]:
    """Which state of a file it is: its bytes and its time."""
    if is_remote(path):
        state = path.stat()
        return [state.length, state.mtime]
    local = os.stat(path)
    return [local.st_size, local.st_mtime_ns]
