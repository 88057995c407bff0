"""Videos a minute that `animclip index` takes with ViT-B/32, beside a plain PyAV and PyTorch loop.

    python -m benchmarks.index VIDEOS [--first 40] [--rounds 3] [--json FILE]

Weights are random. Ours is the command as people run it, from its start on, its compiled programs
kept from a run before that does not count. The peer looks at the same frames: of each segment that
the index has, 12 at the middles of equal parts. It decodes with the threads of FFmpeg, fits frames
with torchvision, and encodes all segments of a video at once with the vision tower of Hugging Face.
It finds no shots, writes nothing, and starts anew each time, too.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from animclip_jax import files
from animclip_jax.models.presets import PRESETS
from animclip_jax.video_index.reader import Index
from benchmarks.random_index import FRAMES, write_model

PEER = "peer"


def timed(command: list[str]) -> dict[str, float]:
    """Seconds of a command by the clock, and of all cores."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if run.returncode:
        last = "\n".join(run.stderr.splitlines()[-5:])
        raise RuntimeError(f"{' '.join(command)}: exit status {run.returncode}\n{last}")
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu}


def segments_of(index: Path) -> dict[str, list[list[float]]]:
    """Start and end in seconds of each video's segments."""
    found = Index(index)
    segments: dict[str, list[list[float]]] = {}
    for name, times in zip(found.names, found.times.tolist(), strict=True):
        segments.setdefault(str(found.root / name), []).append(times)
    return segments


def encode(task: Path) -> None:
    """The peer: embeddings of all segments that the file names."""
    import av
    import torch
    from torchvision.transforms import v2
    from transformers import CLIPConfig, CLIPVisionModelWithProjection

    from animclip_jax.weights import hugging_face_config

    described = CLIPConfig(**hugging_face_config.write(PRESETS["vit_b32"]))
    model = CLIPVisionModelWithProjection(described.vision_config).eval()
    fit = v2.Compose(
        [
            v2.Resize(224, v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.481, 0.458, 0.408), (0.269, 0.261, 0.276)),
        ]
    )
    for path, segments in json.loads(task.read_text()).items():
        parts = (np.arange(FRAMES) + 0.5) / FRAMES
        wanted = [start + part * (end - start) for start, end in segments for part in parts]
        pixels: list[torch.Tensor] = []
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                shown_until = (frame.time or 0.0) + float(1 / (stream.average_rate or 25))
                if len(pixels) < len(wanted) and shown_until > wanted[len(pixels)]:
                    fitted = fit(frame.to_image())
                    while len(pixels) < len(wanted) and shown_until > wanted[len(pixels)]:
                        pixels.append(fitted)
        pixels += pixels[-1:] * (len(wanted) - len(pixels))
        with torch.inference_mode():
            embeddings = model(pixel_values=torch.stack(pixels)).image_embeds
            embeddings.unflatten(0, (len(segments), FRAMES)).mean(dim=1)


def measure(videos: Path, first: int, rounds: int, scratch: Path) -> dict[str, float]:
    """Videos a minute of both, taken in turn, and their ratio."""
    some = sorted(path for path in videos.iterdir() if path.is_file())[:first]
    (scratch / "videos").mkdir()
    for path in some:
        shutil.copy(path, scratch / "videos")
    write_model(scratch / "model")
    index = scratch / "index"
    python = [sys.executable, "-m"]
    made = [*python, "animclip_jax", "index", str(scratch / "videos")]
    ours = [*made, f"--model={scratch / 'model'}", f"--out={index}"]
    timed(ours)
    task = scratch / "segments.json"
    segments = segments_of(index)
    task.write_text(json.dumps(segments))
    steps = {"ours": ours, PEER: [*python, "benchmarks.index", str(videos), f"--peer={task}"]}
    walls: dict[str, list[float]] = {name: [] for name in steps}
    cores: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, command in steps.items():
            shutil.rmtree(index, ignore_errors=True)
            spent = timed(command)
            walls[name].append(spent["wall"])
            cores[name].append(spent["cpu"])
    found = {
        "videos": float(len(segments)),
        "segments": float(sum(map(len, segments.values()))),
    }
    for name in steps:
        found[f"videos a minute, {name}"] = 60 * len(segments) / statistics.median(walls[name])
        found[f"cpu s a video, {name}"] = statistics.median(cores[name]) / len(segments)
    ratios = [theirs / own for own, theirs in zip(walls["ours"], walls[PEER], strict=True)]
    found["videos a minute, ours over the peer's"] = statistics.median(ratios)
    return found


def main(argv: list[str] | None = None) -> int:
    """Prints the figures; writes them as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="a folder of videos")
    parser.add_argument("--first", type=int, default=40, help="videos, the first by name")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.peer:
        encode(options.peer)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(options.videos, options.first, options.rounds, Path(scratch))
    print(*(f"{name}: {value:.3g}" for name, value in found.items()), sep="\n")
    if options.json:
        files.write_json(options.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
