"""Qdrant as an engine: two collections of a server. Codes and times are payload of the vectors."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

from animclip_jax.engines.engine import (
    CODE,
    EMBEDDING,
    SAID,
    THUMBNAIL,
    EngineError,
    Segments,
    lacks,
    told,
)
from animclip_jax.engines.place import Place
from animclip_jax.words import count, readable

# The collections are NAME and NAME-catalogue; NAME is the path of the URL, if it has one.
NAME, CATALOGUE = "animclip", "-catalogue"
API_KEY = "QDRANT_API_KEY"
# The first server that answers the queries we ask.
OLDEST = (1, 10)
SECONDS = 60
# Points sent at once: a server takes 32 MiB, and a point has about 30 KB. Points read at once.
SENT, READ = 256, 1024
# How many neighbours a search keeps in sight; more find more of the best, and take longer.
SEEN = 512
JSON = "json"
_BYTES = (CODE, THUMBNAIL)
_ERRORS = (ApiException, httpx.HTTPError, ValueError, OSError)


def client_of(place: Place) -> tuple[QdrantClient, str]:
    """The server's client, and the name of the collection that a URL means."""
    url = urlsplit(place.where)
    name = url.path.strip("/") or NAME
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", name):
        raise EngineError(f"{place}: wanted a collection's name of letters and digits behind the /")
    client = QdrantClient(
        url=f"{url.scheme}://{url.netloc}",
        port=url.port or (443 if url.scheme == "https" else 6333),
        api_key=os.environ.get(API_KEY),
        timeout=SECONDS,
        check_compatibility=False,
    )
    return client, name


class Qdrant:
    """An engine. Searches always see what the server holds now."""

    def __init__(self, place: Place):
        """Raises EngineError where no server answers there, or one that is too old."""
        self.place = place
        with self._told():
            self.client, self.name = client_of(place)
            version = self.client.info().version
            numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
        if not OLDEST <= numbers < (2,):
            raise EngineError(
                f"{place}: Qdrant {version}; wanted {'.'.join(map(str, OLDEST))} or a later 1"
            )
        self.catalogue = self.name + CATALOGUE

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        with told(self.place, *_ERRORS):
            yield

    def documents(self) -> dict[int, str]:
        with self._told():
            found = self._all(self.catalogue, [JSON])
            return {int(one.id): self._json(one) for one in found}

    def document(self, number: int) -> str | None:
        with self._told():
            if not self.client.collection_exists(self.catalogue):
                return None
            found = self.client.retrieve(self.catalogue, [number], with_payload=True)
            return self._json(found[0]) if found else None

    def _json(self, point: Any) -> str:
        """Of a point of the catalogue; raises EngineError where it is another program's."""
        if (written := (point.payload or {}).get(JSON)) is None:
            raise EngineError(
                f"{self.place}: the collection {self.catalogue} is another program's; name another "
                "one behind the URL's /"
            )
        return written

    def put(self, documents: dict[int, str]) -> None:
        with self._told():
            if not self.client.collection_exists(self.catalogue):
                self.client.create_collection(self.catalogue, vectors_config={})
            self._send(
                self.catalogue,
                [
                    models.PointStruct(id=number, vector={}, payload={JSON: text})
                    for number, text in documents.items()
                ],
            )

    def drop(self, numbers: Sequence[int]) -> None:
        with self._told():
            self._remove(self.catalogue, list(numbers))

    def add(self, first: int, segments: Segments) -> None:
        with self._told():
            width = segments.embedding.shape[1]
            self._make(width)
            columns = {SAID: segments.said, THUMBNAIL: map(_text, segments.thumbnail)}
            if segments.code is not None:
                columns[CODE] = map(_text, segments.code)
            start, end = segments.times.T.tolist()
            columns |= {"video": map(readable, segments.videos), "start": start, "end": end}
            rows = zip(segments.embedding.tolist(), *columns.values(), strict=True)
            for begin in range(0, len(segments.embedding), SENT):
                some = [next(rows) for _ in range(min(SENT, len(segments.embedding) - begin))]
                self._send(
                    self.name,
                    [
                        models.PointStruct(
                            id=first + begin + number,
                            vector=vector,
                            payload=dict(zip(columns, values, strict=True)),
                        )
                        for number, (vector, *values) in enumerate(some)
                    ],
                )

    def _make(self, width: int) -> None:
        """The collection of the segments. Raises EngineError where it is one of something else."""
        if not self.client.collection_exists(self.name):
            vectors = models.VectorParams(size=width, distance=models.Distance.COSINE, on_disk=True)
            self.client.create_collection(self.name, vectors, on_disk_payload=True)
            return
        there = self.client.get_collection(self.name).config.params.vectors
        if not isinstance(there, models.VectorParams) or (there.size, there.distance) != (
            width,
            models.Distance.COSINE,
        ):
            raise EngineError(
                f"{self.place}: collection {self.name} has other vectors than "
                f"{count(width, 'number')} compared by cosine; name another one behind the URL's /"
            )

    def _send(self, collection: str, points: list[models.PointStruct]) -> None:
        for start in range(0, len(points), SENT):
            self.client.upsert(collection, points[start : start + SENT], wait=True)

    def remove(self, ranges: Sequence[tuple[int, int]]) -> None:
        with self._told():
            self._remove(self.name, [key for first, end in ranges for key in range(first, end)])

    def _remove(self, collection: str, ids: list[int]) -> None:
        for start in range(0, len(ids), READ):
            some = models.PointIdsList(points=[*ids[start : start + READ]])
            self.client.delete(collection, some, wait=True)

    def count(self) -> int:
        with self._told():
            if not self.client.collection_exists(self.name):
                return 0
            return self.client.count(self.name, exact=True).count

    def keys(self) -> np.ndarray:
        with self._told():
            return np.sort(np.array([one.id for one in self._all(self.name, False)], np.int64))

    def _all(self, collection: str, payload: Any) -> Iterator[Any]:
        """All points of a collection, which may not be there."""
        offset, is_there = None, self.client.collection_exists(collection)
        while is_there:
            found, offset = self.client.scroll(
                collection, limit=READ, offset=offset, with_payload=payload
            )
            yield from found
            is_there = offset is not None

    def finish(self) -> None:
        """The server builds and joins what it searches by itself."""

    def search(self, vector: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        with self._told():
            found = self.client.query_points(
                self.name,
                query=vector.tolist(),
                limit=count,
                with_payload=False,
                search_params=models.SearchParams(hnsw_ef=max(SEEN, 2 * count)),
            ).points
            scores = np.array([one.score for one in found], np.float32)
            return np.array([one.id for one in found], np.int64), scores

    def read(self, keys: np.ndarray, columns: Sequence[str]) -> list[Any]:
        plain, found = [one for one in columns if one != EMBEDDING], dict[int, Any]()
        with self._told():
            for start in range(0, len(keys), READ):
                for one in self.client.retrieve(
                    self.name,
                    keys[start : start + READ].tolist(),
                    with_payload=plain or False,
                    with_vectors=EMBEDDING in columns,
                ):
                    found[int(one.id)] = one
        points = [found[key] for key in keys.tolist() if key in found]
        if len(points) < len(keys):
            raise lacks(self.place, keys, len(points))
        return [_column(points, column) for column in columns]


def _column(points: list[Any], column: str) -> Any:
    if column == EMBEDDING:
        return np.array([one.vector for one in points], np.float32)
    values = [one.payload[column] for one in points]
    return [base64.b64decode(one) for one in values] if column in _BYTES else values


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
