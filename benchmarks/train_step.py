"""Clips a second and MFU of a whole training step, beside a plain PyTorch step on the same device.

    python -m benchmarks.train_step [--quick] [--presets vit_b32,vit_b16] [--clips 8] [--json FILE]

Ours twice: whole (pictures filmed, both towers, contrastive and matching loss, AdamW), and doing
just the peer's work (frames given, no re-ranker). The peer is written as CLIP4Clip with mean
pooling is: Hugging Face's CLIP, attention by SDPA, fused AdamW, torch.compile where there is a C++
compiler. On a GPU both sides compute in bfloat16. MFU counts matrix products, at bfloat16's peak.

Then what crosses between devices in a step, from 1 to 8, read from programs that XLA compiles for
devices of this machine's CPU: bytes, not times.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import optax

from animclip_jax import files, sharding
from animclip_jax.animation.batch import Batch, Footage
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.planning import estimate, program
from animclip_jax.sharding import MeshConfig
from animclip_jax.training import mfu, step
from animclip_jax.training.chips import chip_of
from animclip_jax.training.config import TrainingConfig
from animclip_jax.training.lora import LoraConfig
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig
from benchmarks.model import Row, interleaved, table
from input_pipeline.examples import BatchConfig

# Of clips of the preset full: those with a rolled window.
ROLLED_SHARE = 0.45
WHOLE, PEERS_WORK, PEER = "ours, whole", "ours, the peer's work", "PyTorch"
# Devices, and how many of them split parameters and optimizer.
MESHES = [(1, 1), (2, 1), (4, 1), (8, 1), (8, 8)]
QUICK_MESHES = [(1, 1), (8, 1), (8, 8)]


def configuration(
    preset: str, clips: int, is_peers_work: bool = False, remat: str = "none"
) -> TrainingConfig:
    """Pretraining on one device; of the peer's work frames are given, and there is no re-ranker."""
    dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    clip = dataclasses.replace(PRESETS[preset], dtype=dtype, remat=remat)
    render = "host" if is_peers_work else "device"
    animation = AnimationConfig(image_size=clip.image_size, render=render)
    return training(
        RetrieverConfig(clip, RERANKERS[preset], animation.num_frames),
        BatchConfig(
            animation,
            batch_size=clips,
            seed=0,
            canvas_size=2 * clip.image_size,
            context_length=clip.context_length,
            vocab_size=clip.vocab_size,
        ),
        matching_weight=0.0 if is_peers_work else 1.0,
    )


def training(
    model: RetrieverConfig, batches: BatchConfig, matching_weight: float, steps: int = 1000
) -> TrainingConfig:
    """A run that is neither kept nor evaluated."""
    return TrainingConfig(
        model=model,
        batches=batches,
        source="",
        optimizer=OptimizerConfig(5e-4, steps // 10, 0.1, b1=0.9, b2=0.98, clip_norm=1.0),
        lora=LoraConfig(),
        loss=LossConfig(matching_weight, hard_negatives=3),
        mesh=MeshConfig(data=-1, fsdp=1),
        steps=steps,
        microbatch=0,
        init_from="",
        init_towers_from="",
        save_every=steps,
        keep=1,
        log_every=steps,
        log_to="",
        evaluation=EvaluationConfig(model, "drawn:test", "", "none", "", 20, 32, "", 0),
        validation=None,
        validate_every=0,
        settings={},
    )


def example_batch(config: BatchConfig) -> Batch:
    """A batch of noise; as many clips are rolled as pretraining rolls."""
    rng = np.random.default_rng(0)
    batch = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), program.batch_shapes(config))
    if isinstance(batch, Footage):
        batch.frames[:] = rng.integers(0, 256, batch.frames.shape, np.uint8)
    else:
        batch.canvas[:] = rng.integers(0, 256, batch.canvas.shape, np.uint8)
        plan = batch.plan
        window = np.array([0.1, 0.1, 0.9, 0.9], np.float32)
        rolled = math.ceil(ROLLED_SHARE * config.batch_size)
        is_rolled = np.arange(config.batch_size) < rolled
        plan.boxes[:] = window + rng.uniform(-0.05, 0.05, plan.boxes.shape)
        plan.shear[:] = np.float32(0.02) * is_rolled[:, None, None]
        plan.at[:] = config.animation.num_frames  # no transition
        plan.gain[:] = plan.extent[:] = 1
    tokens = batch.tokens
    tokens[:] = rng.integers(1, config.vocab_size - 2, tokens.shape)
    end = config.context_length // 2
    tokens[:, end], tokens[:, end + 1 :] = config.vocab_size - 1, 0
    batch.index[:] = np.arange(config.batch_size)
    return batch


