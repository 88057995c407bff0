"""The examples of a source as columns: an array for each thing that is known of them.

In a folder there is a file for each column, mapped into memory: a process holds the pages that it
reads, shares them with others on the same machine, and gives them back when memory is short.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from animclip_jax import files
from input_pipeline.columns.texts import SURROGATES, Captions, Texts, ToldOfCaptions
from input_pipeline.examples import Told

_quoted = json.encoder.encode_basestring_ascii

VERSION = 1
ABOUT = "columns.json"
_ABOUT = {"version": int, "num_examples": int, "digest": str, "missing": dict, "bytes": dict}
# Rows that are put into arrays at a time.
_ROWS = 1 << 14


class Row(NamedTuple):
    """What is known of an example.

    size: (height, width) in pixels, as shown. orientation: EXIF's. file, offset, length: the number
    of the file that holds it, and its bytes there. box: [top, left, bottom, right] as fractions, or
    nothing. told: of each caption, or nothing. is_video: it has several frames.
    """

    id: str
    captions: list[str]
    size: tuple[int, int]
    orientation: int = 1
    file: int = 0
    offset: int = 0
    length: int = 0
    box: Sequence[float] = ()
    told: Sequence[Told] = ()
    is_video: bool = False


@dataclass(frozen=True)
class Columns:
    """N examples.

    sizes: int32 [N, 2]. orientations: uint8 [N]. files: int32 [N]. offsets: int64 [N]. lengths:
    int32 [N]. boxes: float32 [N, 4], NaN where there is none; None where no example has one.
    told: empty where nothing is known of any caption. is_video: whether any is one. digest: of the
    ids and captions in their order. missing: what can't be used of the source, with the reason.
    """

    ids: Texts
    captions: Captions
    sizes: np.ndarray
    orientations: np.ndarray
    files: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    boxes: np.ndarray | None
    told: Sequence[Sequence[Told]]
    is_video: bool
    digest: str
    missing: Mapping[str, str]


# Gives the rows of a source; puts into the dictionary what can't be used of it, with the reason.
Rows = Callable[[dict[str, str]], Iterable[Row]]


class _Numbers(NamedTuple):
    """A column of numbers: its type, how many a row, and what a row has whose column is absent."""

    dtype: str
    width: tuple[int, ...]
    default: Any


_NUMBERS = {
    "size": _Numbers("<i4", (2,), 0),
    "orientation": _Numbers("u1", (), 1),
    "file": _Numbers("<i4", (), 0),
    "offset": _Numbers("<i8", (), 0),
    "length": _Numbers("<i4", (), 0),
    "box": _Numbers("<f4", (4,), math.nan),
}
_NO_BOX = (math.nan,) * 4
# The columns of texts: their bytes, and their ends.
_TEXTS = ("id", "caption", "told")
_HEAP, _ENDS, _COUNTS = "{}.utf8", "{}.ends", "captions.ends"


def digest(ids: Sequence[str], captions: Sequence[Sequence[str]]) -> str:
    """Of the ids and captions of a source, in their order."""
    found = hashlib.sha256()
    for name, some in zip(ids, captions, strict=True):
        found.update(_digested(name, some))
    return found.hexdigest()


def held(rows: Rows) -> Columns:
    """The columns of a source in this process's memory."""
    made: dict[str, io.BytesIO] = {}
    about = _write(rows, lambda name: made.setdefault(name, io.BytesIO()))
    arrays = {name: np.frombuffer(file.getbuffer(), np.uint8) for name, file in made.items()}
    return _read(about, lambda name, dtype, shape: arrays[name].view(dtype).reshape(shape))


