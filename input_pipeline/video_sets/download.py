"""The folder of a video set as its user has it: annotation files and videos, found by their names.

They may lie anywhere below the folder; annotation files also as NAME.gz. Links that lead out of it
are not followed.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import zlib
from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.words import count
from input_pipeline.media.once import Twice, each_once
from input_pipeline.media.video import SUFFIXES

# Ten times the largest annotation file of these sets.
MAX_BYTES = 1 << 30


class Download:
    """What lies below a directory. Raises FileNotFoundError where it isn't there."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(os.path.expanduser(directory)).absolute()
        if not self.directory.is_dir():
            raise FileNotFoundError(f"{self.directory}: no such directory")
        self._annotations: dict[str, list[Path]] = {}
        self._videos: dict[str, list[Path]] = {}
        self._outside: set[str] = set()
        inside = os.path.realpath(self.directory)
        for above, folders, names in os.walk(self.directory):
            folders.sort()
            for name in sorted(names):
                path = Path(above, name)
                is_video = path.suffix.lower() in SUFFIXES
                # Unlike Path.resolve, realpath bears links that lead to themselves.
                if not Path(os.path.realpath(path)).is_relative_to(inside):
                    self._outside.add(path.stem if is_video else name.removesuffix(".gz"))
                elif is_video:
                    self._videos.setdefault(path.stem, []).append(path)
                else:
                    self._annotations.setdefault(name.removesuffix(".gz"), []).append(path)

    def video(self, id: str) -> Path | str:
        """A video's file, or why there is none. Raises ValueError where there are several."""
        if id in self._videos:
            return self._only(id, self._videos[id])
        if id in self._outside:
            return f"its file is a link that leads out of {self.directory}"
        return f"no video file of that name in {self.directory}"

    def has(self, name: str) -> bool:
        """Whether there is an annotation file of that name, or a link that leads out."""
        return name in self._annotations or name in self._outside

    def names(self, start: str, end: str) -> list[str]:
        """The annotation files whose names start and end so."""
        return sorted(n for n in self._annotations if n.startswith(start) and n.endswith(end))

    def path(self, name: str) -> Path:
        """Where an annotation file is.

        Raises FileNotFoundError without one, ValueError where there are several.
        """
        if name not in self._annotations and name in self._outside:
            raise FileNotFoundError(f"{self.directory}: {name} is a link that leads out of it")
        if name not in self._annotations:
            raise FileNotFoundError(f"{self.directory}: no {name} in it (nor {name}.gz)")
        return self._only(name, self._annotations[name])

    def lines(self, name: str) -> list[str]:
        """The lines of a list, without space around them and empty ones."""
        return [line.strip() for line in self._text(name).splitlines() if line.strip()]

    def rows(self, name: str, *columns: str) -> list[dict[str, str]]:
        """The rows of a .csv.

        Raises ValueError where a column is missing, and where a quotation mark is not closed, which
        would make one cell of all that follows.
        """
        try:
            rows = list(csv.DictReader(io.StringIO(self._text(name)), strict=True))
        except csv.Error as error:
            raise ValueError(f"{self.path(name)}: not a CSV table: {error}") from error
        for number, row in enumerate(rows, 2):
            if not all(row.get(column) for column in columns):
                raise ValueError(
                    f"{self.path(name)} line {number}: found {row}, wanted columns {columns}"
                )
        return rows

    def json(self, name: str) -> Any:
        """Raises ValueError for what is no JSON, and where an object has a name twice."""
        try:
            return json.loads(self._text(name), object_pairs_hook=each_once)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{self.path(name)}: not JSON ({error})") from error
        except Twice as error:
            raise ValueError(f"{self.path(name)}: {error}") from error

    def pickle(self, name: str) -> Any:
        """Dicts, lists, tuples, sets, texts, bytes, numbers and None.

        Raises ValueError for what is no pickle, and for one that asks for anything else.
        """
        try:
            return files.PlainUnpickler(self._bytes(name)).load()
        # A damaged pickle can raise nearly anything.
        except Exception as error:
            raise ValueError(
                f"{self.path(name)}: can't be read as a pickle of plain values: {error}"
            ) from error

    def _text(self, name: str) -> str:
        return files.as_text(self._bytes(name), self.path(name))

    def _bytes(self, name: str) -> bytes:
        """All of a file, unpacked; a small .gz may claim to be larger than the memory."""
        path = self.path(name)
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: can't be read: {error}") from error
        if len(content) > MAX_BYTES:
            raise ValueError(
                f"{path}: over {MAX_BYTES >> 20} MiB, unpacked: not an annotation file"
            )
        return content

    def _only(self, name: str, paths: list[Path]) -> Path:
        if len(paths) > 1:
            raise ValueError(
                f"{self.directory}: {count(len(paths), 'file')} of the name {name}, wanted one: "
                f"{', '.join(str(path.relative_to(self.directory)) for path in paths[:3])}"
            )
        return paths[0]
