"""Attention by cuDNN, on GPUs: what it takes, and how it is asked."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def serves_cudnn(query: Array) -> bool:
    """Whether cuDNN computes attention of such queries [..., N, H, D]."""
    *batch, _, _, width = query.shape
    return len(batch) == 1 and query.dtype == jnp.bfloat16 and width % 8 == 0 and width <= 128


def by_cudnn(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    is_causal: bool = False,
    implementation: str = "cudnn",
) -> Array:
    """`attend` by cuDNN, for queries that it serves.

    It wants even numbers of tokens, and is told how many keys of each sequence are looked at.

    Args:
      query [B, N, H, D], key and value [B, M, H, D]; mask bool [B, 1, 1, M], True for the first
        keys of each sequence. implementation: another one of JAX's, for tests.
    """
    batch, queries, keys = query.shape[0], query.shape[1], key.shape[1]
    lengths = None
    if mask is not None:
        lengths = jnp.broadcast_to(mask.sum((1, 2, 3), jnp.int32), (batch,))
    elif keys % 2:
        lengths = jnp.full((batch,), keys, jnp.int32)
    even = [jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, 0), (0, 0))) for x in (query, key, value)]
    options: Any = {"is_causal": is_causal, "implementation": implementation}
    found = jax.nn.dot_product_attention(*even, key_value_seq_lengths=lengths, **options)
    return found[:, :queries]
