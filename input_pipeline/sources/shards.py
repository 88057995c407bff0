"""Captioned pictures in the files of a pattern: found once, where each stands, then read at random.

What the files hold is kept in columns, in the cache, until a file changes (`columns/columns.py`).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from animclip_jax.words import count
from input_pipeline.columns.columns import Columns, Row, kept
from input_pipeline.media import picture, quarantine
from input_pipeline.sources.names import Names
from input_pipeline.tensorflow_on_cpu import tf

VERSION = 6
COLUMNS = "columns"


class Index(NamedTuple):
    """The pictures of a pattern's files, in order.

    columns: an id is a picture's key in its file, with the file's name before it where another file
    has that key too. That name begins within the folder of all files, which may move; `files` are
    numbers among the pattern's. quarantine: the file that lists what can't be used.
    """

    columns: Columns
    quarantine: Path


class Found(NamedTuple):
    """What stands in a file, as a format's own reader tells it."""

    id: str
    captions: list[str]
    encoded: bytes
    offset: int
    length: int
    box: list[float] = []


def expand(pattern: str) -> list[str]:
    """The files that a pattern names, sorted: `*`, `?`, `[abc]`, `{a,b}`, `{0000..0012}`, commas.

    A file on a disk that has the name as it is written goes before what the pattern stands for.

    Raises FileNotFoundError where a part of the pattern matches none.
    """
    pattern = os.path.expanduser(pattern)
    if os.path.isfile(pattern):
        return [pattern]
    found: list[str] = []
    for part in _braces(pattern):
        matches = [part] if os.path.isfile(part) else tf.io.gfile.glob(part)
        if not matches:
            raise FileNotFoundError(f"{part}: no such file, from the pattern {pattern}")
        found += matches
    if not found:
        raise FileNotFoundError(f"{pattern}: the pattern stands for no name")
    return sorted(set(found))


def place(source: str, files: list[str], cache_dir: str) -> Path:
    """The folder in cache_dir of the files' index: another one whenever a file changes."""
    return Path(cache_dir) / f"{source.partition(':')[0]}-{_digest(files)}"


def indexed(
    source: str,
    files: list[str],
    read: Callable[[str], Iterator[Found | tuple[str, str]]],
    cache_dir: str,
) -> Index:
    """The index of the files, made on first use, when all are read; no pixels are decoded.

    `read` yields what stands in one file, or (what, reason) for what can't be read. Of a key
    that comes again in one file the first counts; in two files it is two pictures, since every
    download counts its keys from zero. Prints how many pictures are quarantined.

    Raises ValueError where that is over half, and OSError, with nothing kept, where a file can't be
    read now.
    """
    directory = place(source, files, cache_dir)
    columns = kept(directory / COLUMNS, lambda missing: _rows(files, read, directory, missing))
    listed = directory / quarantine.NAME
    # The list itself also has those that only a run found out to be broken: others stand in.
    missing, total = columns.missing, len(columns.ids)
    advice = f"to index the files again, remove {directory}"
    quarantine.report(source, missing, total + len(missing), listed, advice)
    if not total:
        raise ValueError(f"{source}: no pictures with captions in {count(len(files), 'file')}")
    return Index(columns, listed)


def _rows(
    files: list[str],
    read: Callable[[str], Iterator[Found | tuple[str, str]]],
    directory: Path,
    missing: dict[str, str],
) -> Iterator[Row]:
    """The pictures of the files; what can't be used goes to the quarantine, and to `missing`."""
    bad: list[tuple[str, str]] = []
    short = _within_their_folder(files)
    with Names(directory / ".names") as names, Names(directory / ".used") as used:
        for number, file in enumerate(tqdm(files, "indexing", unit="file", disable=None)):
            used.clear()
            for found in _each(file, read):
                key = found[0]
                own = f"{short[number]} {key}"
                name = key if key not in names else own
                try:
                    if key in used:
                        name = f"{own if own in names else key} again"
                        raise ValueError("its file has this name already: the first one counts")
                    row = _row(found, name, number)
                except ValueError as error:
                    bad.append((name, f"{file}: {error}"))
                else:
                    yield row
                    used.add(key)
                names.add(name)
    quarantine.add(directory / quarantine.NAME, bad)
    missing.update(bad)


def _each(
    file: str, read: Callable[[str], Iterator[Found | tuple[str, str]]]
) -> Iterator[Found | tuple[str, str]]:
    """What `read` yields of a file. Raises OSError, with its name, where it can't be read now."""
    try:
        yield from read(file)
    except (OSError, tf.errors.OpError) as error:
        said = error.message if isinstance(error, tf.errors.OpError) else error.strerror or error
        raise OSError(f"{file}: can't be read: {said}; run the same command again") from error


def _within_their_folder(files: list[str]) -> list[str]:
    """The files' names without the folders that all of them are in."""
    parts = [file.split("/") for file in files]
    shared = len(os.path.commonprefix([names[:-1] for names in parts]))
    return ["/".join(names[shared:]) for names in parts]


def _row(found: Found | tuple[str, str], name: str, file: int) -> Row:
    """Raises ValueError saying why what was found can't be used."""
    if not isinstance(found, Found):
        raise ValueError(found[1])
    captions = [caption for caption in found.captions if caption.strip()]
    if not captions:
        raise ValueError("no caption, or an empty one")
    # Half of a surrogate pair is no text: a UnicodeEncodeError, which is a ValueError.
    "".join([name, *captions]).encode()
    header = picture.read_header(io.BytesIO(found.encoded))
    place = (file, found.offset, found.length)
    return Row(name, captions, header[:2], header.orientation, *place, box=found.box)


def _digest(files: list[str]) -> str:
    """Changes with the names, sizes and times of the files."""
    seen = []
    for file in files:
        stat = tf.io.gfile.stat(file)
        # TensorFlow's times are of whole seconds.
        local = Path(file)
        seen.append(
            (file, stat.length, local.stat().st_mtime_ns if local.exists() else stat.mtime_nsec)
        )
    return hashlib.sha256(json.dumps([VERSION, *seen]).encode()).hexdigest()[:16]


def _braces(pattern: str) -> Iterator[str]:
    """The patterns that braces stand for, and those between commas outside of braces."""
    if commas := _split(pattern):
        for part in commas:
            yield from _braces(part)
        return
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        yield pattern
        return
    inner = found[1]
    if numbers := re.fullmatch(r"(\d+)\.\.(\d+)", inner):
        first, last = numbers[1], numbers[2]
        choices = [f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)]
    else:
        choices = inner.split(",")
    for choice in choices:
        yield from _braces(pattern[: found.start()] + choice + pattern[found.end() :])


def _split(pattern: str) -> list[str]:
    """The parts between commas outside of braces, none where there is no such comma."""
    parts = re.split(r",(?![^{}]*\})", pattern)
    return parts if len(parts) > 1 else []
