"""Tests of input_pipeline.director.draws."""

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.config import COMPONENTS, AnimationConfig
from input_pipeline import director
from input_pipeline.director import draws as director_draws
from tests.input_pipeline.director.plans import draws, eagerly, sizes


def test_noise_is_stateless_uniform_and_of_its_seed_and_position() -> None:
    drawn = draws(4000)
    assert drawn.keys() == COMPONENTS.keys()
    noise = np.stack(list(drawn.values()), axis=1)
    assert noise.dtype == np.float32 and (noise >= 0).all() and (noise < 1).all()
    assert abs(noise.mean() - 0.5) < 0.01 and abs(noise.std() - 12**-0.5) < 0.01
    assert len(np.unique(noise[:, 0, 0, 0])) > 3980
    assert np.abs(np.corrcoef(noise.reshape(4000, -1).T) - np.eye(noise[0].size)).max() < 0.08
    at = tf.constant(10**12, tf.int64)
    for number, name in enumerate(drawn):
        row = director.noise(3, at, 2)[name].numpy()
        assert (row == director.noise(3, at, 2)[name].numpy()).all()
        assert (row != director.noise(4, at, 2)[name].numpy()).all()
        for n in (0, 7, 3999):
            again = director.noise(0, tf.constant(n, tf.int64), 1)[name].numpy()
            assert (again[0] == noise[n, number]).all()


def test_the_draws_are_those_of_every_version() -> None:
    """A run is filmed again years later: these may not change. Nor would docs/animation be true."""
    noise = director.noise(3, tf.constant(10**12, tf.int64), 1)
    found = np.array([noise[name][0, 0, 0] for name in ("framing", "pan", "cut")], np.float32)
    np.testing.assert_array_equal(
        found, np.array([0.13919878005981445, 0.1944882869720459, 0.8099313974380493], np.float32)
    )


def test_a_component_more_leaves_the_others_draws_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    config, size, before = AnimationConfig(), sizes(50), draws(50)
    plans = eagerly(before, size, config)
    monkeypatch.setattr(director_draws, "COMPONENTS", ("new", *reversed(COMPONENTS)))
    draws.cache_clear()
    try:
        after = draws(50)
    finally:
        draws.cache_clear()
    assert after.keys() - before.keys() == {"new"}
    for a, b in zip(eagerly(after, size, config), plans, strict=True):
        assert (a == b).all()
