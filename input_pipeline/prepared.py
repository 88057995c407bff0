"""A prepared store as a source: `folder:STORE`, `folder:STORE@split=NAME`, `@FIELD=VALUE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from input_pipeline import store
from input_pipeline.folder import matches, split_location
from input_pipeline.prepare import QUARANTINE, SPLITS


def open_prepared(location: str) -> tuple[Path, list[dict[str, Any]]] | None:
    """The store at `DIR[@FIELD=VALUE]` and the lines of its index that are asked for, in order.

    Of a video set, `@split=NAME` must say which of its splits: the lines have that split's
    captions. Prints how many of a split's videos the store lacks. None where DIR is no store.
    Raises ValueError for a split or a field that isn't there, and what `store.read_index` does.
    """
    directory, field, value = split_location(location)
    if not (directory / store.SUMMARY).is_file():
        return None
    index = store.read_index(directory)
    if (directory / SPLITS).is_dir():
        index = _split(directory, index, field, value)
    elif field is not None:
        index = [
            line
            for line in index
            if matches(line.get("fields", {}), field, value, f"{directory}: {line['id']}")
        ]
    if not index:
        raise ValueError(f"folder:{location}: nothing is kept of it, wanted 1 or more items")
    return directory, index


def split_names(directory: Path) -> list[str]:
    """The splits of a prepared video set."""
    return sorted(path.stem for path in (directory / SPLITS).glob("*.jsonl"))


def coverage(directory: Path, name: str, index: list[dict[str, Any]]) -> str:
    """How many videos of a split the store has: "hgr-test: 1,380 of 1,500 videos (92.0%)"."""
    ids = [line["id"] for line in store.read_lines(directory / SPLITS / f"{name}.jsonl")]
    there = len({line["id"] for line in index}.intersection(ids))
    return f"{name}: {there:,} of {len(ids):,} videos ({there / len(ids):.1%})"


def _split(
    directory: Path, index: list[dict[str, Any]], field: str | None, value: str
) -> list[dict[str, Any]]:
    names = split_names(directory)
    if field != "split" or value not in names:
        raise ValueError(
            f"{directory}: found {'no split' if field is None else f'{field}={value}'}, wanted one "
            f"of its splits: folder:{directory}@split=NAME with NAME {', '.join(names)}"
        )
    there = {line["id"]: line for line in index}
    split = store.read_lines(directory / SPLITS / f"{value}.jsonl")
    kept = [there[line["id"]] | line for line in split if line["id"] in there]
    if len(kept) < len(split):
        told = coverage(directory, value, index)
        print(f"{directory}: {told}, see {directory / QUARANTINE}", file=sys.stderr)
    return kept
