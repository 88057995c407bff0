"""Captions as a table with a header: captions.csv, captions.tsv, metadata.csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from animclip_jax.words import count
from input_pipeline.media import box
from input_pipeline.sources.captions_files.rows import (
    ALL_CAPTIONS,
    ALL_FILES,
    KINDS,
    Row,
    check_utf8,
    nearest,
    text_lines,
)

DELIMITERS = {".csv": ",", ".tsv": "\t"}
# Columns of which an empty cell says nothing.
_MAY_BE_EMPTY = (*KINDS, box.NAME, "sibling", "differs")


def read(file: BinaryIO, path: Path) -> Iterator[Row]:
    """A row for each line, or lines, of the table after its header.

    Raises ValueError for UTF-16, and where there is no header, a column comes twice in it, or it
    has no column for the file or none for the captions.
    """
    reader = csv.reader(
        text_lines(file, path), delimiter=DELIMITERS[path.suffix.lower()], strict=True
    )
    columns: list[str] | None = None
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            where = _where(path, first, reader.line_num)
            problem = f"{error}: wanted each quote inside of a quoted cell twice"
            if columns is None:
                raise ValueError(f"{path.parent / where}: {problem}") from None
            yield Row(where, {}, problem)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        where = _where(path, first, reader.line_num)
        if columns is None:
            columns = _header(cells, f"{path.parent / where}", reader.dialect.delimiter)
            continue
        try:
            yield Row(where, _values(columns, cells))
        except ValueError as error:
            yield Row(where, {}, str(error))
    if columns is None:
        raise ValueError(f"{path}: it is empty, wanted a header such as image,caption")


def _where(path: Path, first: int, last: int) -> str:
    where = f"{path.name} line {first}"
    return where if last <= first else f"{where} to line {last}"


def _header(cells: Sequence[str], where: str, delimiter: str) -> list[str]:
    """The names of the columns, those that this package knows in small letters."""
    known = (*ALL_FILES, *ALL_CAPTIONS, *_MAY_BE_EMPTY)
    columns = [cell.strip() for cell in cells]
    columns = [name.lower() if name.lower() in known else name for name in columns]
    found = ", ".join(map(repr, columns))
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise ValueError(f"{where}: the column {twice[0]!r} comes twice in {found:.200}")
    for what, names in (("the file", ALL_FILES), ("the captions", ALL_CAPTIONS)):
        if not set(names) & set(columns):
            raise ValueError(
                f"{where}: found no column for {what} in {found:.200}, separated by {delimiter!r}; "
                f"wanted a header with one of {', '.join(names)}{nearest(columns, names)}"
            )
    return columns


def _values(columns: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    check_utf8("".join(cells))
    if len(cells) != len(columns):
        raise ValueError(
            f"found {count(len(cells), 'cell')} in {', '.join(cells)!r:.120}, wanted "
            f"{len(columns)} ({', '.join(columns):.80}): a cell with a separator in it needs quotes"
        )
    values: dict[str, Any] = {}
    for name, cell in zip(columns, cells, strict=True):
        if cell.strip() or name not in _MAY_BE_EMPTY:
            values[name] = _list(name, cell) if name in ("captions", box.NAME) else cell
    return values


def _list(name: str, cell: str) -> Any:
    """A cell that may hold a list, as JSON."""
    if not cell.lstrip().startswith("["):
        return cell
    try:
        return json.loads(cell)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{name} {cell[:80]!r} begins as a list, but is no JSON ({error})"
        ) from None
