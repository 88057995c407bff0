"""The train step that a configuration asks for, lowered for devices that need not be here."""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from animclip_jax import process, sharding, words
from animclip_jax.animation.batch import Batch, Filmed, Footage
from animclip_jax.animation.plan import ShotPlan, part_shapes
from animclip_jax.animation.told import AXES
from animclip_jax.models import attention_kernels
from animclip_jax.planning import gpus
from animclip_jax.training import gradient_caching, step
from animclip_jax.training.config import TrainingConfig
from input_pipeline.examples import BatchConfig


def described_devices(topology: str) -> Sequence[jax.Device]:
    """Devices that nobody holds: of a TPU slice, "v5e:16x16", or of a machine with GPUs, "h100:8".

    Raises:
      ValueError: their compiler is not here, or knows no such devices.
    """
    is_tpu = re.match(r"v\d", topology)
    return tpu_devices(topology) if is_tpu else gpus.gpu_devices(topology)


def tpu_devices(topology: str) -> Sequence[jax.Device]:
    """The devices of a TPU slice that nobody holds, such as "v5e:16x16".

    Raises:
      ValueError: there is no libtpu here, or it knows no such topology.
    """
    process.describe_tpu()
    from jax.experimental import topologies

    try:
        import libtpu  # noqa: F401  (jax does not say it lacks)
    except ModuleNotFoundError:
        raise ValueError(
            f"--topology={topology}: libtpu, the compiler for TPUs, is not installed: "
            f"{words.installs('tpu')}"
        ) from None
    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except (jax.errors.JaxRuntimeError, NotImplementedError, ValueError) as error:
        raise ValueError(
            f"--topology={topology}: {str(error).splitlines()[0]}; wanted a version and its shape, "
            "such as v5e:16x16, v6e:16x16 or v5p:8x8x8"
        ) from error
    return described.devices


def batch_shapes(config: BatchConfig) -> Batch:
    """What `step.train_step` takes as a batch, as ShapeDtypeStructs of the global batch."""
    animation, canvas = config.animation, config.canvas_size
    T, K, side = animation.num_frames, animation.most_overlap, animation.image_size

    def array(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((config.batch_size, *shape), dtype)

    tokens, index = array(config.context_length, dtype=jnp.int32), array(dtype=jnp.int32)
    told = array(len(AXES))
    if config.has_frames:
        return Footage(array(T, side, side, 3, dtype=jnp.uint8), tokens, index, told)
    plan = ShotPlan(*(array(*shape) for shape in part_shapes(T, K, animation.thing_frames)))
    plan = plan._replace(at=array(K, dtype=jnp.int32))
    return Filmed(array(canvas, canvas, 3, dtype=jnp.uint8), plan, tokens, index, told)


def state_bytes(config: TrainingConfig) -> int:
    """Of parameters and optimizer, all chips' parts together."""
    return _bytes(state_shapes(config))


def stored_bytes_a_clip(config: TrainingConfig, device: jax.Device) -> int:
    """What the encoders keep of a clip and its caption for the backward pass; compiles nothing.

    device: the step's, or one like it.
    """
    params = state_shapes(config).params
    fixed = config.step_arguments(params)
    mesh = sharding.make_mesh(sharding.MeshConfig(1, 1), [device])

    def backward(params: dict, batch: Batch) -> Any:
        def encode(params: dict) -> Any:
            model = step.merge(mesh, fixed["graphdef"], params, fixed["frozen"], fixed["attention"])
            return gradient_caching.encode(model, batch, mesh, fixed["image_size"], microbatch=0)

        return jax.vjp(encode, params)[1]

    def stored(clips: int) -> int:
        batch = batch_shapes(dataclasses.replace(config.batches, batch_size=clips))
        return _bytes(jax.eval_shape(backward, params, batch))

    # Parameters are kept too, whatever the number of clips. The attention kernel takes so many.
    few = attention_kernels.ROWS
    return (stored(2 * few) - stored(few)) // few


def lower(config: TrainingConfig, mesh: Mesh) -> tuple[jax.stages.Lowered, step.TrainState]:
    """The step as `animclip train` jits it, and the shapes of its state."""
    state = state_shapes(config)
    advance = step.compile_train_step(mesh, state, **config.step_arguments(state.params))
    return advance.lower(state, batch_shapes(config.batches)), state


def _bytes(shapes: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def state_shapes(config: TrainingConfig) -> step.TrainState:
    """The state that a run trains, as ShapeDtypeStructs."""
    optimizer = config.make_optimizer()
    return step.state_shapes(config.model, optimizer, config.begin_average, config.lora)
