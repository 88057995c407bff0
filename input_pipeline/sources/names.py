"""Which names came before, kept on the disk: a hundred million of them need no memory."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from types import TracebackType

from animclip_jax import files
from input_pipeline.columns.texts import SURROGATES

# Of a file's pages, in KiB. Keys mostly come in order, and then so are the pages.
_CACHE_KIB = 8192
# The file is of no use after a kill, so nothing in it has to survive one.
_SETTINGS = (
    f"PRAGMA cache_size=-{_CACHE_KIB}",
    "PRAGMA journal_mode=OFF",
    "PRAGMA synchronous=OFF",
    "CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID",
    "BEGIN",
)


class Names:
    """A set of texts in a file that lasts as long as a `with` block: 20 bytes and each text.

    Its folder must be there. Methods raise files.DiskError where the disk is full or broken.
    """

    def __init__(self, path: Path) -> None:
        """Takes the place of what a kill left at `path`."""
        self.path = path

    def __enter__(self) -> Names:
        self.path.unlink(missing_ok=True)
        self._database = sqlite3.connect(self.path, isolation_level=None)
        for setting in _SETTINGS:
            self._execute(setting)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
        self.path.unlink(missing_ok=True)

    def __contains__(self, name: str) -> bool:
        return bool(self._execute("SELECT 1 FROM names WHERE name = ?", name).fetchone())

    def add(self, name: str) -> None:
        self._execute("INSERT OR IGNORE INTO names VALUES (?)", name)

    def clear(self) -> None:
        self._execute("DELETE FROM names")

    def _execute(self, command: str, *names: str) -> sqlite3.Cursor:
        values = [name.encode("utf-8", SURROGATES) for name in names]
        try:
            return self._database.execute(command, values)
        except sqlite3.OperationalError as error:
            full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            number = errno.ENOSPC if full else errno.EIO
            raise files.DiskError(number, str(error), str(self.path)) from error
