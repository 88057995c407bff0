"""The moving average of parameters."""

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.training import ema


def test_what_does_not_change_is_its_own_average_exactly():
    params = {"a": {"kernel": jax.random.normal(jax.random.key(0), (64, 64))}}
    average = ema.begin(params)
    for step in range(20):
        average = ema.update(average, params, jnp.int32(step), 0.9)
    np.testing.assert_array_equal(average["a"]["kernel"], params["a"]["kernel"])


def test_the_average_follows_closely_at_first_and_slowly_later():
    zero, one = {"bias": jnp.zeros(3)}, {"bias": jnp.ones(3)}
    first = ema.update(zero, one, jnp.int32(0), 0.9)["bias"]
    late = ema.update(zero, one, jnp.int32(1000), 0.9)["bias"]
    np.testing.assert_allclose((first[0], late[0]), (0.9, 0.1), rtol=1e-6)
