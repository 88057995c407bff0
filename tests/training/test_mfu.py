"""What a step is counted as: the same products, whatever computes them."""

import dataclasses
import functools
from typing import Any

import jax
import optax
import pytest

from animclip_jax import sharding
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.parameters import graph_definition
from animclip_jax.training import mfu, step
from animclip_jax.training.losses import LossConfig
from tests import sharded_step

# Without an eye for motion there is less to trace.
CONFIG = dataclasses.replace(sharded_step.CONFIG, motion=MotionConfig())


def counted(attention: str) -> int:
    """FLOPs of a step of a small model on one device."""
    optimizer = optax.sgd(0.1)
    fixed: dict[str, Any] = {
        "graphdef": graph_definition(CONFIG),
        "optimizer": optimizer,
        "loss": LossConfig(matching_weight=1.0, hard_negatives=2),
        "image_size": sharded_step.CLIP.image_size,
        "seed": 0,
        "attention": attention,
    }
    mesh = sharding.make_mesh(sharding.MeshConfig(1, 1), jax.devices()[:1])
    state = step.state_shapes(CONFIG, optimizer)
    return mfu.step_flops(mesh, CONFIG, fixed, state, sharded_step.batch())


@pytest.fixture(scope="module")
def wanted() -> int:
    return counted("xla")


def test_attention_of_our_kernel_counts_as_much_as_that_of_xla(monkeypatch, wanted):
    kernel = functools.partial(sharding.attention_kernel, interpret=True)
    monkeypatch.setattr(step.sharding, "attention_kernel", kernel)
    assert counted("auto") == wanted > 0


def test_attention_of_cudnn_counts_as_much_as_that_of_xla(monkeypatch, wanted):
    monkeypatch.setattr(step.sharding, "platform", lambda mesh: "gpu")
    monkeypatch.setattr(jax.nn, "dot_product_attention", lambda query, *_, **__: query)
    assert counted("kernel") == wanted > 0
