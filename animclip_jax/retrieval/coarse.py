"""Stage one: every query against the whole gallery by embeddings; the K best go on."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.retrieval import metrics

# Queries scored at once: bounds the score matrix to this many rows.
CHUNK = 256


class CoarseResult(NamedTuple):
    """candidates int32 [Q, K], best first; scores float32 [Q, K]; ranks int64 [Q] (1 is best)."""

    candidates: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray


@functools.partial(jax.jit, static_argnames="k")
def _score(queries: jax.Array, gallery: jax.Array, k: int) -> tuple[jax.Array, ...]:
    scores = jnp.matmul(queries, gallery.T, precision=jax.lax.Precision.HIGHEST)
    return scores, *jax.lax.top_k(scores, k)


def coarse_stage(
    queries: np.ndarray,
    gallery: np.ndarray,
    query_group: np.ndarray,
    gallery_group: np.ndarray,
    k: int,
) -> CoarseResult:
    """Exact top-K by cosine similarity, and the rank of each query's best right item.

    Args:
      queries: float32 [Q, E]. gallery: float32 [N, E], unit length both.
      query_group: int [Q]. gallery_group: int [N]; equal groups belong together.
      k: candidates a query, at most N.
    """
    results = []
    for start in range(0, len(queries), CHUNK):
        part = slice(start, start + CHUNK)
        scores, best, candidates = jax.device_get(_score(queries[part], gallery, k))
        right = query_group[part, None] == gallery_group[None]
        results.append(CoarseResult(candidates, best, metrics.ranks(scores, right)))
    return CoarseResult(*(np.concatenate(column) for column in zip(*results, strict=True)))
