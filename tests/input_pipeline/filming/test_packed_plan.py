"""Tests of input_pipeline.filming.packed_plan."""

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.config import AnimationConfig
from input_pipeline import director
from input_pipeline.filming import packed_plan
from tests.input_pipeline.director.plans import draws


@pytest.mark.parametrize("preset", ["repeat", "full", "things"])
def test_a_plan_comes_out_as_it_went_in(preset: str) -> None:
    config = AnimationConfig(preset, num_frames=7)
    size = tf.tile(tf.constant([[[90, 120]]], tf.int32), [5, 1, 1])
    directed, picture, _ = director.direct(draws(5), size, config)
    random = np.random.default_rng(0)
    # Parts that are alike, such as an offset of 0, would hide that two are taken for each other.
    plan = tf.nest.map_structure(
        lambda part: tf.cast(random.integers(0, 2**20, part.shape), part.dtype), directed
    )
    packed = packed_plan.pack(plan, picture)
    one = packed_plan.pack(*tf.nest.map_structure(lambda part: part[0], (plan, picture)))
    assert packed.dtype == tf.float32 and len(packed.shape) == 2
    np.testing.assert_array_equal(one, packed[0])
    arrays = packed_plan.as_arrays(packed.numpy(), config)
    for unpacked in (packed_plan.unpack(packed, config), (arrays, picture)):
        for found, wanted in zip(
            tf.nest.flatten(unpacked), tf.nest.flatten((plan, picture)), strict=True
        ):
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)
