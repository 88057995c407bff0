"""LanceDB as an engine: two tables in a folder or a bucket, read and written without a server."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import BTree, IvfSq

from animclip_jax.engines.columns import KEY, table
from animclip_jax.engines.engine import EMBEDDING, EngineError, Segments, lacks, told
from animclip_jax.engines.place import Place

SEGMENTS, CATALOGUE = "animclip_segments", "animclip_catalogue"
NUMBER, JSON, DISTANCE = "number", "json", "_distance"
# Segments up to which LanceDB compares a query with all vectors, and needs no index.
INDEXED_ABOVE = 2**16
# Of a partition of the index, on average; more partitions take longer to build.
PARTITION = 8192
# Vectors a query is compared with, in 8 bits a number: all of them, up to so many.
LOOKED_AT = 2**21
# Of K wanted so many times K are compared exactly, by vectors of 32 bits.
REFINED = 2
# Share of segments that may be outside of the index, all of which a query reads, until it is built
# anew.
MAX_OUTSIDE = 0.1
# Pieces of a table, each as one publication added it, beyond which they are joined.
MAX_PIECES = 128
# What was replaced is kept so long, for searches that began before.
KEPT = datetime.timedelta(days=1)
# Of one condition, so that it stays short.
RANGES, KEYS = 256, 4096

_DOCUMENTS = pa.schema([(NUMBER, pa.int64()), (JSON, pa.large_string())])
# The library's errors have no class of their own.
_ERRORS = (ValueError, RuntimeError, OSError)


class Lance:
    """An engine. A table that is open stays as it was then, whatever is published meanwhile."""

    def __init__(self, place: Place):
        """Raises EngineError where its folder holds something else, or can't be reached."""
        self.place = place
        folder = Path(place.where)
        is_other = folder.is_file() or (
            folder.is_dir() and any(folder.iterdir()) and not any(folder.glob("*.lance"))
        )
        if is_other and "://" not in place.where:
            raise EngineError(
                f"{place}: holds something other than tables of LanceDB; choose another folder"
            )
        self.base: Any = None
        self.tables: dict[str, Any] = {}

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        with told(self.place, *_ERRORS):
            yield

    def _table(self, name: str) -> Any:
        """An open table; None where there is none. No folder is made for a reader."""
        if name not in self.tables:
            if self.base is None:
                if "://" not in self.place.where and not Path(self.place.where).exists():
                    return None
                self.base = lancedb.connect(self.place.where)
            if name not in self.base.list_tables(limit=10_000).tables:
                return None
            self.tables[name] = self.base.open_table(name)
        return self.tables[name]

    def _there(self, name: str) -> Any:
        """A table that documents say is there. Raises EngineError where it is not."""
        if (found := self._table(name)) is None:
            raise EngineError(
                f"{self.place}: has no table {name}: it was removed, or copied in part; the same "
                "animclip index --to completes it"
            )
        return found

    def _made(self, name: str, columns: pa.Schema) -> Any:
        if (found := self._table(name)) is None:
            self.base = self.base or lancedb.connect(self.place.where)
            found = self.tables[name] = self.base.create_table(name, schema=columns)
        if found.schema != columns:
            raise EngineError(
                f"{self.place}: table {name} has other columns than this version and model write; "
                "publish to another place, or remove it"
            )
        return found

    def documents(self) -> dict[int, str]:
        with self._told():
            if (found := self._table(CATALOGUE)) is None:
                return {}
            read = found.to_arrow()
            return dict(zip(read[NUMBER].to_pylist(), read[JSON].to_pylist(), strict=True))

    def document(self, number: int) -> str | None:
        with self._told():
            if (found := self._table(CATALOGUE)) is None:
                return None
            # Without it the table stays as it was when it was opened.
            newest = found.checkout_latest() or found
            read = newest.search().where(f"{NUMBER} = {number}").select([JSON]).to_arrow()
            return read[JSON][0].as_py() if len(read) else None

    def put(self, documents: dict[int, str]) -> None:
        with self._told():
            found = self._made(CATALOGUE, _DOCUMENTS)
            rows = pa.table(
                {NUMBER: list(documents), JSON: list(documents.values())}, schema=_DOCUMENTS
            )
            merge = found.merge_insert(NUMBER).when_matched_update_all()
            merge.when_not_matched_insert_all().execute(rows)

    def drop(self, numbers: Sequence[int]) -> None:
        with self._told():
            for start in range(0, len(numbers), KEYS):
                some = ", ".join(map(str, numbers[start : start + KEYS]))
                self._there(CATALOGUE).delete(f"{NUMBER} IN ({some})")

    def add(self, first: int, segments: Segments) -> None:
        with self._told():
            rows = table(first, segments)
            self._made(SEGMENTS, rows.schema).add(rows)

    def remove(self, ranges: Sequence[tuple[int, int]]) -> None:
        with self._told():
            if (found := self._table(SEGMENTS)) is None:
                return
            for start in range(0, len(ranges), RANGES):
                some = ranges[start : start + RANGES]
                said = " OR ".join(f"({KEY} >= {first} AND {KEY} < {end})" for first, end in some)
                found.delete(said)

    def count(self) -> int:
        with self._told():
            found = self._table(SEGMENTS)
            return 0 if found is None else found.count_rows()

    def keys(self) -> np.ndarray:
        with self._told():
            if (found := self._table(SEGMENTS)) is None:
                return np.zeros(0, np.int64)
            return np.sort(found.search().select([KEY]).to_arrow()[KEY].to_numpy())

    def finish(self) -> None:
        """Builds the indexes where they are worth it, joins small pieces, forgets what is old.

        Of the segments only when their pieces are joined: until then, what was removed stays in the
        files.
        """
        with self._told():
            found = self._table(SEGMENTS)
            if found is None:
                return
            self._there(CATALOGUE).optimize(cleanup_older_than=KEPT)
            # It writes all of the codes anew.
            if found.stats()["fragment_stats"]["num_fragments"] > MAX_PIECES:
                found.optimize(cleanup_older_than=KEPT)
            rows = found.count_rows()
            if rows > INDEXED_ABOVE:
                outside = self._outside(found, rows)
                partitions = -(-rows // PARTITION)
                made = IvfSq(distance_type="cosine", num_partitions=partitions)
                for column, config in ((EMBEDDING, made), (KEY, BTree())):
                    if outside.get(column, rows) > MAX_OUTSIDE * rows:
                        found.create_index(column, config=config, replace=True)

    def _outside(self, found: Any, rows: int) -> dict[str, int]:
        """Of each column that has an index, the rows that it does not know."""
        known = {}
        for one in found.list_indices():
            stats = found.index_stats(one.name)
            known[one.columns[0]] = rows if stats is None else stats.num_unindexed_rows
        return known

    def search(self, vector: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        with self._told():
            found = self._there(SEGMENTS)
            # Of an average partition; what lies outside of the index is always looked at.
            asked = found.search(vector, vector_column_name=EMBEDDING).distance_type("cosine")
            asked = asked.nprobes(max(1, LOOKED_AT // PARTITION)).refine_factor(REFINED)
            read = asked.limit(count).select([KEY, DISTANCE]).to_arrow()
            return read[KEY].to_numpy(), 1 - read[DISTANCE].to_numpy()

    def read(self, keys: np.ndarray, columns: Sequence[str]) -> list[Any]:
        with self._told():
            found, parts = self._there(SEGMENTS), []
            for start in range(0, len(keys), KEYS):
                some = keys[start : start + KEYS].tolist()
                wanted = f"{KEY} IN ({', '.join(map(str, some))})"
                asked = found.search().where(wanted).select([KEY, *columns]).limit(len(some))
                parts.append(asked.to_arrow())
            read = pa.concat_tables(parts)
            there = read[KEY].to_numpy()
            order = np.argsort(there)
            if not np.isin(keys, there).all():
                raise lacks(self.place, keys, len(there))
            read = read.take(order[np.searchsorted(there[order], keys)])
            return [_values(read[column]) for column in columns]


def _values(column: pa.ChunkedArray) -> Any:
    """Vectors float32 [K, E] as an array, other values as a list."""
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_pylist()
    return np.stack([one.values.to_numpy() for one in column]) if len(column) else []
