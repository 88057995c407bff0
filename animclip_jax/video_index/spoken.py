"""What is said in the segments of a shard, searched by SQLite's FTS5."""

from __future__ import annotations

import re
import sqlite3
import tempfile
import unicodedata
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from animclip_jax.video_index.query import Query

# Words are compared by their English stems, without marks such as accents.
_TABLE = (
    "CREATE VIRTUAL TABLE said USING fts5(text, tokenize='porter unicode61 remove_diacritics 2')"
)
_FIND = """SELECT rowid, snippet(said, 0, '', '', '…', 16) FROM said
    WHERE said MATCH ? AND allowed(rowid) ORDER BY rank, rowid LIMIT ?"""
# Words of a sentence that says what is shown, and need not be said.
_LITTLE = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "is", "it"),
        *("its", "of", "on", "or", "that", "the", "their", "there", "these", "this", "to", "was"),
        "with",
    )
)
# What SQLite says of disks, permissions and memory, not of what a file holds.
_OF_THE_MACHINE = frozenset(
    (
        *(
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
        ),
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM),
        sqlite3.SQLITE_INTERRUPT,
    )
)
# Words of a part that are looked for.
MAX_WORDS = 32
_CHUNK, _WORD = re.compile(r'"([^"]*)"|(\S+)'), re.compile(r"[^\W_]+")


class Said(NamedTuple):
    """A segment in which what was searched for is said.

    row: of those that were given. excerpt: what is said around it.
    """

    row: int
    excerpt: str


def held(texts: Sequence[str]) -> Spoken:
    """What is said in each segment, without a file that stays. Raises ValueError as `pack`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "said.sqlite")
        path.write_bytes(pack(texts))
        # Open, it can be read when its name is gone.
        return Spoken(path, len(texts))


def pack(texts: Sequence[str]) -> bytes:
    """A file for `Spoken`: a database of what is said in each segment of a shard.

    Raises ValueError where this process' SQLite can't.
    """
    with closing(_empty()) as base:
        rows = ((row, text) for row, text in enumerate(texts) if text)
        base.executemany("INSERT INTO said (rowid, text) VALUES (?, ?)", rows)
        base.execute("INSERT INTO said (said) VALUES ('optimize')")
        base.commit()
        return base.serialize()


def _empty() -> sqlite3.Connection:
    """A database of nothing, in memory. Raises ValueError where SQLite has no FTS5."""
    base = sqlite3.connect(":memory:")
    try:
        base.execute(_TABLE)
    except sqlite3.OperationalError as error:
        base.close()
        raise ValueError(
            f"SQLite {sqlite3.sqlite_version} has no full-text search (FTS5), which subtitles "
            "need. If this program imports TensorFlow, import animclip_jax before it: TensorFlow "
            "brings an SQLite without; else use another build of Python"
        ) from error
    return base


class Spoken(Sequence[str]):
    """What is said in each segment of a shard, "" where nothing is.

    Damage that opening does not meet is a ValueError, which names the file, where it is read; a
    fault of the machine is an OSError.
    """

    def __init__(self, path: Path, rows: int, folder: Path | None = None):
        """folder: the index whose file it is; None for a file of none.

        Raises FileNotFoundError; sqlite3.Error where it is damaged; ValueError without FTS5.
        """
        _empty().close()
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        # No process writes to it; whoever has it open may still read when it is removed.
        where = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        self.base = sqlite3.connect(where, uri=True, check_same_thread=False)
        # It lives as long as the shard's memory maps: until the last search that uses it ends.
        weakref.finalize(self, self.base.close)
        self.path, self.rows, self.folder = path, rows, folder
        last = self.base.execute("SELECT max(rowid) FROM said").fetchone()[0]
        if last is not None and last >= rows:
            raise sqlite3.DatabaseError(f"row {last} of {rows}")

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row):  # type: ignore[no-untyped-def]
        if not 0 <= row < self.rows:
            raise IndexError(row)
        with self._reading():
            rows = self.base.execute("SELECT text FROM said WHERE rowid = ?", (int(row),))
            found = rows.fetchone()
        return found[0] if found else ""

    def texts(self) -> Iterator[tuple[int, str]]:
        """The rows in which anything is said, each with that."""
        with self._reading():
            yield from self.base.execute("SELECT rowid, text FROM said")

    def find(self, match: str, allowed: Callable[[int], bool], count: int) -> list[Said]:
        """The best rows, by bm25, of those that are allowed; match: an `expression`."""
        self.base.create_function("allowed", 1, allowed)
        with self._reading():
            return [Said(*found) for found in self.base.execute(_FIND, (match, count))]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if self.folder is None:
                raise
            require_damage(error, self.path)
            advice = f"remove {self.folder} and index again"
            raise ValueError(f"{self.path}: {error}; {advice}") from error


def require_damage(error: sqlite3.Error, path: Path) -> None:
    """Finds that SQLite met damage. Raises OSError for a fault of the machine, which may pass."""
    # The lower byte is the kind; an error of ours has no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in _OF_THE_MACHINE:
        raise OSError(f"{path}: {error}") from error


def expression(query: Query) -> str | None:
    """What FTS5 is asked for a query: every word of a sentence, in any order; None for no words.

    Words in quotes follow each other. What should not be there must not be said, either.
    """
    wanted, unwanted = [], []
    for part in query.parts:
        if isinstance(part.what, str):
            if part.weight > 0:
                wanted += [" AND ".join(words)] if (words := _words(part.what)) else []
            else:
                unwanted += _words(f'"{part.what}"')
    if not wanted:
        return None
    asked = " OR ".join(f"({one})" for one in wanted)
    return f"({asked}) NOT ({' OR '.join(unwanted)})" if unwanted else asked


def _words(text: str) -> list[str]:
    """FTS5's phrases of a sentence: nothing but letters and digits, so that none is an operator."""
    # A letter and its accent as one: else the accent ends the word.
    found = _CHUNK.findall(unicodedata.normalize("NFC", text))
    chunks = [" ".join(_WORD.findall(one[0] or one[1])) for one in found]
    chunks = [chunk for chunk in dict.fromkeys(chunks) if chunk]
    telling = [chunk for chunk in chunks if chunk.lower() not in _LITTLE]
    return [f'"{chunk}"' for chunk in (telling or chunks)[:MAX_WORDS]]
