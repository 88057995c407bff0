"""Counting a function's products: inside scans as often as they run."""

import jax
import jax.numpy as jnp

from animclip_jax.training import flops
from tests.small_model import CONFIG

X = jnp.ones((4, 8))
W = jnp.ones((8, 8))


def test_products_are_counted_with_their_repetitions():
    def scanned(x, w):
        return jax.lax.scan(lambda x, _: (jax.checkpoint(jnp.matmul)(x, w), None), x, length=5)[0]

    one = 2 * 4 * 8 * 8
    assert flops.product_flops(jnp.matmul, X, W) == one
    assert flops.product_flops(jax.jit(scanned), X, W) == 5 * one
    batched = flops.product_flops(lambda x, w: jnp.einsum("bij,bjk->bik", x, w), X[None], W[None])
    assert batched == one
    either = lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x)  # noqa: E731
    assert flops.product_flops(either, X, W) == one


def test_products_of_all_devices_are_counted():
    mesh = jax.sharding.AbstractMesh(
        (4, 2), ("data", "tensor"), axis_types=(jax.sharding.AxisType.Auto,) * 2
    )
    rows = jax.sharding.PartitionSpec("data")
    everywhere = jax.sharding.PartitionSpec()

    def on_each(x, w):
        return jax.shard_map(jnp.matmul, mesh=mesh, in_specs=(rows, everywhere), out_specs=rows)(
            x, w
        )

    assert flops.product_flops(on_each, X, W) == flops.product_flops(jnp.matmul, X, W)

    def beside_nothing(x, w, nothing):
        function = lambda x, w, _: x @ w  # noqa: E731
        specs = (rows, everywhere, rows)
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=rows)(x, w, nothing)

    found = flops.product_flops(beside_nothing, X, W, jnp.zeros((4, 0)))
    assert found == flops.product_flops(jnp.matmul, X, W)


def test_a_pair_costs_what_its_layers_do():
    """A caption this short is projected to meet the code."""
    clip, reranker = CONFIG.clip, CONFIG.reranker
    L, M = 7, CONFIG.num_frames * (1 + reranker.pooled_grid**2)
    W, C = reranker.width, reranker.code_width

    def attention(memory: int, width: int) -> int:
        return 2 * L * W * W + 2 * memory * width * W + 2 * L * memory * W

    reading = 2 * L * W * W + 2 * L * W * C + 2 * reranker.heads * L * M * C
    block = attention(L, W) + reading + 2 * L * W * reranker.mlp_width
    head = 2 * W * W + W
    products = L * clip.text.width * W + reranker.layers * block + reading + head
    assert flops.pair_flops(CONFIG, L) == 2 * products
