"""What is worth measuring on a GPU that is at hand for ten minutes, the most valuable first.

    python -m benchmarks.gpu --out gpu.jsonl [--minutes 9] [--parts steps_b16,rerank]
    python -m benchmarks.gpu --out rehearsed.jsonl --rehearse       # all of it tiny, on a CPU

Each part runs in a process of its own, within its own limit and the minutes that are left: one that
hangs, or finds no memory, costs the others nothing. A line of JSON is appended for every figure as
soon as it is there. Steps are of 12 frames in bfloat16, beside a PyTorch step that does the same
work (see train_step.py). `--baked DIR` (animclip prepare --bake) adds a training run on real
pictures, in the time that is left.

Needs jax, flax, optax, orbax; the peer needs torch and transformers.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]


class Sizes(NamedTuple):
    """How much each part does.

    clips: of a step, by preset. videos: that a query is ranked among by embeddings. frames: that
    are encoded at once. steps: whose median is taken. candidates, queries: of re-ranking.
    """

    clips: dict[str, int]
    videos: int
    frames: int
    steps: int
    remats: tuple[str, ...]
    candidates: tuple[int, ...]
    queries: tuple[int, ...]


REAL = Sizes(
    clips={"vit_b32": 256, "vit_b16": 128, "vit_l14": 48},
    videos=1_000_000,
    frames=1024,
    steps=8,
    remats=("none", "dots", "block"),
    candidates=(20, 50, 100),
    queries=(1, 16),
)
REHEARSED = Sizes({"tiny": 4}, 2_000, 24, 2, ("none",), (20,), (1,))
# A rehearsal compiles quickly, not well, and has so many times the limits: a CPU may be at work.
REHEARSED_FLAGS, PATIENCE = "--xla_backend_optimization_level=0", 10


class Part(NamedTuple):
    """`seconds`: its limit. `measure` yields figures as it has them."""

    seconds: float
    measure: Callable[[Sizes, argparse.Namespace], Iterator[Row]]


def our_steps(preset: str) -> Callable[[Sizes, argparse.Namespace], Iterator[Row]]:
    """Clips a second and MFU of a whole step and of the peer's work, by what is rematerialized."""

    def measure(sizes: Sizes, options: argparse.Namespace) -> Iterator[Row]:
        from benchmarks import train_step

        name = preset_here(preset, sizes)
        for remat in sizes.remats:
            for is_peers_work in (False, True):
                work = train_step.PEERS_WORK if is_peers_work else train_step.WHOLE
                row: Row = {"preset": name, "clips": sizes.clips[name], "remat": remat}
                row["work"] = work
                config = train_step.configuration(name, row["clips"], is_peers_work, remat)
                yield attempt(row, functools.partial(step_row, config=config, sizes=sizes))

    return measure


def torch_steps(preset: str) -> Callable[[Sizes, argparse.Namespace], Iterator[Row]]:
    """The peer, of the same shapes: compiled, SDPA, fused AdamW, bfloat16 on a GPU."""

    def measure(sizes: Sizes, options: argparse.Namespace) -> Iterator[Row]:
        from benchmarks import train_step

        name = preset_here(preset, sizes)
        row: Row = {"preset": name, "clips": sizes.clips[name], "work": train_step.PEER}
        if lacking := train_step.why_no_peer():
            yield row | {"skipped": lacking}
            return
        config = train_step.configuration(name, row["clips"], is_peers_work=True)

        def peer(row: Row) -> Row:
            return row | rates(train_step.torch_step(config), row["clips"], flops(config), sizes)

        yield attempt(row, peer)

    return measure


def filming(sizes: Sizes, options: argparse.Namespace) -> Iterator[Row]:
    """What rendering a batch of clips takes by itself: the animation's share of a step."""
    import jax

    from animclip_jax.animation.render import clips
    from benchmarks import train_step

    for name, count in sizes.clips.items():
        config = train_step.configuration(name, count).batches
        batch = jax.device_put(train_step.example_batch(config))
        render = jax.jit(clips, static_argnums=1)
        side = config.animation.image_size
        spent = median(lambda: jax.block_until_ready(render(batch, side)), sizes.steps)  # noqa: B023
        yield {"preset": name, "clips": count, "ms a clip": 1e3 * spent / count}


