"""Steps keep the learned temperature at the family's most, from where it comes down again."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax import sharding
from animclip_jax.models import parameters
from animclip_jax.models.motion import MotionConfig
from animclip_jax.training import ema, losses, step
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig, make_optimizer
from tests import sharded_step

CONFIG = dataclasses.replace(sharded_step.CONFIG, motion=MotionConfig())
MOST = CONFIG.clip.towers.max_logit_scale
CAP = np.float32(math.log(MOST))


def test_what_is_frozen_or_has_no_average_is_left_alone() -> None:
    before = {"clip": {"log_logit_scale": jnp.float32(9.0), "vision": jnp.ones(2)}}
    frozen = {"clip": {"log_logit_scale": True, "vision": False}}
    assert losses.cut_scale(before, MOST, frozen) is before
    frozen["clip"]["log_logit_scale"] = False
    assert losses.cut_scale(before, MOST, frozen)["clip"]["log_logit_scale"] == CAP
    averages: tuple[dict, ...] = ({}, {"clip": {"vision": jnp.ones(2)}})
    for average in averages:
        assert losses.cut_scale(average, MOST) is average


def test_a_step_leaves_no_more_than_the_most_and_later_ones_come_down() -> None:
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    optimizer = make_optimizer(OptimizerConfig(1e-3, 0, 0.1, 0.9, 0.98, 1.0), 100)
    state = step.init_state(mesh, CONFIG, optimizer, 0)
    clip = state.params["clip"]
    # Beyond the most, as what a run begins with may be.
    clip["log_logit_scale"] += CAP + 1e-3 - clip["log_logit_scale"]
    state = state._replace(average=ema.begin(state.params))
    advance = step.compile_train_step(
        mesh,
        state,
        graphdef=parameters.graph_definition(CONFIG),
        optimizer=optimizer,
        loss=LossConfig(0.0, 2),
        image_size=CONFIG.clip.image_size,
        seed=0,
        average_decay=0.5,
        max_logit_scale=MOST,
    )
    fed = sharding.put_batch(mesh, sharded_step.batch())
    found = []
    for _ in range(3):
        state, metrics = advance(state, fed)
        found.append(float(state.params["clip"]["log_logit_scale"]))
        assert state.average["clip"]["log_logit_scale"] <= CAP
        assert np.isfinite(jax.device_get(metrics["loss"]))
    # Beyond the most there is no gradient; at it there is, and what is drawn wants less of it.
    assert found[0] == CAP > found[1] > found[2]
