"""Attention by our kernel: XLA's values and gradients, here step by step; compiled for TPUs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax import process
from animclip_jax.models.attention_kernels import Kernel, Sizes, attend
from animclip_jax.models.reranker import Reranker, RerankerConfig
from animclip_jax.models.transformer import Attention, Transformer, TransformerConfig
from animclip_jax.planning import hlo
from tests.small_model import SMALL


def here(function, batch):
    return function(batch)


INTERPRETED = Kernel(here, devices=1, interpret=True)
# Lengths of which one, two or eight fill tiles; heads that share a tile and heads that do not.
SELF = [Sizes(20, 20, 4, 64), Sizes(17, 17, 2, 64, is_causal=True), Sizes(16, 16, 3, 80)]
ACROSS = [Sizes(20, 28, 4, 64), Sizes(16, 6, 2, 24)]


def drawn(sizes: Sizes, dtype, masked: bool):
    """Queries [B, N, H, D], keys and values [B, M, 2, H, D], a mask bool [B, M] or None."""
    random = np.random.default_rng(0)
    shape = (sizes.heads, sizes.head_width)
    batch = 2 * sizes.least
    query = random.normal(size=(batch, sizes.queries, *shape)) * 2
    key_value = random.normal(size=(batch, sizes.keys, 2, *shape)) * 2
    mask = np.arange(sizes.keys) < random.integers(1, sizes.keys, (batch, 1)) if masked else None
    return jnp.asarray(query, dtype), jnp.asarray(key_value, dtype), mask


def by_xla(query, key_value, mask, sizes: Sizes):
    mask = None if mask is None else mask[:, None, None]
    return jax.nn.dot_product_attention(
        query, key_value[:, :, 0], key_value[:, :, 1], mask=mask, is_causal=sizes.is_causal
    )


def by_kernel(query, key_value, mask, sizes: Sizes, together: bool = False):
    def rows(part):
        split = part.reshape(*part.shape[:3], -1, sizes.group, sizes.head_width)
        return jnp.moveaxis(split, 3, 2).reshape(part.shape[0] * part.shape[1], -1)

    parts = [query[:, :, None], key_value]
    if together:
        parts = [jnp.concatenate(parts, axis=2)]
    mixed = attend([rows(part) for part in parts], mask, sizes, interpret=True)
    return mixed.reshape(query.shape)


def largest_difference(ours, theirs) -> float:
    """In parts of an array's largest value, where that is no less than 0.1."""
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max(
        float(jnp.abs(a - b).max() / jnp.maximum(jnp.abs(b).max(), 0.1))
        for a, b in (jax.tree.map(jnp.float32, pair) for pair in pairs)
    )


@pytest.mark.parametrize(
    ("sizes", "masked", "together"),
    [(SELF[0], False, True), (SELF[0], True, True), (SELF[1], True, True), (SELF[2], False, True)]
    + [(ACROSS[0], False, False), (ACROSS[1], True, False)],
)
@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-5), ("bfloat16", 0.02)])
def test_values_and_gradients_are_those_of_xla(sizes, masked, together, dtype, most):
    query, key_value, mask = drawn(sizes, dtype, masked)

    def both(function, **more):
        mixed, pull = jax.vjp(lambda q, kv: function(q, kv, mask, sizes, **more), query, key_value)
        return mixed, pull(jnp.cos(mixed))

    ours = both(by_kernel, together=together)
    assert largest_difference(ours, both(by_xla)) < most
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(ours))


def test_a_caption_all_of_which_is_masked_gets_the_mean_as_by_xla():
    query, key_value, mask = drawn(SELF[0], "float32", True)
    mask[1] = False
    ours, theirs = (f(query, key_value, mask, SELF[0]) for f in (by_kernel, by_xla))
    assert largest_difference(ours, theirs) < 1e-5


def with_kernel(model: nnx.Module) -> nnx.Module:
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Attention):
            module.kernel = INTERPRETED
    return model


def value_and_gradients(model: nnx.Module, kernel: bool, *given):
    graphdef, params = nnx.split(model)

    def loss(params, given):
        merged = nnx.merge(graphdef, params)
        found = (with_kernel(merged) if kernel else merged)(*given)
        return jnp.sum(jnp.sin(found)), found

    def inexact(x):
        return jnp.issubdtype(x.dtype, jnp.inexact)

    moved = [x for x in given if inexact(x)]
    still = [x for x in given if not inexact(x)]
    gradients, found = jax.grad(
        lambda params, moved: loss(params, [*moved[:1], *still, *moved[1:]]), (0, 1), has_aux=True
    )(params, moved)
    return found, gradients