def reranking(sizes: Sizes, options: argparse.Namespace) -> Iterator[Row]:
    """Milliseconds a query to score its K candidates, of codes that the device holds."""
    import jax
    import numpy as np

    from animclip_jax.models.retriever import VideoFeatures
    from animclip_jax.models.video_code import PackedCode
    from animclip_jax.retrieval.rerank import PairScorer
    from benchmarks import retrieval

    one, random = retrieval.encoder(layers=2), np.random.default_rng(0)
    shape = 1000, retrieval.CODE_TOKENS
    values = random.integers(-127, 128, (*shape, retrieval.CODE_WIDTH), np.int8)
    code = PackedCode(values, np.full(shape, 1 / 64, np.float16))
    video = VideoFeatures(retrieval.unit(random, shape[0]), code)
    for queries in sizes.queries:
        scorer = PairScorer(one, retrieval.captions(random, queries), video)
        for k in sizes.candidates:
            asked = np.repeat(np.arange(queries), k)
            shown = random.integers(0, shape[0], queries * k)
            spent = median(lambda: jax.block_until_ready(scorer(asked, shown)), sizes.steps)  # noqa: B023
            yield {"K": k, "queries": queries, "ms a query": 1e3 * spent / queries}


def stage_one(sizes: Sizes, options: argparse.Namespace) -> Iterator[Row]:
    """Milliseconds a query for the 50 nearest of many videos, which the device holds."""
    import numpy as np

    from animclip_jax.retrieval.coarse import hold, top_k
    from benchmarks import retrieval

    one, random = retrieval.encoder(layers=1), np.random.default_rng(0)
    held = hold(retrieval.unit(random, sizes.videos), one.split)
    for queries in (*sizes.queries, 1000):
        asked = retrieval.unit(random, queries)
        search = functools.partial(top_k, asked, held, retrieval.K, one.split)
        spent = median(search, sizes.steps)
        yield {"videos": sizes.videos, "queries": queries, "ms a query": 1e3 * spent / queries}


def indexing(sizes: Sizes, options: argparse.Namespace) -> Iterator[Row]:
    """Frames a second that are encoded for an index, uint8 frames on the host to codes there."""
    import numpy as np

    from animclip_jax import sharding
    from animclip_jax.models import parameters
    from animclip_jax.retrieval.encode import Encoder
    from benchmarks import train_step

    for name in sizes.clips:
        model = train_step.configuration(name, 4).model
        split = sharding.batch_sharding(sharding.make_mesh(sharding.MeshConfig(-1, 1)))
        encoder = Encoder(split, parameters.graph_definition(model), parameters.draw(model, 0))
        count, side = sizes.frames // model.num_frames, model.clip.image_size
        frames = np.zeros((count, model.num_frames, side, side, 3), np.uint8)
        spent = median(lambda: encoder.encode_video(frames, count), sizes.steps)  # noqa: B023
        yield {"preset": name, "frames/s": count * model.num_frames / spent}


def training(sizes: Sizes, options: argparse.Namespace) -> Iterator[Row]:
    """Real pictures, baked: loss and clips a second of a run that lasts as long as its part may."""
    import dataclasses

    import jax

    from animclip_jax import files, sharding
    from animclip_jax.animation.config import AnimationConfig
    from animclip_jax.models.retriever import RetrieverConfig
    from animclip_jax.training import step
    from benchmarks import train_step
    from input_pipeline import baked
    from input_pipeline.examples import BatchConfig

    if options.baked is None:
        yield {"skipped": "--baked names no folder"}
        return
    settings = dict(files.read_object(options.baked / baked.SUMMARY)["settings"])
    animation = AnimationConfig.from_dict(settings.pop("animation"))
    batches = BatchConfig(animation, **settings)
    name = next(iter(sizes.clips))
    drawn = train_step.configuration(name, batches.batch_size).model
    clip = dataclasses.replace(
        drawn.clip,
        image_size=animation.image_size,
        context_length=batches.context_length,
        vocab_size=batches.vocab_size,
    )
    model = RetrieverConfig(clip, drawn.reranker, animation.num_frames)
    config = train_step.training(model, batches, matching_weight=1.0)
    mesh = sharding.make_mesh(config.mesh)
    state = step.init_state(mesh, config.model, config.make_optimizer(), config.seed)
    advance = step.compile_train_step(mesh, state, **config.step_arguments(state.params))
    began, last = time.perf_counter(), time.monotonic() + 0.8 * options.seconds
    for done, batch in enumerate(baked.baked_batches(str(options.baked), batches, start_step=0), 1):
        state, metrics = advance(state, sharding.put_batch(mesh, batch))
        over = done == (sizes.steps if options.rehearse else config.steps)
        if done in (1, sizes.steps) or done % 50 == 0 or over:
            loss = float(metrics["loss"])
            spent = time.perf_counter() - began
            rate = (done - 1) * batches.batch_size / spent if done > 1 else None
            yield {"preset": name, "step": done, "loss": loss, "clips/s": rate}
            if done == 1:
                began = time.perf_counter()
            if over or time.monotonic() > last:
                return
    jax.block_until_ready(state)


