"""Steps of one small model on several meshes: what test_sharding compares. Run as a module.

    python -m tests.sharded_step OUT MESH ...

MESH is data,fsdp,tensor,microbatch,remat, over that many of the devices; with ",lora" behind it
the towers learn by adapters, with ",kernel" attention is our kernel's, step by step, with
",temporal" a transformer sees the frames' order; COORDINATOR, PROCESSES and PROCESS make it one of
several processes. Writes OUT/MESH.npz: the loss of a step, its
gradients, the bytes of them that a device holds; and OUT/MESH.txt, the compiled program.
"""

import dataclasses
import functools
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from animclip_jax import sharding
from animclip_jax.animation.batch import Filmed
from animclip_jax.animation.told import AXES
from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, TemporalConfig
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.sharding import attention_kernel
from animclip_jax.training import lora, step
from animclip_jax.training.lora import LoraConfig
from tests.plans import upright

BATCH, FRAMES, LENGTH, NEGATIVES = 16, 3, 12, 2
# Sizes that nothing else shares: a shape says what it is.
CLIP = ClipConfig(
    image_size=32,
    patch_size=8,
    vision=TransformerConfig(width=48, layers=2, heads=4, mlp_width=88),
    text=TransformerConfig(width=40, layers=2, heads=4, mlp_width=72),
    context_length=LENGTH,
    vocab_size=100,
    embed_dim=28,
)
RERANKER = RerankerConfig(layers=2, width=24, heads=2, mlp_width=56, code_width=20, pooled_grid=2)
MOTION = MotionConfig(features=6, side=32)
CONFIG = RetrieverConfig(CLIP, RERANKER, num_frames=FRAMES, motion=MOTION)
TEMPORAL = TemporalConfig(layers=2, heads=2)

ADAPTERS = LoraConfig(rank=3, targets="attention|mlp")


def name_of(path: tuple) -> str:
    """Of a parameter, joined by slashes."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def varied(x: jax.Array) -> jax.Array:
    """With other amounts added to its numbers."""
    return x + 0.1 * np.cos(np.arange(x.size, dtype=np.float32)).reshape(x.shape)


def keep_gradients() -> optax.GradientTransformation:
    """Moves nothing, and keeps the last gradients as its state."""

    def update(gradients, state, params):
        return jax.tree.map(jnp.zeros_like, gradients), gradients

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def batch(seed: int = 0) -> Filmed:
    """A batch, all of it."""
    random = np.random.default_rng(seed)
    tokens = random.integers(1, 98, (BATCH, LENGTH)).astype(np.int32)
    tokens[:, 0], tokens[:, 5], tokens[:, 6:] = 98, 99, 0
    windows = np.array([0.1, 0.2, 0.8, 0.9], np.float32) + random.uniform(
        -0.1, 0.1, (BATCH, FRAMES, 4)
    )
    plan = upright(windows.astype(np.float32))
    plan.shear[[1, 6, 7, 15]] = 0.05  # devices have one, two or no clips that are rolled
    plan = plan._replace(**things(random))
    canvas = random.integers(0, 255, (BATCH, 40, 40, 3), dtype=np.uint8)
    told = random.integers(-1, 2, (BATCH, len(AXES))).astype(np.float32)
    return Filmed(canvas, plan, tokens, np.arange(BATCH, dtype=np.int32), told)


def things(random: np.random.Generator) -> dict[str, np.ndarray]:
    """The parts of the plan that say what moves, in the clips 2, 6 and 9: one of them is rolled."""
    windows = upright(random.uniform(-0.2, 0.1, (BATCH, FRAMES, 4)).astype(np.float32))
    windows.boxes[..., 2:] += 1
    windows.shear[2] = 0.1
    home = np.zeros((BATCH, 5), np.float32)
    home[:, 4] = 0.3
    home[[2, 6, 9], :4] = [0.5, 0.4, 0.2, 0.15]
    return {
        "home": home,
        "fill": np.tile(np.array([0.0, 0.35], np.float32), (BATCH, 1)),
        "thing_boxes": windows.boxes,
        "thing_shear": windows.shear,
        "thing_smear": windows.smear,
    }


def run(out: Path, mesh_text: str) -> None:
    """One mesh: compiles a step and takes it."""
    *numbers, remat = mesh_text.split(",")[:5]
    data, fsdp, tensor, microbatch = map(int, numbers)
    adapters = ADAPTERS if mesh_text.endswith(",lora") else step.WITHOUT
    is_tpu = mesh_text.endswith(",kernel")
    kernel = functools.partial(attention_kernel, interpret=True) if is_tpu else attention_kernel
    sharding.attention_kernel = kernel
    step.LAYERS_A_ROUND = 1  # a layer a round, as on accelerators
    config = dataclasses.replace(CONFIG, clip=dataclasses.replace(CLIP, remat=remat))
    if has_temporal := mesh_text.endswith(",temporal"):
        config = dataclasses.replace(config, temporal=TEMPORAL)
    chosen = jax.devices()[: data * fsdp * tensor]
    mesh = sharding.make_mesh(sharding.MeshConfig(data, fsdp, tensor), chosen)
    optimizer = keep_gradients()
    state = step.init_state(mesh, config, optimizer, 0, adapters=adapters)
    # The re-ranker's head is zero at the start, and passes no gradient on.
    state = state._replace(params=jax.tree.map(lambda x: x + 0.01, state.params))
    if adapters.rank:
        # A kernel that gets the same added to all that it gives passes nothing on to the next norm.
        state.params[lora.ADAPTERS] = jax.tree.map(varied, state.params[lora.ADAPTERS])
    if has_temporal:  # Nor does one of equal numbers, to the norm before it.
        state.params["temporal"]["out"] = jax.tree.map(varied, state.params["temporal"]["out"])
    frozen = jax.tree_util.tree_map_with_path(
        lambda path, _: bool(re.match(lora.TOWERS, name_of(path))), state.params
    )
    advance = step.compile_train_step(
        mesh,
        state,
        graphdef=parameters.graph_definition(config),
        optimizer=optimizer,
        loss=step.LossConfig(1.0, NEGATIVES),
        image_size=CLIP.image_size,
        seed=0,
        microbatch=microbatch,
        frozen=frozen if adapters.rank else None,
    )
    part, parts = sharding.process_part(mesh)
    rows = slice(part * BATCH // parts, (part + 1) * BATCH // parts)
    fed = sharding.put_batch(mesh, jax.tree.map(lambda x: x[rows], batch()))
    program = advance.lower(state, fed).compile()
    held = sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(state.opt_state)
    )
    state, metrics = program(state, fed)
    whole = jax.jit(lambda x: x, out_shardings=sharding.replicated(mesh))
    gradients: Any = {
        jax.tree_util.keystr(path): np.asarray(whole(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(state.opt_state)
        if not (adapters.rank and re.match(lora.TOWERS, name_of(path)))
    }
    if jax.process_index() == 0:
        np.savez(out / f"{mesh_text}.npz", loss=float(metrics["loss"]), held=held, **gradients)
        (out / f"{mesh_text}.txt").write_text(program.as_text())


if __name__ == "__main__":
    sharding.MIN_SHARDED_SIZE = 2**10
    if "PROCESS" in os.environ:
        jax.distributed.initialize(
            os.environ["COORDINATOR"], int(os.environ["PROCESSES"]), int(os.environ["PROCESS"])
        )
    for text in sys.argv[2:]:
        run(Path(sys.argv[1]), text)
