"""Counting a function's products: inside scans as often as they run."""

import jax
import jax.numpy as jnp

from animclip_jax import throughput

X = jnp.ones((4, 8))
W = jnp.ones((8, 8))


def test_products_are_counted_with_their_repetitions():
    def scanned(x, w):
        return jax.lax.scan(lambda x, _: (jax.checkpoint(jnp.matmul)(x, w), None), x, length=5)[0]

    one = 2 * 4 * 8 * 8
    assert throughput.product_flops(jnp.matmul, X, W) == one
    assert throughput.product_flops(jax.jit(scanned), X, W) == 5 * one
    batched = throughput.product_flops(
        lambda x, w: jnp.einsum("bij,bjk->bik", x, w), X[None], W[None]
    )
    assert batched == one
    either = lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x)  # noqa: E731
    assert throughput.product_flops(either, X, W) == one