# In the order of their value.
PARTS = {
    "steps_b16": Part(150, our_steps("vit_b16")),
    "torch_b16": Part(90, torch_steps("vit_b16")),
    "rerank": Part(40, reranking),
    "stage_one": Part(60, stage_one),
    "steps_b32": Part(120, our_steps("vit_b32")),
    "torch_b32": Part(80, torch_steps("vit_b32")),
    "indexing": Part(90, indexing),
    "filming": Part(60, filming),
    "steps_l14": Part(150, our_steps("vit_l14")),
    "torch_l14": Part(90, torch_steps("vit_l14")),
    "training": Part(240, training),
}


def preset_here(preset: str, sizes: Sizes) -> str:
    """The preset, or the only one there is in a rehearsal."""
    return preset if preset in sizes.clips else next(iter(sizes.clips))


def step_row(row: Row, *, config: Any, sizes: Sizes) -> Row:
    """A row with what a step of ours takes."""
    from benchmarks import train_step

    take, count = train_step.our_step(config)
    return row | rates(take, row["clips"], count, sizes)


def flops(config: Any) -> int:
    """Of the matrix products of a step, without running it."""
    import jax

    from animclip_jax import sharding
    from animclip_jax.planning import program
    from animclip_jax.training import mfu, step

    state = step.state_shapes(config.model, config.make_optimizer())
    mesh = sharding.make_mesh(config.mesh, jax.devices()[:1])
    fixed = config.step_arguments(state.params)
    return mfu.step_flops(mesh, config.model, fixed, state, program.batch_shapes(config.batches))


def rates(take: Callable[[], Any], clips: int, count: int, sizes: Sizes) -> Row:
    """Clips a second, and MFU where the device's peak is known."""
    import jax

    from animclip_jax.training.chips import chip_of

    spent = median(take, sizes.steps)
    found: Row = {"ms a step": 1e3 * spent, "clips/s": clips / spent}
    if (chip := chip_of(jax.devices()[0])) is not None:
        found["MFU"] = count / spent / chip.flops
    return found


def median(take: Callable[[], Any], repeats: int) -> float:
    """Seconds, after two calls that compile and settle."""
    from benchmarks.model import interleaved

    take()
    return float(interleaved({"": take}, repeats)[""])


def attempt(row: Row, measure: Callable[[Row], Row]) -> Row:
    """The row with its figures, or with the first line of what went wrong, such as no memory."""
    try:
        return measure(row)
    except Exception as error:  # JAX and PyTorch have each their own
        said = str(error).splitlines() or [""]
        return row | {"error": f"{type(error).__name__}: {said[0]}"}


def run_part(name: str, options: argparse.Namespace) -> int:
    """Measures in this process, and appends its lines."""
    import jax

    here = {"part": name, "device": jax.devices()[0].device_kind, "jax": jax.__version__}
    for row in PARTS[name].measure(REHEARSED if options.rehearse else REAL, options):
        append(options.out, here | row)
    return 0


def append(out: Path, row: Row) -> None:
    """Prints a line and adds it to the file."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    line = json.dumps({"time": now} | row)
    print(line, flush=True)
    with out.open("a") as file:
        file.write(f"{line}\n")


def main(argv: list[str] | None = None) -> int:
    """Runs the parts one after the other; 1 where one of them failed or found no time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="lines are added to this file")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all parts together")
    parser.add_argument("--parts", help=f"of {', '.join(PARTS)}, with commas between")
    parser.add_argument("--baked", type=Path, help="folder of animclip prepare --bake")
    parser.add_argument("--rehearse", action="store_true", help="all of it tiny, on a CPU")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.part:
        return run_part(options.part, options)
    names = list(PARTS) if options.parts is None else options.parts.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"--parts: no {', '.join(unknown)}, there are {', '.join(PARTS)}")
    # Else JAX takes most of a GPU's memory at once, and leaves the peer too little.
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if options.rehearse:
        environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": REHEARSED_FLAGS}
    until, failed = time.monotonic() + 60 * options.minutes, False
    given = sys.argv[1:] if argv is None else argv
    for name in names:
        limit = PATIENCE * PARTS[name].seconds if options.rehearse else PARTS[name].seconds
        seconds = min(limit, until - time.monotonic())
        if seconds <= 0:
            append(options.out, {"part": name, "skipped": "no time left"})
            failed = True
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", *given, "--part", name]
        try:
            done = subprocess.run(
                [*command, "--seconds", str(seconds)], env=environment, timeout=seconds, check=False
            )
            why = f"exit code {done.returncode}" if done.returncode else None
        except subprocess.TimeoutExpired:
            why = f"not done in {seconds:.0f} s"
        if why:
            append(options.out, {"part": name, "error": why})
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
