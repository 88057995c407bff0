"""What a clip costs on the host, beside its JPEG's decoding and the ways others make it.

    python benchmarks/input_pipeline.py [--quick] [--json FILE]

A clip is 12 frames of 224 pixels, preset full. The photos are cut from scikit-image's samples, 500
x 375 pixels and 50 to 120 kB, as they are ("raw") and shrunk by `animclip prepare` ("prepared").
CPU ms count all threads of the process. Peers film a slow zoom with a pan, frame by frame, on one
thread; those that are not installed (pip install '.[bench]') are named.
"""

import argparse
import dataclasses
import functools
import io
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

# Run as a script, this file's folder comes first on the path, where it has the package's name.
if Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import animclip_jax  # noqa: E402, F401, I001  (quietens JAX and TensorFlow, before they load)
import jax  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402

from animclip_jax import files, process  # noqa: E402
from animclip_jax.animation.batch import Batch  # noqa: E402
from animclip_jax.animation.batch import Filmed
from animclip_jax.animation.config import AnimationConfig  # noqa: E402
from animclip_jax.animation.render import render  # noqa: E402
from benchmarks import flicker, input_peers  # noqa: E402
from input_pipeline import batches
from input_pipeline.examples import BatchConfig, Examples
from input_pipeline.store import pictures as prepare_pictures
from input_pipeline.sources import opening  # noqa: E402
from input_pipeline.filming.decoding import JPEG_TRANSFORM  # noqa: E402

NUM_FRAMES, IMAGE_SIZE, CANVAS_SIZE, BATCH = 12, 224, 448, 64
NUM_PHOTOS = 64
TURNS = 4  # other work on the machine slows some of them
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "hubble_deep_field")
# Forward and backward FLOPs of a frame are three times the forward pass's, 2 x 4.4 and 2 x 17.6 G.
TRAIN_FLOPS_A_FRAME = {"ViT-B/32": 3 * 8.8e9, "ViT-B/16": 3 * 35.1e9}
THINGS = "ours, with things that move"
BY_JAX, IN_TF_DATA = "ours, and rendered by JAX on the CPU", "ours, rendered in tf.data"


class Cost(NamedTuple):
    """Of one clip: CPU milliseconds, and how many are made a second."""

    cpu_ms: float
    per_second: float


def main() -> int:
    """Prints a table; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under two minutes on two cores")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    seconds = 1.5 if options.quick else 8.0
    ratios: dict[str, float] = {}
    figures: dict[str, Any] = {"ratios": ratios}
    with tempfile.TemporaryDirectory() as directory:
        raw, prepared = make_photos(Path(directory))
        for kind, examples, suffix in (("prepared", prepared, ""), ("raw", raw, "_raw")):
            rows = measure(examples, seconds)
            figures[kind] = {name: cost._asdict() for name, cost in rows.items()}
            ours, limit = rows["ours"], rows["decode only"]
            ratios[f"ours_over_decode_only{suffix}"] = ours.cpu_ms / limit.cpu_ms
            ratios[f"things_over_decode_only{suffix}"] = rows[THINGS].cpu_ms / limit.cpu_ms
            ratios[f"rate_over_decode_only{suffix}"] = ours.per_second / limit.per_second
            best = min(rows[n].cpu_ms for n in input_peers.ANTI_ALIASED if n in rows)
            ratios[f"best_antialiased_peer_over_ours{suffix}"] = best / ours.cpu_ms
            ratios[f"jax_over_best_antialiased_peer{suffix}"] = rows[BY_JAX].cpu_ms / best
            ratios[f"host_over_best_antialiased_peer{suffix}"] = rows[IN_TF_DATA].cpu_ms / best
            print_table(kind, rows, limit)
    figures["device"] = device_cost()
    figures["flicker"] = flickering()
    ratios["flicker_over_pil"] = figures["flicker"]["ours"] / figures["flicker"]["PIL resize"]
    shown = {name: figures[name] for name in ("device", "flicker", "ratios")}
    print(json.dumps(shown, indent=2))
    print(f"not installed, not measured: {', '.join(input_peers.missing()) or 'none'}")
    if options.json:
        files.write_json(options.json, figures, indent=2)
    return 0


def make_photos(directory: Path) -> tuple[Examples, Examples]:
    """The photos, raw and prepared."""
    random = np.random.default_rng(0)
    with (directory / "captions.jsonl").open("w") as lines:
        for number in range(NUM_PHOTOS):
            image = input_peers.sample_photo(PHOTOS[number % len(PHOTOS)])
            width = min(image.width, image.height * 4 / 3) * random.uniform(0.8, 1.0)
            x, y = (random.uniform(0, image.width - width),
                    random.uniform(0, image.height - width * 0.75))  # fmt: skip
            cut = image.resize(
                (500, 375), Image.Resampling.LANCZOS, (x, y, x + width, y + width * 0.75)
            )
            (directory / f"{number}.jpg").write_bytes(jpeg(cut))
            line = {"image": f"{number}.jpg", "captions": [f"photo {number} of a benchmark"]}
            lines.write(json.dumps(line) + "\n")
    raw = opening.open_source(f"folder:{directory}", str(directory / "cache"))
    prepare_pictures.prepare_pictures(raw, directory / "prepared")
    store = f"folder:{directory / 'prepared'}"
    return raw, opening.open_source(store, str(directory / "cache"))


def jpeg(image: Image.Image) -> bytes:
    """The best quality that takes 120 kB at most."""
    for quality in range(97, 50, -2):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= 120_000:
            return buffer.getvalue()
    raise ValueError("a photo of 500 x 375 pixels takes over 120 kB at quality 51")


def measure(examples: Examples, seconds: float) -> dict[str, Cost]:
    """Each way's cost, all in turns, the best of each kept; those whose ratio counts most often.

    Other work on the machine would slow one of them, and not the next.
    """
    animation = AnimationConfig(preset="full", num_frames=NUM_FRAMES, image_size=IMAGE_SIZE)
    host = dataclasses.replace(animation, render="host")
    things = dataclasses.replace(animation, preset="things")
    encoded = [
        examples.fetch(tf.constant(n, tf.int64)).numpy()[0] for n in range(len(examples.ids))
    ]
    limit_and_ours: dict[str, Callable[[], Iterator[int]]] = {
        "decode only": lambda: decoding(examples),
        "ours": lambda: training(examples, animation),
        THINGS: lambda: training(examples, things),
    }
    others: dict[str, Callable[[], Iterator[int]]] = {
        BY_JAX: lambda: rendering(examples, animation),
        IN_TF_DATA: lambda: training(examples, host, batch=8),
        **{
            name: functools.partial(map_ones, film, encoded)
            for name, film in input_peers.peers(NUM_FRAMES, IMAGE_SIZE).items()
        },
    }
    rows: dict[str, Cost] = {}
    for turn in range(TURNS):
        ways = limit_and_ours if turn % 2 else limit_and_ours | others
        for name, way in ways.items():
            cost = timed(way(), seconds)
            rows[name] = min(cost, rows.get(name, cost))
    return rows


def map_ones(film: Callable[[bytes], object], encoded: list[bytes]) -> Iterator[int]:
    """Films without end, one clip an item."""
    for picture in itertools.cycle(encoded):
        film(picture)
        yield 1


def decoding(examples: Examples) -> Iterator[int]:
    """Reads and decodes whole pictures in tf.data, and nothing else."""
    total = len(examples.ids)

    def decode(index: tf.Tensor) -> tf.Tensor:
        encoded = examples.fetch(index % total)[0]
        return tf.image.decode_jpeg(encoded, channels=3, dct_method=JPEG_TRANSFORM)

    numbers = tf.data.Dataset.range(np.iinfo(np.int64).max)
    pictures = numbers.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2 * BATCH)
    for _ in pictures:
        yield 1


def training(examples: Examples, animation: AnimationConfig, batch: int = BATCH) -> Iterator[int]:
    """What the trainer asks for."""
    for _ in made(examples, animation, batch):
        yield batch


def rendering(examples: Examples, animation: AnimationConfig) -> Iterator[int]:
    """The same with the device's part done by the CPU."""
    film = jax.jit(render, static_argnums=2)
    for batch in made(examples, animation, 8):
        assert isinstance(batch, Filmed)
        film(batch.canvas, batch.plan, IMAGE_SIZE).block_until_ready()
        yield 8


