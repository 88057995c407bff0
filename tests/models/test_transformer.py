"""Tests of the transformer: attention is what jax.nn computes; rounds of layers change nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax import sharding
from animclip_jax.models.attention import attend, mixed, mixed_on_cpu
from animclip_jax.models.retriever import Retriever
from animclip_jax.models.transformer import Attention, Transformer, TransformerConfig
from animclip_jax.training import step
from tests.small_model import CONFIG

QUERIES, KEYS, HEADS, WIDTH = 5, 7, 3, 8


def drawn(*shape: int, seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize("mix", [mixed, mixed_on_cpu])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_attention_is_that_of_jax_nn(mix, masked, is_causal, dtype, most):
    query = drawn(2, QUERIES, HEADS, WIDTH, seed=0).astype(dtype)
    key, value = (drawn(2, KEYS, HEADS, WIDTH, seed=s).astype(dtype) for s in (1, 2))
    mask = None
    if masked:  # the second sequence looks at nothing at all
        mask = (jnp.arange(KEYS) < jnp.array([[4], [0]]))[:, None, None]
    weight = drawn(2, QUERIES, HEADS, WIDTH, seed=3)

    def weighed(attention, *arguments):
        found = attention(*arguments, mask=mask, is_causal=is_causal)
        return jnp.sum(weight * found), found

    both = [
        jax.grad(lambda *given, a=attention: weighed(a, *given), argnums=(0, 1, 2), has_aux=True)
        for attention in (functools.partial(attend, mix=mix), jax.nn.dot_product_attention)
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


def test_a_round_of_several_layers_computes_the_same():
    config = TransformerConfig(width=16, layers=3, heads=2, mlp_width=32)
    make = {"is_causal": True, "dtype": jnp.float32}
    one = Transformer(config, **make, rngs=nnx.Rngs(0))
    several = Transformer(config, **make, rngs=nnx.Rngs(0))
    several.blocks.layers_a_round = 2
    x = drawn(2, 5, 16, seed=0)

    def loss(model, x):
        return jnp.sum(jnp.sin(model(x)))

    gradients = [nnx.grad(loss, argnums=(0, 1))(model, x) for model in (one, several)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *gradients)


def test_a_step_on_cpus_takes_several_layers_a_round_and_attends_as_they_are_fast_at():
    mesh = sharding.make_mesh(sharding.MeshConfig(data=1, fsdp=1), jax.devices()[:1])
    graphdef, state = nnx.split(nnx.eval_shape(lambda: Retriever(CONFIG, rngs=nnx.Rngs(0))))
    model = step.merge(mesh, graphdef, nnx.to_pure_dict(state))
    assert model.clip.vision.transformer.blocks.layers_a_round == step.LAYERS_A_ROUND
    found = [one for _, one in nnx.iter_modules(model) if isinstance(one, Attention)]
    assert {one.mix for one in found} == {mixed_on_cpu}