def our_step(config: TrainingConfig) -> tuple[Callable[[], float], int]:
    """What takes a step and returns its loss, and the FLOPs of its matrix products, each once."""
    mesh = sharding.make_mesh(config.mesh, jax.devices()[:1])
    state = step.init_state(mesh, config.model, config.make_optimizer(), config.seed)
    fixed = config.step_arguments(state.params)
    advance = step.compile_train_step(mesh, state, **fixed)
    batch = sharding.put_batch(mesh, example_batch(config.batches))
    flops = mfu.step_flops(mesh, config.model, fixed, state, batch)

    def take() -> float:
        nonlocal state
        state, metrics = advance(state, batch)
        jax.block_until_ready(state)
        return float(metrics["loss"])

    return take, flops


def why_no_peer() -> str | None:
    """Why the peer can't be measured on the device that ours is measured on; None where it can."""
    lacking = [name for name in ("torch", "transformers") if not importlib.util.find_spec(name)]
    if lacking:
        return f"{' and '.join(lacking)} not installed (pip install '.[parity]')"
    import torch

    backend = jax.default_backend()
    if backend == "cpu" or (backend == "gpu" and torch.cuda.is_available()):
        return None
    return f"this PyTorch does not run on a {backend}"


def can_compile_torch() -> bool:
    """On a CPU torch.compile writes C++, on a GPU it brings what it needs."""
    on_cpu = jax.default_backend() == "cpu"
    return not on_cpu or shutil.which(os.environ.get("CXX", "g++")) is not None


def torch_step(config: TrainingConfig) -> Callable[[], float]:
    """The peer: what takes a step and returns its loss."""
    import torch
    import transformers

    from animclip_jax.weights import hugging_face_config

    on_gpu = jax.default_backend() == "gpu"
    device = torch.device("cuda" if on_gpu else "cpu")
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    described = hugging_face_config.write(config.model.clip)
    model = transformers.CLIPModel(
        transformers.CLIPConfig(**described, attn_implementation="sdpa")
    ).to(device)
    rules = config.optimizer
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=rules.learning_rate,
        betas=(rules.b1, rules.b2),
        weight_decay=rules.weight_decay,
        fused=True,
    )
    batch = example_batch(config.batches)
    assert isinstance(batch, Footage)
    frames = batch.frames.reshape(-1, *batch.frames.shape[2:]).transpose(0, 3, 1, 2)
    pixels = torch.from_numpy(frames.astype(np.float32) / 255 - 0.5).to(device)
    tokens = torch.from_numpy(batch.tokens.astype(np.int64)).to(device)
    own = torch.arange(len(tokens), device=device)
    unit = torch.nn.functional.normalize

    def loss() -> torch.Tensor:
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        images = unit(model.visual_projection(pooled), dim=-1)
        videos = unit(images.unflatten(0, (len(tokens), -1)).mean(dim=1), dim=-1)
        pooled = model.text_model(input_ids=tokens).pooler_output
        captions = unit(model.text_projection(pooled), dim=-1)
        logits = model.logit_scale.exp() * captions @ videos.T
        both = (torch.nn.functional.cross_entropy(x, own) for x in (logits, logits.T))
        return sum(both) / 2

    run = torch.compile(loss) if can_compile_torch() else loss

    def take() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            value = run()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), rules.clip_norm)
        optimizer.step()
        if on_gpu:
            torch.cuda.synchronize()
        return value.item()

    return take


def measure(preset: str, clips: int, repeats: int, with_peer: bool) -> Row:
    """Clips a second and MFU of ours, of ours doing the peer's work, and of the peer."""
    whole, whole_flops = our_step(configuration(preset, clips))
    same = configuration(preset, clips, is_peers_work=True)
    peers_work, flops = our_step(same)
    steps = {WHOLE: whole, PEERS_WORK: peers_work}
    if with_peer:
        steps[PEER] = torch_step(same)
    row: Row = {"preset": preset, "parameters, M": parameters(same) / 1e6}
    row["GFLOP a clip, whole"] = whole_flops / clips / 1e9
    chip = chip_of(jax.devices()[0])
    for name, seconds in interleaved(steps, repeats).items():
        row[f"clips/s, {name}"] = clips / seconds
        if chip is not None:
            done = whole_flops if name == WHOLE else flops
            row[f"MFU, {name}"] = done / seconds / chip.flops
    return row


