"""The schedule's corners, and which parameters decay."""

import jax.numpy as jnp
import numpy as np

from animclip_jax import optimizer

CONFIG = optimizer.OptimizerConfig(
    learning_rate=0.1, warmup_steps=10, weight_decay=0.5, b1=0.9, b2=0.98, clip_norm=1.0
)


def test_learning_rate_rises_and_falls():
    rate = optimizer.learning_rate(CONFIG, 110)
    np.testing.assert_allclose([rate(0), rate(5), rate(10)], [0, 0.05, 0.1], rtol=1e-6)
    np.testing.assert_allclose([rate(60), rate(110)], [0.05, 0], atol=1e-6)


def test_only_kernels_and_tables_decay():
    params = {
        "a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "scale": jnp.ones(2)},
        "b": {"embedding": jnp.ones((3, 2)), "position_embedding": jnp.ones((3, 2))},
    }
    transformation = optimizer.make_optimizer(CONFIG, 110)
    state = transformation.init(params)
    zeros = {part: {k: 0 * v for k, v in leaves.items()} for part, leaves in params.items()}
    for _ in range(2):  # the first step's learning rate is zero
        updates, state = transformation.update(zeros, state, params)
    np.testing.assert_allclose(updates["a"]["kernel"], -0.5 * 0.01, rtol=1e-5)
    np.testing.assert_allclose(updates["b"]["embedding"], -0.5 * 0.01, rtol=1e-5)
    for part, name in (("a", "bias"), ("a", "scale"), ("b", "position_embedding")):
        assert np.abs(updates[part][name]).max() == 0
