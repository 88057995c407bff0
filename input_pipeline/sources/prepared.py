"""A prepared store as a source: `folder:STORE`, `folder:STORE@split=NAME`, `@FIELD=VALUE`."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from etils import epath

from input_pipeline.media import quarantine
from input_pipeline.sources.folder import matches, split_location
from input_pipeline.store import records
from input_pipeline.store.making import SPLITS


class Prepared(NamedTuple):
    """What is asked for of a store.

    lines: of its index, in order. missing: what it lacks of that, with the reason.
    """

    directory: epath.Path
    lines: list[dict[str, Any]]
    missing: dict[str, str]


def open_prepared(location: str) -> Prepared | None:
    """The store at `DIR[@FIELD=VALUE]`.

    Of a video set, `@split=NAME` must say which of its splits: the lines have that split's
    captions. Prints how many items are missing. None where DIR is no store.
    Raises ValueError for a split or a field that isn't there, and what `store.read_index` does.
    """
    directory, field, value = split_location(location)
    if not (directory / records.SUMMARY).is_file():
        return None
    index = records.read_index(directory)
    listed = directory / quarantine.NAME
    bad = records.read_lines(listed, quarantine.FIELDS) if listed.is_file() else []
    if (directory / SPLITS).is_dir():
        index, bad = _split(directory, index, bad, field, value)
    elif field is not None:
        index = [line for line in index if _is_kept(directory, line, field, value)]
        # Of a line of captions.jsonl that can't be read, nobody knows: it counts as kept.
        bad = [
            line for line in bad if "fields" not in line or _is_kept(directory, line, field, value)
        ]
    if not index:
        raise ValueError(f"folder:{location}: no item of it is kept, wanted 1 or more")
    missing = {line["file"]: line["reason"] for line in bad}
    if missing:
        told = coverage(len(index) + len(missing), len(index))
        print(f"folder:{location}: {told}, see {listed}", file=sys.stderr)
    return Prepared(directory, index, missing)


def coverage(wanted: int, found: int) -> str:
    """How many items there are of how many: "1,380 of 1,500 (92.0%)"."""
    return f"{found:,} of {wanted:,} ({found / max(wanted, 1):.1%})"


def _is_kept(directory: epath.Path, line: dict[str, Any], field: str, value: str) -> bool:
    where = f"{directory}: {line.get('id', line.get('file'))}"
    return matches(line.get("fields", {}), field, value, where)


def _split(
    directory: epath.Path,
    index: list[dict[str, Any]],
    bad: list[dict[str, Any]],
    field: str | None,
    value: str,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    names = sorted(path.stem for path in (directory / SPLITS).glob("*.jsonl"))
    if field != "split" or value not in names:
        raise ValueError(
            f"{directory}: found {'no split' if field is None else f'{field}={value}'}, wanted one "
            f"of its splits: folder:{directory}@split=NAME with NAME {', '.join(names)}"
        )
    there = {line["id"]: line for line in index}
    split = records.read_lines(directory / SPLITS / f"{value}.jsonl", {"id": str, "captions": list})
    asked = {line["id"] for line in split}
    kept = [there[line["id"]] | line for line in split if line["id"] in there]
    return kept, [line for line in bad if line["file"] in asked]
