"""An index that is searched where it was published, on an engine."""

from __future__ import annotations

import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from animclip_jax.engines.engine import (
    CODE,
    EMBEDDING,
    SAID,
    THUMBNAIL,
    EngineError,
)
from animclip_jax.engines.opening import connect
from animclip_jax.engines.place import Place
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.models.video_code import PackedCode
from animclip_jax.video_index import publication, spoken
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.spoken import Spoken
from animclip_jax.video_index.stage_one import StageOne

# Segments whose embeddings are compared at once, and up to which that is better than to ask the
# engine for many and leave most out.
AT_ONCE = 4096
# The most that an engine is asked for.
MOST = 16384


class PublishedIndex(Index):
    """The segments of a published index, by number; embeddings and codes stay on the engine.

    Videos, times and numbers are in memory: about 200 bytes a segment. `row` of a segment is its
    key on the engine.
    """

    def __init__(self, place: Place):
        """Raises EngineError where it can't be read, or nothing is published there."""
        self.engine = connect(place)
        if (found := publication.read(self.engine)) is None:
            raise EngineError(
                f"{place}: no index is published there; animclip index --to publishes"
            )
        about, self.documents = found
        if not self.documents:
            raise EngineError(f"{place}: no video in this index")
        self.catalogue, self.code = about.catalogue, about.code
        self.state = 0, 0, about.state
        self.root = Path(self.catalogue.root)
        self._number(self.catalogue)
        self.times = np.concatenate([self.documents[name].times for name in self.videos])

    def newest_state(self) -> tuple[int, int, int] | None:
        try:
            about = publication.about_of(self.engine)
        except EngineError:
            return None
        return None if about is None else (0, 0, about.state)

    def reopened(self) -> PublishedIndex:
        return PublishedIndex(self.engine.place)

    def stage_one(self, split: NamedSharding) -> StageOne:
        return OnEngine(self)

    def numbers(self, keys: np.ndarray) -> np.ndarray:
        """The segments of keys int64 [K]: int [K], -1 where it was published later."""
        places = np.minimum(np.searchsorted(self.row, keys), len(self) - 1)
        return np.where(self.row[places] == keys, places, -1)

    def embeddings(self, segments: np.ndarray) -> np.ndarray:
        (found,) = self.engine.read(self.row[segments], [EMBEDDING])
        return self._finite(found)

    def features(self, segments: np.ndarray) -> VideoFeatures:
        embedding, codes = self.engine.read(self.row[segments], [EMBEDDING, CODE])
        dtype, (tokens, width) = jnp.dtype(self.catalogue.code_dtype), self.code
        size = tokens * width * dtype.itemsize
        packed = np.stack([np.frombuffer(one, np.uint8) for one in codes])
        values = packed[:, :size].copy().view(dtype).reshape(-1, tokens, width)
        scales = None
        if dtype == jnp.int8:
            scales = self._finite(packed[:, size:].copy().view(np.float16))
        else:
            self._finite(values.astype(np.float32))
        return VideoFeatures(self._finite(embedding), PackedCode(values, scales))

    def _finite(self, array: np.ndarray) -> np.ndarray:
        if not np.isfinite(array).all():
            place = self.engine.place
            raise EngineError(f"{place}: numbers that are not finite; {publication.ADVICE}")
        return array

    def thumbnail(self, segment: int) -> bytes:
        ((found,),) = self.engine.read(self.row[[segment]], [THUMBNAIL])
        return found

    @property
    def speaks(self) -> bool:
        return any(one.speaks for one in self.documents.values())

    @functools.cached_property
    def _spoken(self) -> Spoken:
        speaks = [self.documents[name].speaks for name in self.videos]
        speaking = np.flatnonzero(np.repeat(speaks, np.diff(self.starts)))
        texts = [""] * len(self)
        for start in range(0, len(speaking), AT_ONCE):
            some = speaking[start : start + AT_ONCE]
            (said,) = self.engine.read(self.row[some], [SAID])
            for segment, text in zip(some.tolist(), said, strict=True):
                texts[segment] = text
        return spoken.held(texts)


class OnEngine:
    """Stage one by an engine: as exact as its index, and exact where few segments are allowed."""

    def __init__(self, index: PublishedIndex):
        self.index, self.engine = index, index.engine

    def nearest(
        self, vector: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> list[tuple[int, float]]:
        """As `StageOne`. What is not allowed is left out of more than were asked for."""
        everything = len(self.index)
        may = everything if allowed is None else int(allowed.sum())
        if allowed is not None and may <= AT_ONCE:
            return self._compared(vector, count, allowed)
        ask = count
        if may < everything:
            ask = min(MOST, 2 * count * everything // may)
        while True:
            keys, scores = self.engine.search(vector, ask)
            segments = self.index.numbers(keys)
            right = segments >= 0
            if allowed is not None:
                right &= allowed[segments]
            enough = right.sum() >= min(count, may)
            if enough or ask == MOST or len(keys) < ask:
                break
            ask = min(MOST, 4 * ask)
        if not enough and allowed is not None:
            return self._compared(vector, count, allowed)
        found = zip(segments[right].tolist(), scores[right].tolist(), strict=True)
        return list(found)[:count]

    def _compared(
        self, vector: np.ndarray, count: int, allowed: np.ndarray
    ) -> list[tuple[int, float]]:
        """The best of the allowed segments, each compared with the query."""
        best: list[tuple[float, int]] = []
        segments = np.flatnonzero(allowed)
        for start in range(0, len(segments), AT_ONCE):
            some = segments[start : start + AT_ONCE]
            scores = self.index.embeddings(some) @ vector
            best += zip((-scores).tolist(), some.tolist(), strict=True)
            best = sorted(best)[:count]
        return [(segment, -score) for score, segment in best]
