"""What is already encoded of a store that is being prepared; survives a kill at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from animclip_jax import files

SETTINGS, LOG, FRAMES, LOCK = "settings.json", "log.jsonl", "frames", "lock"


class Encoded(NamedTuple):
    """Frames as JPEG, all of one size in pixels."""

    frames: list[bytes]
    width: int
    height: int


class Partial:
    """Encoded items by id, in files that only grow: use it in a `with` block.

    Opened again, it holds every item whose `add` returned. The block's end leaves it there unless
    it is empty; `remove` is for when the store is whole. One process has it at a time, others wait.
    """

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        """Takes or goes on with `directory`.

        Raises ValueError where that was begun with other settings.
        """
        self.directory = directory
        self._settings = json.dumps(settings, sort_keys=True) + "\n"
        # Where each item's line starts in the log: few bytes, for there may be millions.
        self._lines: dict[str, int] = {}

    def __enter__(self) -> Partial:
        with contextlib.ExitStack() as stack:
            waiting = f"{self.directory}: waiting for the process that writes it"
            stack.enter_context(files.locked(self.directory / LOCK, waiting, wait=True))
            stack.enter_context(files.writing(self.directory))
            self._check_settings()
            self._frames = stack.enter_context((self.directory / FRAMES).open("a+b"))
            self._log = stack.enter_context((self.directory / LOG).open("a+b"))
            self._recover()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._lines:
            for name in (SETTINGS, LOG, FRAMES, LOCK):
                (self.directory / name).unlink(missing_ok=True)
        self._stack.close()
        if not self._lines:
            # Now, for a network drive keeps what is open. Somebody else's file may be in it.
            with contextlib.suppress(OSError):
                self.directory.rmdir()

    def __contains__(self, id: str) -> bool:
        return id in self._lines

    @property
    def ids(self) -> Iterable[str]:
        """Of all items that are there."""
        return self._lines.keys()

    def stamp(self, id: str) -> Any:
        """From which state of its original an item that is there was made."""
        return self._line(id)["stamp"]

    def read(self, id: str) -> Encoded:
        """An item that is there."""
        line = self._line(id)
        self._frames.seek(line["offset"])
        frames = [self._frames.read(length) for length in line["lengths"]]
        return Encoded(frames, line["width"], line["height"])

    def add(self, id: str, stamp: Any, item: Encoded) -> None:
        """Keeps an item; `stamp`, a JSON value, says from which state of its original it is."""
        with files.writing(self.directory):
            offset = self._frames.seek(0, os.SEEK_END)
            self._frames.write(b"".join(item.frames))
            # Before the line that says that they are there.
            self._frames.flush()
        lengths = [len(frame) for frame in item.frames]
        line = {"id": id, "stamp": stamp, "offset": offset, "lengths": lengths}
        line |= {"width": item.width, "height": item.height}
        with files.writing(self.directory):
            start = self._log.seek(0, os.SEEK_END)
            self._log.write(json.dumps(line).encode() + b"\n")
            self._log.flush()
        self._lines[id] = start

    def remove(self) -> None:
        """Removes all items; the block's end removes the folder."""
        self._lines.clear()
        # What a network drive keeps until the lock is given up is removed then.
        self._frames.close()
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _line(self, id: str) -> dict[str, Any]:
        self._log.seek(self._lines[id])
        return json.loads(self._log.readline())

    def _check_settings(self) -> None:
        path = self.directory / SETTINGS
        if not path.exists():
            files.write_text(path, self._settings)
        elif (found := path.read_text(encoding="utf-8")) != self._settings:
            raise ValueError(
                f"{self.directory}: begun with {found.strip()}, wanted {self._settings.strip()}; "
                "use those settings, or remove the directory to start again"
            )

    def _recover(self) -> None:
        """Forgets what a kill cut short: a line without its end, frames without their line."""
        written = self._frames.seek(0, os.SEEK_END)
        self._log.seek(0)
        whole = frames_end = 0
        for line in self._log:
            try:
                item = json.loads(line) if line.endswith(b"\n") else {}
                id, end = item["id"], item["offset"] + sum(item["lengths"])
            except (ValueError, RecursionError, KeyError, TypeError):
                break
            if end > written:
                break
            self._lines[id] = whole
            whole, frames_end = whole + len(line), end
        self._log.truncate(whole)
        self._frames.truncate(frames_end)
