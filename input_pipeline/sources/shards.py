"""Captioned pictures in the files of a pattern: found once, where each stands, then read at random.

What the files hold is in an index of a line a picture, kept in the cache until a file changes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from animclip_jax.files import as_line, read_lines, replacing
from animclip_jax.words import count
from input_pipeline.media import box, picture, quarantine
from input_pipeline.tensorflow_on_cpu import tf

VERSION = 3
INDEX = "index.jsonl"


@dataclass(frozen=True)
class Entry:
    """A picture: its name, captions, header and box, and the `length` bytes at `offset` of a file.

    id: its key in its file; with the file's name before it where another file has that key too.
    file: the number of its file among the pattern's. box: see `media/box.py`; [] where not known.
    """

    id: str
    captions: list[str]
    file: int
    offset: int
    length: int
    height: int
    width: int
    orientation: int
    box: list[float] = field(default_factory=list)


class Index(NamedTuple):
    """The pictures of a pattern's files, in order.

    missing: what can't be used, with the reason. quarantine: the file that lists it.
    """

    entries: list[Entry]
    missing: dict[str, str]
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


def indexed(
    source: str,
    files: list[str],
    read: Callable[[str], Iterator[Found | tuple[str, str]]],
    cache_dir: str,
) -> Index:
    """The index of the files, made on first use, when all are read; no pixels are decoded.

    `read` yields what stands in one file, or (what, reason) for what can't be read. Of a key
    that comes again in one file the first counts; in two files it is two pictures, since every
    download counts its keys from zero. Prints how many pictures are quarantined; raises ValueError
    where that is over half.
    """
    directory = Path(cache_dir) / f"{source.partition(':')[0]}-{_digest(files)}"
    if not (directory / INDEX).is_file():
        _write_index(files, read, directory)
    entries = _read_index(directory, len(files))
    listed = directory / quarantine.NAME
    there = {entry.id for entry in entries}
    # Without those that only a run found out to be broken: others stand in for them.
    missing = {id: why for id, why in quarantine.read(listed).items() if id not in there}
    advice = f"to index the files again, remove {directory}"
    quarantine.report(source, missing, len(entries) + len(missing), listed, advice)
    if not entries:
        raise ValueError(f"{source}: no pictures with captions in {count(len(files), 'file')}")
    return Index(entries, missing, listed)


def _read_index(directory: Path, num_files: int) -> list[Entry]:
    """Raises ValueError for a line that is damaged: what it says of a picture can't be so."""
    advice = f"remove {directory}, and the files are indexed again"
    kinds = {"str": str, "int": int, "list[str]": list, "list[float]": list}
    wanted = {part.name: kinds[str(part.type)] for part in fields(Entry)}
    lines = read_lines(directory / INDEX, advice, wanted)
    entries = [Entry(**{name: line[name] for name in wanted}) for line in lines]
    for number, entry in enumerate(entries, 1):
        within = {
            "captions": bool(entry.captions) and all(isinstance(c, str) for c in entry.captions),
            "file": 0 <= entry.file < num_files,
            "offset": 0 <= entry.offset < 2**63,
            **{name: 0 < getattr(entry, name) < 2**31 for name in ("length", "height", "width")},
            "orientation": 1 <= entry.orientation <= 8,
            "box": entry.box == [] or box.is_one(entry.box),
        }
        for name, is_right in within.items():
            if not is_right:
                raise ValueError(
                    f"{directory / INDEX} line {number}: {name} can't be "
                    f"{getattr(entry, name)!r:.80}; {advice}"
                )
    return entries


def _write_index(
    files: list[str], read: Callable[[str], Iterator[Found | tuple[str, str]]], directory: Path
) -> None:
    bad: list[tuple[str, str]] = []
    names: set[str] = set()
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / INDEX) as temporary, temporary.open("wb") as index:
        for number, file in enumerate(tqdm(files, "indexing", unit="file", disable=None)):
            used: dict[str, str] = {}
            for found in read(file):
                key = found[0]
                name = key if key not in names else f"{file} {key}"
                try:
                    if key in used:
                        name = f"{used[key]} again"
                        raise ValueError("its file has this name already: the first one counts")
                    entry = _entry(found, name, number)
                except ValueError as error:
                    bad.append((name, f"{file}: {error}"))
                else:
                    index.write(as_line(asdict(entry)))
                    used[key] = name
                names.add(name)
        quarantine.add(directory / quarantine.NAME, bad)


def _entry(found: Found | tuple[str, str], name: str, file: int) -> Entry:
    """Raises ValueError saying why what was found can't be used."""
    if not isinstance(found, Found):
        raise ValueError(found[1])
    captions = [caption for caption in found.captions if caption.strip()]
    if not captions:
        raise ValueError("no caption, or an empty one")
    # Half of a surrogate pair is no text: a UnicodeEncodeError, which is a ValueError.
    "".join([name, *captions]).encode()
    header = picture.read_header(io.BytesIO(found.encoded))
    place = dict(file=file, offset=found.offset, length=found.length)
    return Entry(name, captions, **place, **header._asdict(), box=found.box)


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