def kept(directory: Path, rows: Rows) -> Columns:
    """The columns of a source in a folder, which is made on first use, as a whole or not at all.

    Other processes that open it meanwhile wait for it. Raises ValueError for a folder that is
    damaged, with its name; DiskError; and whatever `rows` raises.
    """
    if not (directory / ABOUT).is_file():
        lock = directory.with_name(f".{directory.name}.making")
        waiting = f"{directory}: waiting for the process that writes it"
        with files.locked(lock, waiting, wait=True):
            if not (directory / ABOUT).is_file():
                _make(directory, rows)
    advice = f"remove {directory.parent}, and it is made again"
    about = files.read_object(directory / ABOUT, advice, _ABOUT)
    if about["version"] != VERSION:
        raise ValueError(
            f"{directory / ABOUT}: version {about['version']}, wanted {VERSION}; {advice}"
        )

    def mapped(name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        path = directory / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; {advice}")
        wanted = math.prod(shape) * np.dtype(dtype).itemsize
        if (found := path.stat().st_size) != wanted:
            raise ValueError(f"{path}: {found} bytes, wanted {wanted}; {advice}")
        # An empty file can't be mapped.
        return np.memmap(path, dtype, "r", shape=shape) if wanted else np.empty(shape, dtype)

    try:
        return _read(about, mapped)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{directory / ABOUT}: is damaged ({error!r}); {advice}") from None


def _make(directory: Path, rows: Rows) -> None:
    with files.new_folder(directory) as temporary:
        opened: list[BinaryIO] = []

        def create(name: str) -> BinaryIO:
            opened.append((temporary / name).open("wb"))
            return opened[-1]

        try:
            with files.writing(directory):
                about = _write(rows, create)
        finally:
            for file in opened:
                file.close()
        files.write_json(temporary / ABOUT, about)


def _write(rows: Rows, create: Callable[[str], BinaryIO]) -> dict[str, Any]:
    """Writes the columns of the rows to files that `create` makes by name; returns what to keep."""
    missing: dict[str, str] = {}
    numbers = {name: _NumbersWriter(name, create) for name in _NUMBERS}
    texts = {name: _TextsWriter(name, create, is_optional=name == "told") for name in _TEXTS}
    counts = create(_COUNTS)
    counts.write(bytes(8))
    num_examples = num_captions = 0
    found, is_video = hashlib.sha256(), False
    for some in _chunks(rows(missing)):
        before, num_examples = num_examples, num_examples + len(some)
        ids, captions, *values, boxes, told, videos = zip(*some, strict=True)
        for name, column in zip(_NUMBERS, values, strict=False):
            numbers[name].add(column, before)
        if any(boxes) or numbers["box"].is_there:
            numbers["box"].add([tuple(box) or _NO_BOX for box in boxes], before)
        texts["id"].add(ids, before)
        texts["caption"].add([one for several in captions for one in several], num_captions)
        if any(told) or texts["told"].is_there:
            texts["told"].add([json.dumps(one) if one else "" for one in told], before)
        ends = num_captions + np.cumsum([*map(len, captions)], dtype="<i8")
        counts.write(ends.tobytes())
        num_captions = int(ends[-1])
        found.update(b"".join(map(_digested, ids, captions)))
        is_video = is_video or any(videos)
    return {
        "version": VERSION,
        "num_examples": num_examples,
        "num_captions": num_captions,
        "is_video": is_video,
        "digest": found.hexdigest(),
        "missing": missing,
        "bytes": {one.name: one.written for one in texts.values() if one.is_there},
        "numbers": [one.name for one in numbers.values() if one.is_there],
    }


def _read(
    about: dict[str, Any], array: Callable[[str, str, tuple[int, ...]], np.ndarray]
) -> Columns:
    """The columns, of arrays by their file's name, type and shape."""
    total = about["num_examples"]
    columns = {
        name: array(name, spec.dtype, (total, *spec.width))
        if name in about["numbers"]
        else np.broadcast_to(np.array(spec.default, spec.dtype), (total, *spec.width))
        for name, spec in _NUMBERS.items()
    }

    def texts(name: str, count: int) -> Texts:
        return Texts(
            array(_HEAP.format(name), "u1", (about["bytes"][name],)),
            array(_ENDS.format(name), "<i8", (count + 1,)),
        )

    captions = Captions(
        texts("caption", about["num_captions"]), array(_COUNTS, "<i8", (total + 1,))
    )
    has_boxes = "box" in about["numbers"]
    has_told = "told" in about["bytes"]
    return Columns(
        texts("id", total),
        captions,
        sizes=columns["size"],
        orientations=columns["orientation"],
        files=columns["file"],
        offsets=columns["offset"],
        lengths=columns["length"],
        boxes=columns["box"] if has_boxes else None,
        told=ToldOfCaptions(texts("told", total), captions) if has_told else (),
        is_video=about["is_video"],
        digest=about["digest"],
        missing=about["missing"],
    )


class _NumbersWriter:
    """Writes a column of numbers; no file as long as each row has the default."""

    def __init__(self, name: str, create: Callable[[str], BinaryIO]) -> None:
        self.name, self._create, self._spec = name, create, _NUMBERS[name]
        self._file: BinaryIO | None = None

    @property
    def is_there(self) -> bool:
        return self._file is not None

    def add(self, values: Sequence[Any], before: int) -> None:
        """Adds the values of rows that follow on `before` others."""
        data = np.array(values, self._spec.dtype).tobytes()
        one = np.full(self._spec.width, self._spec.default, self._spec.dtype).tobytes()
        if self._file is None:
            if data == one * len(values):
                return
            self._file = self._create(self.name)
            for start in range(0, before, _ROWS):
                self._file.write(one * min(_ROWS, before - start))
        self._file.write(data)


class _TextsWriter:
    """Writes a column of texts; of one that is optional, no file before it is added to."""

    def __init__(self, name: str, create: Callable[[str], BinaryIO], is_optional: bool) -> None:
        self.name, self._create = name, create
        self.written = 0
        self._files: tuple[BinaryIO, BinaryIO] | None = None
        if not is_optional:
            self._begin(0)

    @property
    def is_there(self) -> bool:
        return self._files is not None

    def add(self, texts: Sequence[str], before: int) -> None:
        """Adds the texts of rows that follow on `before` others."""
        if self._files is None:
            self._begin(before)
        assert self._files is not None
        heap, ends = self._files
        encoded = [text.encode("utf-8", SURROGATES) for text in texts]
        found = self.written + np.cumsum([*map(len, encoded)], dtype="<i8")
        heap.write(b"".join(encoded))
        ends.write(found.tobytes())
        if len(found):
            self.written = int(found[-1])

    def _begin(self, before: int) -> None:
        self._files = (
            self._create(_HEAP.format(self.name)),
            self._create(_ENDS.format(self.name)),
        )
        for start in range(0, before + 1, _ROWS):
            self._files[1].write(bytes(8 * min(_ROWS, before + 1 - start)))


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while some := list(itertools.islice(remaining, _ROWS)):
        yield some


def _digested(name: str, captions: Sequence[str]) -> bytes:
    """What json.dumps makes of the two, in a third of the time."""
    return f"[{_quoted(name)}, [{', '.join(map(_quoted, captions))}]]".encode()
