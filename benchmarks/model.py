"""What the model costs: each preset's size, FLOPs, memory, compile and step time; pairs a second.

    python -m benchmarks.model [--quick] [--presets vit_b32,vit_l14] [--json FILE]

Peers are measured in the same run: the same layers in a Python loop instead of a scan, Hugging
Face's CLIP in PyTorch where the extra `parity` is installed, and instead of our re-ranker over the
compact code two joint transformers: over the caption and every token of every frame, and as
CLIP4Clip's tight similarity over the caption as one token and one token a frame. On a GPU both
sides compute in bfloat16 and PyTorch is compiled.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import importlib.util
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from animclip_jax import files, process
from animclip_jax.models.clip import Clip, ClipConfig
from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.models.reranker import CODE_DTYPES, Reranker
from animclip_jax.models.retriever import unit
from animclip_jax.models.tight import TightTransformer
from animclip_jax.models.transformer import (
    REMAT_POLICIES,
    Stack,
    Transformer,
    TransformerConfig,
    take_layers_a_round,
)
from animclip_jax.models.video_code import stored_bytes
from animclip_jax.training.step import LAYERS_A_ROUND

QUICK_PRESETS = ("tiny", "small")
NUM_FRAMES = 12
# Clips whose memory is measured, pairs that are scored at once, captions' bucket.
MEMORY_BATCH, PAIRS, TEXT_TOKENS = 4, 32, 16
Row = dict[str, Any]
Steps = Mapping[str, Callable[[], Any]]  # by name, what is timed


@contextlib.contextmanager
def unrolled() -> Iterator[None]:
    """Layers follow each other in the program, as without a scan."""

    def call(self: Stack, x: jax.Array, *args: jax.Array) -> jax.Array:
        graphdef, layers = nnx.split(self.layers)
        for i in range(jax.tree.leaves(layers)[0].shape[0]):
            layer = jax.tree.map(lambda leaf, i=i: leaf[i], layers)
            x = nnx.merge(graphdef, layer)(x, *args)
        return x

    with mock.patch.object(Stack, "__call__", call):
        yield


def split(make: Callable[[], nnx.Module]) -> tuple[Any, dict]:
    """A model's definition and the shapes of its parameters; builds nothing."""
    graphdef, state = nnx.split(nnx.eval_shape(make))
    return graphdef, nnx.to_pure_dict(state)


def clip_of(config: ClipConfig) -> tuple[Any, dict]:
    """As `split`, of both towers."""
    return split(lambda: Clip(config, rngs=nnx.Rngs(0)))


def encode(
    graphdef: Any, params: dict, frames: jax.Array, tokens: jax.Array, layers_a_round: int = 1
) -> jax.Array:
    """frames [B, T, S, S, 3] and tokens [B, L] -> logits [B, B] of captions and clips."""
    model = nnx.merge(graphdef, params)
    take_layers_a_round(model, layers_a_round)
    video = unit(unit(model.vision.of_videos(frames)[0]).mean(axis=1))
    text = unit(model.text(tokens)[0])
    return model.logit_scale * jnp.matmul(text, video.T, precision=jax.lax.Precision.HIGHEST)


def loss(
    params: dict,
    frames: jax.Array,
    tokens: jax.Array,
    graphdef: Any,
    layers_a_round: int = 1,
) -> jax.Array:
    """CLIP's symmetric contrastive loss."""
    logits = encode(graphdef, params, frames, tokens, layers_a_round)
    both = jax.nn.log_softmax(logits, axis=0) + jax.nn.log_softmax(logits, axis=1)
    return -jnp.mean(jnp.diagonal(both)) / 2


def batch_shapes(config: ClipConfig, clips: int, num_frames: int) -> tuple[Any, Any]:
    """Shapes of a batch of clips and their captions."""
    side = config.image_size
    frames = jax.ShapeDtypeStruct((clips, num_frames, side, side, 3), jnp.float32)
    return frames, jax.ShapeDtypeStruct((clips, config.context_length), jnp.int32)


def filled(shapes: Any, seed: int = 0) -> Any:
    """Arrays of these shapes: small numbers drawn at random, and tokens with an end token."""
    rng = np.random.default_rng(seed)

    def fill(leaf: Any) -> jax.Array:
        if leaf.dtype == jnp.int32:
            tokens = rng.integers(1, 90, leaf.shape, np.int32)
            tokens[..., -1] = 99
            return jnp.asarray(tokens)
        if leaf.dtype == jnp.bool_:
            return jnp.ones(leaf.shape, bool)
        return jnp.asarray(0.05 * rng.standard_normal(leaf.shape, np.float32)).astype(leaf.dtype)

    return jax.tree.map(fill, shapes)


def flops(function: Callable, *shapes: Any) -> float:
    """Of a program as XLA counts them before it optimises; a scan's body would count once."""
    with unrolled():
        found: Any = jax.jit(function).lower(*shapes).cost_analysis()
        return found["flops"]


