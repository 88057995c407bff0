"""Attention by XLA: what queries find among keys and values, the heads in front of the tokens."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from animclip_jax.models.attention_kernels import MASKED

Array = jax.Array
# About how many logits of a head and sequence `capped` computes at once.
AT_ONCE = 1 << 20


def shares(query: Array, key: Array, seen: Array | None, cap: float = 0.0) -> Array:
    """How much of each key every query looks at: float32 [..., N, M]; see `mixed`."""
    logits = jnp.matmul(query, key.mT, preferred_element_type=jnp.float32)
    logits *= query.shape[-1] ** -0.5
    if cap:
        logits = cap * jnp.tanh(logits / cap)
    if seen is not None:
        logits = jnp.where(seen, logits, MASKED)
    return jax.nn.softmax(logits, axis=-1)


def mixed(query: Array, key: Array, value: Array, seen: Array | None, cap: float = 0.0) -> Array:
    """What each query finds, [..., N, D].

    Args:
      query [..., N, D], key and value [..., M, D]; seen: bool, broadcast to [..., N, M], or None.
      cap: what logits stay below, as VideoPrism's do; 0: no cap.
    """
    return jnp.matmul(shares(query, key, seen, cap).astype(value.dtype), value)


def capped(query: Array, key: Array, value: Array, seen: Array | None, cap: float) -> Array:
    """`mixed` of a cap; of a long sequence in groups of queries, so that memory holds few logits.

    The backward pass computes those of each group again. All tokens of a video of VideoPrism have
    16 million logits a head.
    """
    *batch, queries, width = query.shape
    least = queries * key.shape[-2] // AT_ONCE
    if least < 2 or seen is not None:
        return mixed(query, key, value, seen, cap)
    groups = next(n for n in range(min(least, queries), queries + 1) if queries % n == 0)
    parts = jnp.moveaxis(query.reshape(*batch, groups, queries // groups, width), -3, 0)
    group = jax.checkpoint(lambda part: mixed(part, key, value, None, cap))
    found = jnp.moveaxis(jax.lax.map(group, parts), 0, -3)
    return found.reshape(*batch, queries, value.shape[-1])


@jax.custom_vjp
def mixed_on_cpu(query: Array, key: Array, value: Array, seen: Array | None) -> Array:
    """`mixed`, with a backward pass that a CPU is fast at.

    Differentiated by JAX, products sum over the axis before last of an operand, or give a result
    that is transposed afterwards. XLA's library of products for CPUs takes neither, and a plain
    loop takes 1.5 times as long. Here such an operand is transposed first, and stays so behind a
    barrier.
    """
    return mixed(query, key, value, seen)


def _forward(query: Array, key: Array, value: Array, seen: Array | None) -> tuple[Array, tuple]:
    share = shares(query, key, seen).astype(value.dtype)
    return jnp.matmul(share, value), (query, key, value, seen, share)


def _backward(kept: tuple, gradient: Array) -> tuple[Array, Array, Array, None]:
    query, key, value, seen, share = kept
    of_value = jnp.matmul(_transposed(share), gradient)
    of_share = jnp.matmul(gradient, _transposed(value), preferred_element_type=jnp.float32)
    of_logits = share * (of_share - jnp.sum(of_share * share, axis=-1, keepdims=True))
    if seen is not None:  # a query that looks at nothing has an equal share of each
        of_logits = jnp.where(seen, of_logits, 0.0)
    of_logits = (of_logits * query.shape[-1] ** -0.5).astype(query.dtype)
    return jnp.matmul(of_logits, key), jnp.matmul(_transposed(of_logits), query), of_value, None


def _transposed(matrices: Array) -> Array:
    return jax.lax.optimization_barrier(matrices.mT)


mixed_on_cpu.defvjp(_forward, _backward)


def attend(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    is_causal: bool = False,
    mix: Callable[..., Array] = mixed,
) -> Array:
    """What `jax.nn.dot_product_attention` computes, with the heads in front of the tokens.

    A CPU multiplies heads that lie apart one by one, and each is small; together they take two
    thirds of the time.

    Args:
      query [..., N, H, D], key and value [..., M, H, D]; mask bool, broadcast to [..., H, N, M].
      mix: `mixed`, or what computes the same.

    Returns:
      [..., N, H, D].
    """
    query, key, value = (jnp.moveaxis(part, -2, -3) for part in (query, key, value))
    if is_causal:
        seen = jnp.tri(query.shape[-2], key.shape[-2], dtype=bool)
        mask = seen if mask is None else mask & seen
    return jnp.moveaxis(mix(query, key, value, mask), -3, -2)
