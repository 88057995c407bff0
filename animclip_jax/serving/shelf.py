"""A folder of files that can be made again: bounded, the one not asked for longest goes first."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from animclip_jax import files

# A file that was asked for within this time may be under way to a client: it stays.
IN_USE_SECONDS = 60.0
# What is written there, and what a kill leaves of it. Other files in the folder are not ours.
_OURS = re.compile(r"[0-9a-f]{64}\.(mp4|jpg)|\.[0-9a-f]{64}\.(mp4|jpg)\.\d+")


class FullError(OSError):
    """There is no room within the limit."""


class _Held(NamedTuple):
    used: int  # nanoseconds since 1970
    size: int
    path: Path


class Shelf:
    """Files by name, 64 hexadecimal digits and .mp4 or .jpg, of at most `limit` bytes together.

    Several processes may share a folder: each keeps to its own limit.
    """

    def __init__(self, folder: Path, limit: int):
        self.folder, self.limit = folder, limit
        self.lock = threading.Lock()

    def find(self, name: str) -> tuple[Path, os.stat_result] | None:
        """A file and its state; it counts as used now. None where it is not there."""
        path = self.folder / name
        try:
            state = path.stat()
        except FileNotFoundError:
            return None
        # Its own time stays: what a browser holds of the file is valid as long as that is.
        with contextlib.suppress(OSError):
            os.utime(path, ns=(time.time_ns(), state.st_mtime_ns))
        return path, state

    def keep(self, name: str, data: bytes) -> None:
        """Adds a file, whole or not at all, after removing others if there must be room.

        Raises FullError, and OSError where the folder can't be written.
        """
        with self.lock:
            self._make_room(len(data))
            files.write_bytes(self.folder / name, data)

    def _make_room(self, needed: int) -> None:
        held = sorted(self._held())
        excess = sum(one.size for one in held) + needed - self.limit
        recent = time.time_ns() - int(IN_USE_SECONDS * 1e9)
        for one in held:
            if excess <= 0 or one.used > recent:
                break
            one.path.unlink(missing_ok=True)
            excess -= one.size
        if excess > 0:
            raise FullError(
                f"{needed / 2**20:.1f} MiB do not fit into {self.limit / 2**20:.1f} MiB: "
                f"what is there was used within {IN_USE_SECONDS:g} seconds"
            )

    def _held(self) -> Iterator[_Held]:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name):
                # Another process may have removed it.
                with contextlib.suppress(FileNotFoundError):
                    state = path.stat()
                    yield _Held(state.st_atime_ns, state.st_size, path)
