"""Which file of a folder has its captions, and how it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from input_pipeline.sources.captions_files import json_lines, tables, whole_json
from input_pipeline.sources.captions_files.rows import Row

# Read wherever it is; of the others a folder may have one.
OWN = "captions.jsonl"
NAMES = (
    *("captions.csv", "captions.tsv", "captions.json", "metadata.jsonl", "metadata.csv"),
    *("captions_*.json", "dataset_*.json"),
)
_READERS: dict[str, Callable[[BinaryIO, Path], Iterator[Row]]] = {
    ".jsonl": json_lines.read,
    ".csv": tables.read,
    ".tsv": tables.read,
    ".json": whole_json.read,
}


def find(place: Path) -> Path:
    """The captions file of a folder, or the file itself where `place` is one.

    Raises FileNotFoundError where a folder has none, ValueError where it has several, or where a
    file has a suffix of no format.
    """
    if place.is_file():
        if place.suffix.lower() not in _READERS:
            raise ValueError(
                f"{place}: found the suffix {place.suffix!r}, wanted captions in one of "
                f"{', '.join(_READERS)}"
            )
        return place
    if (place / OWN).is_file():
        return place / OWN
    found = sorted({path for name in NAMES for path in place.glob(name) if path.is_file()})
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(
            f"{place}: found {names}, wanted one file of captions; "
            f"name the one to read, such as folder:{found[0]}"
        )
    if not found:
        raise FileNotFoundError(_nothing(place))
    return found[0]


def read(file: BinaryIO, path: Path) -> Iterator[Row]:
    """The rows of a captions file that is open at its start; raises what its format's `read` does.

    A row that can't be read has a `problem`, and the next ones follow. A number that is not finite,
    which JSON can't hold, is None.
    """
    for row in _READERS[path.suffix.lower()](file, path):
        yield row._replace(values={name: _finite(value) for name, value in row.values.items()})


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nothing(place: Path) -> str:
    others = [path for path in place.iterdir() if path.suffix.lower() in _READERS]
    advice = ""
    if others:
        found = min(others)
        advice = f"; if {found.name} has the captions, name it: folder:{found}"
    return (
        f"{place / OWN}: no such file; a folder needs one, with a JSON object on each line: "
        '{"image" or "video": path inside the folder, "captions": [text, ...]}, or a line for '
        f'each "caption"; or one of {", ".join(NAMES)} (docs/data.md){advice}'
    )
