"""MFU, the model FLOPs utilization: how much of the devices' peak a training step uses."""

import dataclasses
import functools
from typing import Any

import jax
from jax.sharding import Mesh

from animclip_jax.animation.batch import Batch
from animclip_jax.models.parameters import graph_definition
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.training import step
from animclip_jax.training.chips import chip_of
from animclip_jax.training.flops import product_flops


def peak_seconds(
    mesh: Mesh,
    model: RetrieverConfig,
    fixed: dict[str, Any],
    state: step.TrainState,
    batch: Batch,
) -> float | None:
    """How long a step would take at the devices' peak; None where that is not known.

    Counts the matrix products of one forward and backward pass, without those that
    rematerialization and gradient caching compute twice. MFU is this over the seconds measured.

    Args:
      fixed: the arguments of `step.train_step` that stay the same. state, batch: its others.
    """
    if (chip := chip_of(jax.devices()[0])) is None:
        return None
    return step_flops(mesh, model, fixed, state, batch) / (chip.flops * jax.device_count())


def step_flops(
    mesh: Mesh,
    model: RetrieverConfig,
    fixed: dict[str, Any],
    state: step.TrainState,
    batch: Batch,
) -> int:
    """What `peak_seconds` counts, of the global batch; its arguments."""
    model = dataclasses.replace(model, clip=dataclasses.replace(model.clip, remat="none"))
    # Of a kernel's products one program's would be counted, or none where cuDNN has them.
    fixed = fixed | {"graphdef": graph_definition(model), "microbatch": 0, "attention": "xla"}
    one = functools.partial(step.train_step, mesh=mesh, **fixed)
    return product_flops(one, state, batch)
