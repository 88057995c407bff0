"""Stage one of a search: the segments whose embeddings are most like a query's."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jax.sharding import NamedSharding

from animclip_jax.retrieval import coarse


class StageOne(Protocol):
    """Finds the best segments of an index."""

    def nearest(
        self, vector: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> list[tuple[int, float]]:
        """Segments and their cosine similarities, the best first.

        Args:
          vector: float32 [E], unit length.
          count: how many, at most. allowed: bool [N], which may be found; None: all.
        """
        ...


class Flat:
    """Compares a query with all embeddings, which are held on the devices.

    Exact, except for a TPU's approximate search above 2^20 segments (`retrieval/coarse.py`).
    """

    def __init__(self, embedding: np.ndarray, split: NamedSharding):
        """embedding: float32 [N, E], unit length. split: how they lie on the devices."""
        self.gallery, self.split = coarse.hold(embedding, split), split

    def nearest(
        self, vector: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> list[tuple[int, float]]:
        segments, scores = coarse.top_k(
            vector[None], self.gallery, count, self.split, allowed=allowed
        )
        found = scores[0] > -np.inf
        return list(zip(segments[0][found].tolist(), scores[0][found].tolist(), strict=True))