def cost(config: ClipConfig) -> Row:
    """Parameters, and the forward pass's FLOPs for a clip of NUM_FRAMES frames and a caption."""
    graphdef, params = clip_of(config)
    forward = flops(
        functools.partial(encode, graphdef), params, *batch_shapes(config, 1, NUM_FRAMES)
    )
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    return {"parameters, M": count / 1e6, "GFLOP a clip": forward / 1e9}


def compiled(
    config: ClipConfig, clips: int, num_frames: int, layers_a_round: int = 1
) -> tuple[Any, float]:
    """The compiled gradient of the loss, and the seconds that took."""
    graphdef, params = clip_of(config)
    fixed = functools.partial(loss, graphdef=graphdef, layers_a_round=layers_a_round)
    gradient = jax.jit(jax.value_and_grad(fixed))
    began = time.perf_counter()
    program = gradient.lower(params, *batch_shapes(config, clips, num_frames)).compile()
    return program, time.perf_counter() - began


def memory(config: ClipConfig) -> Row:
    """What a clip adds to a step's memory, under each remat policy, in MB."""
    row = {}
    for remat in REMAT_POLICIES:
        program, _ = compiled(dataclasses.replace(config, remat=remat), MEMORY_BATCH, NUM_FRAMES)
        row[f"MB a clip, {remat}"] = (
            program.memory_analysis().temp_size_in_bytes / MEMORY_BATCH / 1e6
        )
    return row


def compile_times(config: ClipConfig) -> Row:
    """Seconds to trace and compile a step on one frame, layers scanned and unrolled."""
    scanned = compiled(config, 2, 1)[1]
    with unrolled():
        return {"compile s, scanned": scanned, "compile s, unrolled": compiled(config, 2, 1)[1]}


def step_times(config: ClipConfig, clips: int, repeats: int, beside: Steps | None = None) -> Row:
    """Seconds a forward and backward pass of `clips` pictures and captions, ours and PyTorch's."""
    on_cpu = jax.default_backend() == "cpu"
    if not on_cpu:
        config = dataclasses.replace(config, dtype="bfloat16")
    program, _ = compiled(config, clips, 1, LAYERS_A_ROUND if on_cpu else 1)
    params = filled(clip_of(config)[1])
    frames, tokens = filled(batch_shapes(config, clips, 1))
    steps = dict(beside or {})
    steps["step s, ours"] = lambda: jax.block_until_ready(program(params, frames, tokens))
    if all(importlib.util.find_spec(name) for name in ("torch", "transformers")):
        steps["step s, PyTorch"] = torch_step(config, np.asarray(frames[:, 0]), np.asarray(tokens))
    return interleaved(steps, repeats)


def torch_step(config: ClipConfig, frames: np.ndarray, tokens: np.ndarray) -> Callable[[], Any]:
    """The same step of Hugging Face's CLIP."""
    import torch
    import transformers

    from animclip_jax.weights import hugging_face_config

    on_gpu = torch.cuda.is_available() and jax.default_backend() == "gpu"
    device = torch.device("cuda" if on_gpu else "cpu")
    described = transformers.CLIPConfig(**hugging_face_config.write(config))
    model = transformers.CLIPModel(described).to(device)
    run = torch.compile(model) if on_gpu else model
    pixels = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy()).to(device)
    captions = torch.tensor(tokens.tolist()).to(device)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
            result = run(input_ids=captions, pixel_values=pixels, return_loss=True)
        result.loss.backward()
        if on_gpu:
            torch.cuda.synchronize()

    return step