@pytest.mark.parametrize(("remat", "is_causal"), [("none", True), ("block", False), ("dots", True)])
def test_a_tower_computes_the_same_with_it(remat, is_causal):
    model = Transformer(
        TransformerConfig(width=32, layers=2, heads=2, mlp_width=48),
        is_causal=is_causal,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
        remat=remat,
    )
    x = jax.random.normal(jax.random.key(1), (2, 20, 32))
    theirs, ours = (value_and_gradients(model, kernel, x) for kernel in (False, True))
    assert largest_difference(ours, theirs) < 1e-5


def test_the_re_ranker_computes_the_same_with_it():
    model = Reranker(SMALL, RerankerConfig(width=32, heads=2, code_width=24), rngs=nnx.Rngs(0))
    model.head_out.kernel[...] = jnp.ones_like(model.head_out.kernel[...])
    random = np.random.default_rng(2)
    pairs, length = 2, 20
    hidden = jnp.asarray(random.normal(size=(pairs, length, SMALL.text.width)), jnp.float32)
    code = jnp.asarray(random.normal(size=(pairs, 16, 24)), jnp.float32)
    mask = jnp.arange(length) < jnp.asarray(random.integers(2, length, (pairs, 1)))
    theirs, ours = (
        value_and_gradients(model, kernel, hidden, mask, code) for kernel in (False, True)
    )
    # Without optimization XLA rounds more, and the norms of six layers enlarge it.
    assert largest_difference(ours, theirs) < 3e-4


def test_what_it_does_not_serve_is_left_to_xla():
    one, two = Kernel(here, 1), Kernel(here, 2)
    fits = Sizes(50, 50, 12, 64)
    assert one.serves(4, fits) and two.serves(8, fits)
    assert not two.serves(4, fits)  # rows of two sequences fill no tile
    assert not one.serves(8, fits._replace(queries=1))
    assert not one.serves(8, fits._replace(queries=1600, keys=1600))
    # Not even eight sequences of all the heads, which do not share tiles, fit on chip.
    assert not one.serves(8, Sizes(729, 729, 15, 72))


# Of published models; eight sequences fill tiles at any length.
BATCH = 8
COMPILED = {
    "ViT-B/32": Sizes(50, 50, 12, 64),
    "ViT-L/14": Sizes(257, 257, 16, 64),
    "SigLIP SO400M/14": Sizes(256, 256, 16, 72),
    "captions": Sizes(77, 77, 8, 64, is_causal=True),
    "re-ranker": Sizes(77, 60, 4, 64),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("topology", "names"),
    [
        ("v5e:2x2", COMPILED),
        ("v6e:2x2", ["ViT-B/32", "captions"]),
        ("v5p:2x2x1", ["ViT-B/32", "re-ranker"]),
    ],
)
def test_tpus_compile_it_and_the_plan_counts_it(topology, names):
    pytest.importorskip("libtpu", reason="no compiler for TPUs: pip install '.[tpu]'")
    process.compile_alone()
    from animclip_jax.planning.program import tpu_devices

    device = jax.sharding.SingleDeviceSharding(tpu_devices(topology)[0])
    for name in names:
        sizes = COMPILED[name]
        width, masked = sizes.heads * sizes.head_width, name == "re-ranker"

        def array(rows, columns, dtype=jnp.bfloat16):
            return jax.ShapeDtypeStruct((rows, columns), dtype, sharding=device)

        queries = array(BATCH * sizes.queries, width)
        parts = [array(BATCH * sizes.queries, 3 * width)]
        if masked:
            parts = [queries, array(BATCH * sizes.keys, 2 * width)]
        mask = array(BATCH, sizes.keys, bool) if masked else None

        def step(parts, mask, cotangent, sizes=sizes):
            mixed, pull = jax.vjp(lambda parts: attend(parts, mask, sizes), parts)
            return mixed, pull(cotangent)

        assert Kernel(here, 1).serves(BATCH, sizes), name
        text = jax.jit(step).lower(parts, mask, queries).compile().as_text() or ""
        cost = hlo.cost(text)
        # Two products forward, five backward; of memory the parts twice and their gradients, the
        # result and its gradient.
        assert cost.flops == 7 * 2 * BATCH * sizes.queries * sizes.keys * width, name
        moved = 2 * BATCH * width * (5 * sizes.queries + 6 * sizes.keys)
        assert moved <= cost.bytes < 1.01 * moved + 3 * BATCH * sizes.keys * 8, name