def ratios(rows: list[Row]) -> dict[str, float | None]:
    """Clips a second over the peer's: above 1 is in our favour. None: the peer was not measured."""
    found: dict[str, float | None] = {}
    for row in rows:
        peer = row.get(f"clips/s, {PEER}")
        for name in (WHOLE, PEERS_WORK):
            ratio = row[f"clips/s, {name}"] / peer if peer else None
            found[f"{name} / {PEER}, {row['preset']}"] = ratio
    return found


def parameters(config: TrainingConfig) -> int:
    """How many numbers the whole model learns."""
    shapes = step.state_shapes(config.model, optax.identity()).params
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def crossing(preset: str, clips: int, meshes: list[tuple[int, int]]) -> list[Row]:
    """MB that each device communicates in a step of `clips` clips a device; needs 8 devices."""
    rows = []
    for devices, fsdp in meshes:
        mesh = MeshConfig(data=-1, fsdp=fsdp)
        config = dataclasses.replace(configuration(preset, clips * devices), mesh=mesh)
        found = estimate.plan(config, jax.devices()[:devices])
        traffic = found.collectives or []
        row: Row = {"devices": devices, "fsdp": fsdp, "clips a step": clips * devices}
        row["MB a device"] = sum(one.gib for one in traffic) * estimate.GIB / 1e6
        row["gradients, MB"] = 4 * parameters(config) / 1e6
        for one in traffic:
            name = f"MB, {one.kind}"
            row[name] = row.get(name, 0.0) + one.gib * estimate.GIB / 1e6
        rows.append(row)
    return rows


def crossing_in_a_process(preset: str, clips: int, quick: bool) -> list[Row]:
    """As `crossing`, on 8 devices that a process of its own has."""
    count = "--xla_force_host_platform_device_count=8"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": count}
    command = [sys.executable, "-m", "benchmarks.train_step", "--crossing-only"]
    command += ["--presets", preset, "--clips", str(clips)] + (["--quick"] if quick else [])
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main(argv: list[str] | None = None) -> int:
    """Prints the tables; writes them as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny, under 2 minutes on two cores")
    parser.add_argument("--presets", help=f"of {', '.join(PRESETS)}, with commas between")
    parser.add_argument("--clips", type=int, default=8, help="a step and device, 4 or more")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    parser.add_argument("--crossing-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    default = "tiny" if options.quick else "vit_b32,vit_b16"
    names, clips = (options.presets or default).split(","), options.clips
    if unknown := [name for name in names if name not in PRESETS]:
        parser.error(f"--presets: no {', '.join(unknown)}, there are {', '.join(PRESETS)}")
    if clips < 4:
        parser.error(f"--clips {clips}: the matching loss needs 4 or more, for its negatives")
    if options.crossing_only:
        print(json.dumps(crossing(names[0], clips, QUICK_MESHES if options.quick else MESHES)))
        return 0
    # Else JAX takes most of a GPU's memory at once, and leaves the peer too little.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    lacking = why_no_peer()
    rows = [measure(name, clips, 3 if options.quick else 10, lacking is None) for name in names]
    found = {
        "device": jax.devices()[0].device_kind,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "jax": jax.__version__,
        "clips a step": clips,
        "PyTorch": lacking or ("compiled" if can_compile_torch() else "not compiled"),
        "steps": rows,
        "crossing": crossing_in_a_process(names[0], clips, options.quick),
        "ratios": ratios(rows),
    }
    print(f"{found['device']}, {found['cores']} cores, jax {found['jax']}; steps of {clips} clips")
    print(f"PyTorch: {found['PyTorch']}\n")
    print(table(rows), f"Between devices, {names[0]}", table(found["crossing"]), sep="\n\n")
    shown = {name: "missing" if value is None else value for name, value in ratios(rows).items()}
    print("\n" + table([{"ratio": name, "": value} for name, value in shown.items()]))
    if options.json:
        files.write_text(options.json, json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
