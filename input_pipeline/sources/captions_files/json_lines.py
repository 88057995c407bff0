"""Captions as JSON Lines: captions.jsonl, and metadata.jsonl as Hugging Face's loaders read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from input_pipeline.media.once import each_once
from input_pipeline.sources.captions_files.rows import Row, check_utf8, text_lines


def read(file: BinaryIO, path: Path) -> Iterator[Row]:
    """A row for each line that is not empty. Raises ValueError for UTF-16."""
    for number, line in enumerate(text_lines(file, path), 1):
        if not line.strip():
            continue
        where = f"{path.name} line {number}"
        try:
            yield Row(where, _object(line.rstrip("\n")))
        except ValueError as error:
            yield Row(where, {}, str(error))


def _object(line: str) -> dict[str, Any]:
    check_utf8(line)
    try:
        values = json.loads(line, object_pairs_hook=each_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): {line[:80]!r}") from error
    if not isinstance(values, dict):
        raise ValueError(f"found {line[:80]!r}, wanted a JSON object")
    return values
