"""DSL and QB-Norm: scores made fairer by looking at other queries. Off unless asked for.

Both push down items that are near to every query. DSL (dual softmax, CAMoE, arXiv 2109.04290) looks
at the other queries of the test, which no search engine has; QB-Norm (arXiv 2112.12777) at a bank
of queries from the training set.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from animclip_jax.retrieval.placement import padded, put, whole

KINDS = ("none", "dsl", "qb_norm")
# Queries of the bank looked at together.
CHUNK = 256
# Of DSL's scores this root is compared: float32 would take the smallest ones for zero, all alike.
ROOT = 8


class Normalization(NamedTuple):
    """What is known of a gallery's N items from a bank of queries.

    temperature: float32 scalar, what cosine similarities are multiplied by. log_sum float32 [N]:
    the logarithm of the sum of exp(logit) over the bank. activated bool [N]: the item is some bank
    query's first; only for QB-Norm, None for DSL.
    """

    temperature: Any
    log_sum: Any
    activated: Any = None

    def padded(self, size: int) -> "Normalization":
        """With places for `size` items."""
        activated = None if self.activated is None else padded(self.activated, size)
        return self._replace(log_sum=padded(self.log_sum, size), activated=activated)


def measure(
    kind: str, bank: np.ndarray, gallery: np.ndarray, temperature: float, split: NamedSharding
) -> Normalization | None:
    """Looks at the gallery from every query of the bank.

    Args:
      kind: of KINDS; None comes back for "none".
      bank: float32 [B, E], for DSL the queries of the test themselves.
      gallery: float32 [N, E]. temperature: of the logits, the model's own.
      split: its devices look, each at everything.
    """
    if kind == "none":
        return None
    rows, everywhere = min(CHUNK, len(bank)), whole(split)
    items = put(gallery, everywhere)
    log_sum = np.full(len(gallery), -np.inf, np.float32)
    activated = np.zeros(len(gallery), bool)
    for start in range(0, len(bank), rows):
        some = bank[start : start + rows]
        real = np.arange(rows) < len(some)
        seen = _look(*put((padded(some, rows), real), everywhere), items, temperature)
        found, first = jax.device_get(seen)
        log_sum = np.logaddexp(log_sum, found)
        activated[first[: len(some)]] = True
    return Normalization(np.float32(temperature), log_sum, activated if kind == "qb_norm" else None)


@jax.jit
def _look(bank: jax.Array, real: jax.Array, gallery: jax.Array, temperature: float) -> Any:
    scores = jnp.matmul(bank, gallery.T, precision=jax.lax.Precision.HIGHEST)
    logits = jnp.where(real[:, None], temperature * scores, -jnp.inf)
    return jax.nn.logsumexp(logits, axis=0), jnp.argmax(scores, axis=1)


def normalized(scores: jax.Array, by: Normalization, axes: Any, first: jax.Array) -> jax.Array:
    """Scores [Q, n] of a device's part of the gallery, `first` its first item, normalized.

    They are to be compared; `defined` makes of them what the method says.
    `by.log_sum` is of that part, `by.activated` of all items; `axes` are the mesh's, over which the
    gallery is split.
    """
    share = by.temperature * scores - by.log_sum
    if by.activated is None:
        return jnp.sign(scores) * jnp.exp((jnp.log(jnp.abs(scores)) + share) / ROOT)
    # The whole query changes or stays as it is, by its first item.
    best = scores.max(axis=1)
    highest = jax.lax.pmax(best, axes)
    place = first + scores.argmax(axis=1)
    nearest = jax.lax.pmin(jnp.where(best == highest, place, len(by.activated)), axes)
    return jnp.where(by.activated[nearest][:, None], share, scores)


def defined(compared: jax.Array, by: Normalization) -> jax.Array:
    """Scores as the method defines them, of those that are compared."""
    if by.activated is None:
        return jnp.sign(compared) * jnp.abs(compared) ** ROOT
    return compared


def normalized_fused(
    fused: np.ndarray, candidates: np.ndarray, first: np.ndarray, by: Normalization
) -> np.ndarray:
    """Fused logits [Q, K] of candidates less their items' log_sum: an inverted softmax of them.

    Args:
      candidates: int [Q, K], items. first: int [Q], each query's nearest item before normalization.
    """
    lowered = fused - by.log_sum[candidates]
    if by.activated is None:
        return lowered
    return np.where(by.activated[first][:, None], lowered, fused)
