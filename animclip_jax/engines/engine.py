"""What a published index asks of the engine that holds it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from animclip_jax.engines.place import LANCEDB, Place
from animclip_jax.words import count

# Columns of a segment that can be read by themselves.
EMBEDDING, CODE, THUMBNAIL, SAID = "embedding", "code", "thumbnail", "said"


class Segments(NamedTuple):
    """N segments as an engine keeps them.

    videos: each one's video, its path below the folder that was indexed. times float64 [N, 2]:
    start and end in seconds. embedding float32 [N, E], unit length. code: bytes each, its values
    and then its scales; None where the model does not re-rank. thumbnail: JPEG each. said: what
    subtitles say, "" where nothing.
    """

    videos: Sequence[str]
    times: np.ndarray
    embedding: np.ndarray
    code: Sequence[bytes] | None
    thumbnail: Sequence[bytes]
    said: Sequence[str]


class EngineError(ValueError):
    """An engine that can't be used as it is; says which, why and what to do."""


class Engine(Protocol):
    """Segments by key, an int from 0, and documents by number, which say what the segments are.

    Every method raises EngineError. A reader sees a document only after the segments it is about.
    """

    place: Place

    def documents(self) -> dict[int, str]:
        """All documents; {} where nothing was ever published."""
        ...

    def document(self, number: int) -> str | None:
        """One document as it is now; None where there is none."""
        ...

    def put(self, documents: dict[int, str]) -> None:
        """Writes documents, in the place of those of the same numbers."""
        ...

    def drop(self, numbers: Sequence[int]) -> None:
        """Removes documents."""
        ...

    def add(self, first: int, segments: Segments) -> None:
        """Adds N segments, whose keys are `first` and those that follow."""
        ...

    def remove(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Removes the segments of these keys, from the first of a range to before its end."""
        ...

    def count(self) -> int:
        """How many segments it holds, whatever documents say."""
        ...

    def keys(self) -> np.ndarray:
        """The keys of all of them, int64, that rise."""
        ...

    def finish(self) -> None:
        """Makes searches fast, after the last change of a publication."""
        ...

    def search(self, vector: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys int64 [K] and cosine similarities float32 [K] of the best, the best first.

        vector float32 [E], unit length. Fewer than `count` only where there are fewer.
        """
        ...

    def read(self, keys: np.ndarray, columns: Sequence[str]) -> list[Any]:
        """Of each column the values for the keys int64 [K], 1 or more, in their order.

        Embeddings are float32 [K, E], other columns lists.
        """
        ...


@contextlib.contextmanager
def told(place: Place, *errors: type[BaseException]) -> Iterator[None]:
    """Raises errors of an engine's library in its block as EngineError, in one line."""
    try:
        yield
    except EngineError:
        raise
    except errors as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # Where in its own source a library met the error helps nobody here.
        reason = re.sub(r",? ?\S+\.rs:\d+(:\d+)?", "", lines[0])[:300].rstrip(". ")
        raise EngineError(f"{place}: {reason}; {_advice(place)}") from error


def _advice(place: Place) -> str:
    if place.engine == LANCEDB:
        return (
            "if its files are damaged, remove it and publish again with animclip index --to; the "
            "folder of the index has everything"
        )
    return "is the server up, and is this its URL? Publishing again goes on where it stopped"


def lacks(place: Place, keys: np.ndarray, found: int) -> EngineError:
    """What to raise where segments that documents name are not there."""
    return EngineError(
        f"{place}: has {found} of {count(len(keys), 'segment')}: it was changed, or published in "
        "part; the same animclip index --to completes it"
    )
