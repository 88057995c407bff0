"""A row of a captions file in any format: where it stands, and which of its values is which."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from animclip_jax import files
from input_pipeline.media.video import SUFFIXES

# Names of the file that say what it is, then names that leave it to its suffix, first come first.
KINDS = ("image", "video")
FILES = ("file_name", "filename", "filepath", "file", "path")
# Names of the captions: the first group with a name that is there; a text, or a list of texts.
CAPTIONS = (("captions", "caption"), ("text",), ("title",))
ALL_FILES = (*KINDS, *FILES)
ALL_CAPTIONS = tuple(name for group in CAPTIONS for name in group)
# GIF is a picture where nothing says otherwise: training reads its first frame.
_VIDEOS = SUFFIXES - {".gif"}


class Row(NamedTuple):
    """One row, as an object of captions.jsonl has it.

    where: the captions file and the row, such as "captions.csv line 3". problem: why it can't be
    read, if it can't.
    """

    where: str
    values: dict[str, Any]
    problem: str = ""


class Named(NamedTuple):
    """A row's values by what they mean.

    kind: "image" or "video". captions: whatever stands there, None where nothing does. fields: all
    other values.
    """

    kind: str
    file: str
    captions: list[Any] | None
    fields: dict[str, Any]


def named(values: dict[str, Any]) -> Named:
    """Raises ValueError where no value, or more than one, is the file."""
    kinds = [name for name in KINDS if isinstance(values.get(name), str)]
    names = kinds or [name for name in FILES if isinstance(values.get(name), str)][:1]
    if len(names) != 1:
        raise ValueError(
            'wanted one of "image" and "video", the path of a file, or one of '
            f"{', '.join(FILES)}{'' if kinds else nearest(values, ALL_FILES)}"
        )
    file = values[names[0]]
    kind = names[0] if kinds else _kind(file)
    said = next((group for group in CAPTIONS if any(name in values for name in group)), ())
    captions = [
        text
        for name in said
        if name in values
        for text in (values[name] if isinstance(values[name], list) else [values[name]])
    ]
    fields = {name: value for name, value in values.items() if name not in (names[0], *said)}
    return Named(kind, file, captions if said else None, fields)


def nearest(found: Iterable[str], wanted: Iterable[str]) -> str:
    """A hint at the name that was probably meant, "" without one."""
    known = list(wanted)
    for name in found:
        if name in ALL_FILES or name in ALL_CAPTIONS:
            continue
        if close := difflib.get_close_matches(name.strip().lower(), known, 1):
            return f"; did you mean {close[0]!r} by {name!r}?"
    return ""


def text_lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """The lines of a file in UTF-8, one at a time; bytes that are no UTF-8 as surrogates.

    Raises ValueError for UTF-16.
    """
    for number, line in enumerate(file):
        if number == 0:
            yield files.as_text(line, path, "surrogateescape")
        else:
            yield line.decode("utf-8", "surrogateescape")


def check_utf8(text: str) -> None:
    """Raises ValueError for what `text_lines` made of bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text[:80].encode(errors="replace").decode()
        raise ValueError(f"not UTF-8: {shown!r}; save the file as UTF-8") from None


def _kind(file: str) -> str:
    return "video" if PurePosixPath(file).suffix.lower() in _VIDEOS else "image"