class Joint(nnx.Module):
    """A transformer over the caption's tokens and every token of every frame; one score a pair."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.transformer = Transformer(
            config, is_causal=False, dtype=jnp.dtype("float32"), rngs=rngs
        )
        self.head = nnx.Linear(config.width, 1, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """tokens [P, L + T * (1 + N), D], projected already -> float32 [P]."""
        return self.head(self.transformer(tokens)[:, 0])[:, 0]


def storage(name: str) -> Row:
    """KiB that an index keeps of a video of NUM_FRAMES frames: its code, and its embedding."""
    clip, config = PRESETS[name], RERANKERS[name]
    row: Row = {"preset": name}
    for dtype in CODE_DTYPES:
        tokens = NUM_FRAMES * config.tokens_a_frame(clip.grid)
        stored = stored_bytes(tokens, dataclasses.replace(config, code_dtype=dtype))
        row[f"code KiB, {dtype}"] = stored / 1024
    return row | {"embedding KiB, bfloat16": clip.embed_dim * 2 / 1024}


def scoring(name: str, repeats: int) -> Row:
    """Pairs scored a second and the FLOPs of one, by the re-ranker and by joint transformers.

    All have the same width and number of layers; what is computed once a video is left out.
    """
    clip, config = PRESETS[name], RERANKERS[name]
    sizes = TransformerConfig(config.width, config.layers, config.heads, config.mlp_width)
    a_frame_each = dataclasses.replace(config, interaction="tight", tokens="cls")

    def floats(pairs: int, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((pairs, *shape), jnp.float32)

    def pair_inputs(pairs: int, tokens_a_frame: int) -> tuple:
        mask = jax.ShapeDtypeStruct((pairs, TEXT_TOKENS), jnp.bool_)
        code = floats(pairs, NUM_FRAMES * tokens_a_frame, config.code_width)
        return floats(pairs, TEXT_TOKENS, clip.text.width), mask, code

    everything = TEXT_TOKENS + NUM_FRAMES * (1 + clip.grid**2)
    scorers: dict[str, tuple[Callable, Callable]] = {
        "re-ranker": (
            lambda: Reranker(clip, config, rngs=nnx.Rngs(0)),
            lambda pairs: pair_inputs(pairs, config.tokens_a_frame(clip.grid)),
        ),
        "joint": (
            lambda: Joint(sizes, rngs=nnx.Rngs(0)),
            lambda pairs: (floats(pairs, everything, config.width),),
        ),
        "tight": (
            lambda: TightTransformer(clip, a_frame_each, rngs=nnx.Rngs(0)),
            lambda pairs: pair_inputs(pairs, 1),
        ),
    }
    row: Row = {"preset": name}
    steps = {}
    for what, (make, shapes) in scorers.items():
        graphdef, shaped = split(make)

        def score(params: dict, *inputs: jax.Array, graphdef: Any = graphdef) -> jax.Array:
            return nnx.merge(graphdef, params)(*inputs)

        row[f"GFLOP a pair, {what}"] = flops(score, shaped, *shapes(1)) / 1e9
        arguments = filled((shaped, *shapes(PAIRS)))
        steps[what] = functools.partial(run_score, jax.jit(score), arguments)
    for what, seconds in interleaved(steps, repeats).items():
        row[f"pairs a second, {what}"] = PAIRS / seconds
    return row


def run_score(function: Callable, arguments: tuple) -> None:
    """Calls it and waits for the result."""
    jax.block_until_ready(function(*arguments))


def interleaved(steps: Steps, repeats: int) -> Row:
    """Median seconds of each, taken in turn, after one call of each that doesn't count."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if repeat:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def ratios(presets: list[Row], scores: list[Row]) -> dict[str, float]:
    """Ours over the peer's, of what was measured; below 1 is in our favour, but for pairs."""
    pairs = [
        ("compile, scanned / unrolled", "compile s, scanned", "compile s, unrolled"),
        ("memory, block / none", "MB a clip, block", "MB a clip, none"),
        ("memory, dots / none", "MB a clip, dots", "MB a clip, none"),
        ("step, ours / PyTorch", "step s, ours", "step s, PyTorch"),
        ("pairs a second, re-ranker / joint", "pairs a second, re-ranker", "pairs a second, joint"),
    ]
    return {
        f"{name}, {row['preset']}": row[ours] / row[peer]
        for row in (*presets, *scores)
        for name, ours, peer in pairs
        if ours in row and peer in row
    }


def table(rows: list[Row]) -> str:
    """Rows as Markdown, a line a row; what a row has not is left empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for row in rows:
        cells = [row.get(name, "") for name in columns]
        shown = [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def measure(names: list[str], clips: int, repeats: int) -> dict[str, Any]:
    """Everything, for these presets."""
    presets = []
    for name in names:
        row: Row = {"preset": name}
        for part in (
            cost,
            memory,
            compile_times,
            functools.partial(step_times, clips=clips, repeats=repeats),
        ):
            row |= part(PRESETS[name])
        presets.append(row)
        print(f"{name} done", file=sys.stderr)
    scores = [scoring(name, repeats) for name in names]
    return {
        "device": jax.devices()[0].device_kind,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "jax": jax.__version__,
        "clips a step": clips,
        "presets": presets,
        "storage": [storage(name) for name in names],
        "scores": scores,
        "ratios": ratios(presets, scores),
    }


def main(argv: list[str] | None = None) -> int:
    """Prints the tables; writes them as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small presets only, under 2 minutes")
    parser.add_argument("--presets", help=f"of {', '.join(PRESETS)}, with commas between")
    parser.add_argument("--clips", type=int, default=8, help="pictures and captions a timed step")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    options = parser.parse_args(argv)
    names = (
        options.presets.split(",")
        if options.presets
        else list(QUICK_PRESETS if options.quick else PRESETS)
    )
    if unknown := [name for name in names if name not in PRESETS]:
        parser.error(f"--presets: no {', '.join(unknown)}, there are {', '.join(PRESETS)}")
    process.keep_freed_memory()
    jax.config.update("jax_enable_compilation_cache", False)
    found = measure(names, options.clips, repeats=3 if options.quick else 7)
    print(f"{found['device']}, {found['cores']} cores, jax {found['jax']}; {NUM_FRAMES} frames a")
    print(f"clip, memory of a step's batch of {MEMORY_BATCH}, steps of {found['clips a step']}\n")
    print(*(table(found[part]) for part in ("presets", "storage", "scores")), sep="\n\n")
    if "step s, PyTorch" not in found["presets"][0]:
        print("\nPyTorch was not measured: torch and transformers are not installed")
    print("\n" + table([{"ratio": name, "": value} for name, value in found["ratios"].items()]))
    if options.json:
        files.write_json(options.json, found, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