def made(examples: Examples, animation: AnimationConfig, batch: int) -> Iterator[Batch]:
    """Batches for the trainer."""
    config = BatchConfig(animation, batch, seed=0, canvas_size=CANVAS_SIZE)
    process.keep_freed_memory()
    return batches.train_batches(examples, config, start_step=0)


def timed(clips: Iterator[int], seconds: float) -> Cost:
    """The cost of a clip, after a third of the time to warm up."""
    end = time.perf_counter() + seconds / 3
    next(clips)
    while time.perf_counter() < end:
        next(clips)
    count, cpu, began = 0, time.process_time(), time.perf_counter()
    while count == 0 or time.perf_counter() < began + seconds:
        count += next(clips)
    elapsed = time.perf_counter() - began
    return Cost(1e3 * (time.process_time() - cpu) / count, count / elapsed)


def device_cost() -> dict[str, float]:
    """The renderer's FLOPs a clip and their share of a train step, and what crosses a clip."""
    S, frame, T = CANVAS_SIZE, IMAGE_SIZE, NUM_FRAMES
    # Two matrix products a frame of side O: [O, S] x [S, 3 S], then [O, S] x [S, 3 O].
    flops = T * 2.0 * 3 * (frame * S * S + frame * frame * S)
    shares = {
        f"share of a {name} train step": flops / (T * each)
        for name, each in TRAIN_FLOPS_A_FRAME.items()
    }
    crossing = {
        "canvas bytes a clip": 3.0 * S * S,
        "frames would be, bytes": 3.0 * T * frame * frame,
    }
    return {"renderer FLOPs a clip (no roll)": flops} | shares | crossing


def flickering() -> dict[str, float]:
    """The mean second difference in time of a slow zoom of the sample photos, in grey levels."""
    photos = [np.asarray(input_peers.sample_photo(name)) for name in PHOTOS]
    found = [flicker.slow_zoom(photo, seed) for seed, photo in enumerate(photos)]
    ours, pillows = np.mean(found, axis=0)
    return {"ours": float(ours), "PIL resize": float(pillows)}


def print_table(kind: str, rows: dict[str, Cost], limit: Cost) -> None:
    """One row a way."""
    print(f"\n{kind} photos\n| way | CPU ms a clip | of decode only | clips/s |")
    print("| --- | --- | --- | --- |")
    for name, cost in rows.items():
        share = cost.cpu_ms / limit.cpu_ms
        print(f"| {name} | {cost.cpu_ms:.2f} | {share:.2f} | {cost.per_second:.0f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
