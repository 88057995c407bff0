"""Attention with the heads in front is what jax.nn computes, gradients too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from animclip_jax.models.transformer import attend

QUERIES, KEYS, HEADS, WIDTH = 5, 7, 3, 8


def drawn(*shape: int, seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_attention_is_that_of_jax_nn(masked, is_causal, dtype, most):
    query = drawn(2, QUERIES, HEADS, WIDTH, seed=0).astype(dtype)
    key, value = (drawn(2, KEYS, HEADS, WIDTH, seed=s).astype(dtype) for s in (1, 2))
    mask = None
    if masked:  # the second sequence looks at nothing at all
        mask = (jnp.arange(KEYS) < jnp.array([[4], [0]]))[:, None, None]
    weight = drawn(2, QUERIES, HEADS, WIDTH, seed=3)

    def weighed(attention, *arguments):
        mixed = attention(*arguments, mask=mask, is_causal=is_causal)
        return jnp.sum(weight * mixed), mixed

    both = [
        jax.grad(lambda *given, a=attention: weighed(a, *given), argnums=(0, 1, 2), has_aux=True)
        for attention in (attend, jax.nn.dot_product_attention)
    ]
    ours, theirs = (function(query, key, value) for function in both)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(
            np.asarray(a, np.float32), np.asarray(b, np.float32), atol=most
        ),
        ours,
        theirs,
    )
    assert ours[1].dtype == theirs[1].dtype
