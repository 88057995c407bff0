"""Stage one by LanceDB beside the flat scan, for random vectors with codes of ViT-B/32 on disk.

    python -m benchmarks.engines --scratch FOLDER --json engines.json    # 1,000,000: 25 GB, an hour
    python -m benchmarks.engines --quick

Random vectors are the hardest case: no group of them lies together, so an index that looks into a
part of its partitions alone misses most of the best. Each engine runs in a process of its own,
which has no model: a query is a vector. Flat is what a folder's index does: all embeddings in
memory, compared by JAX. LanceDB is published to and searched as `animclip index --to=lancedb:` and
`animclip search` do it, with the defaults, names and times of all segments in memory. Recall is
against the exact best of float32. Memory is private: without what is mapped from files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax import files
from animclip_jax.engines.engine import Segments
from animclip_jax.engines.place import LANCEDB, Place
from animclip_jax.sharding import MeshConfig, batch_sharding, make_mesh
from animclip_jax.video_index.catalogue import Catalogue, Stamp, Video
from animclip_jax.video_index.outgoing import BATCH
from animclip_jax.video_index.publication import ABOUT, About, Published
from animclip_jax.video_index.stage_one import Flat
from benchmarks.private_memory import private_bytes
from input_pipeline.media.segment_settings import SegmentSettings

WIDTH, K = 512, 50
# Of 12 frames: values int8, and a scale float16 of each token.
TOKENS, CODE_WIDTH = 12 * 5, 256
CODE_BYTES = TOKENS * (CODE_WIDTH + 2)
SEGMENTS_A_VIDEO = 10
CATALOGUE = Catalogue("/videos", "0" * 64, "/model", True, "int8", SegmentSettings(12, 224))
FLAT, BUILD, SEARCH = "flat", "build", "search"


def vectors(count: int, seed: int) -> np.ndarray:
    """float32 [N, WIDTH], unit length, in any direction alike."""
    found = np.random.default_rng(seed).standard_normal((count, WIDTH), np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def gallery(segments: int) -> Iterator[np.ndarray]:
    """The same vectors every time, BATCH at a time."""
    for first in range(0, segments, BATCH):
        yield vectors(min(BATCH, segments - first), 1 + first)


def asked(ask: Callable[[np.ndarray], list[int]], queries: np.ndarray) -> dict[str, Any]:
    """Keys of the best of each query, and milliseconds; the first query comes once before."""
    ask(queries[0])
    found, spent = [], []
    for one in queries:
        began = time.perf_counter()
        found.append(ask(one))
        spent.append(1000 * (time.perf_counter() - began))
    ordered = sorted(spent)
    return {
        "p50 ms": statistics.median(spent),
        "p90 ms": ordered[int(0.9 * len(ordered))],
        "private MiB": private_bytes() / 2**20,
        "found": found,
    }


def flat(place: Place, segments: int, queries: np.ndarray) -> dict[str, Any]:
    """What the index of a folder does; its answers are the exact ones."""
    split = batch_sharding(make_mesh(MeshConfig(-1, 1)))
    stage = Flat(np.concatenate(list(gallery(segments))), split)
    return asked(lambda one: [key for key, _ in stage.nearest(one, K, None)], queries)


def build(place: Place, segments: int, queries: np.ndarray) -> dict[str, Any]:
    """Publishes segments and builds the indexes: seconds of each, and bytes on the disk."""
    from animclip_jax.engines.lance import Lance

    engine, about = Lance(place), About(CATALOGUE, (TOKENS, CODE_WIDTH))
    pool = np.random.default_rng(0).bytes(64 * CODE_BYTES)
    began = time.perf_counter()
    for embedding in gallery(segments):
        count, first = len(embedding), about.next
        starts = np.random.default_rng(first).integers(0, 63 * CODE_BYTES, count).tolist()
        scales = np.full(TOKENS, 1 / 64, np.float16).tobytes()
        codes = [pool[start : start + TOKENS * CODE_WIDTH] + scales for start in starts]
        videos = list(_videos(first, count))
        names = [one.name for one in videos for _ in one.times]
        times = np.concatenate([one.times for one in videos])
        engine.add(first, Segments(names, times, embedding, codes, [b"x"] * count, [""] * count))
        engine.put({one.number: one.written() for one in videos})
        about.next += count
    engine.put({ABOUT: about.written()})
    added = time.perf_counter()
    engine.finish()
    ended = time.perf_counter()
    size = sum(path.stat().st_size for path in Path(place.where).rglob("*") if path.is_file())
    spent = {"add s": added - began, "index s": ended - added, "disk GB": size / 1e9}
    return spent | {"private MiB": private_bytes() / 2**20}


def _videos(first: int, count: int) -> Iterator[Published]:
    """Entries of videos for segments whose keys begin with `first`."""
    for start in range(first, first + count, SEGMENTS_A_VIDEO):
        here = min(SEGMENTS_A_VIDEO, first + count - start)
        starts = 10.0 * np.arange(here)
        video = Video(Stamp(start, start), "00000000", start, here, "h264")
        yield Published(f"{start:08}.mp4", video, "", np.stack([starts, starts + 10], 1), False)


def search(place: Place, segments: int, queries: np.ndarray) -> dict[str, Any]:
    """Opens the publication; stage one, and then what stage two reads."""
    from animclip_jax.video_index.published import OnEngine, PublishedIndex

    began = time.perf_counter()
    index = PublishedIndex(place)
    opened = time.perf_counter() - began
    stage = OnEngine(index)
    found = asked(lambda one: [key for key, _ in stage.nearest(one, K, None)], queries)
    spent = []
    for numbers in found["found"]:
        began = time.perf_counter()
        index.features(np.array(numbers))
        spent.append(1000 * (time.perf_counter() - began))
    return found | {
        "open s": opened,
        "p50 ms, codes": statistics.median(spent),
        "private MiB": private_bytes() / 2**20,
    }


STEPS = {FLAT: flat, BUILD: build, SEARCH: search}


def alone(step: str, place: Place, segments: int, queries: int) -> dict[str, Any]:
    """A step in a process of its own."""
    words = [f"--step={step}", f"--scratch={place.where}"]
    sizes = [f"--segments={segments}", f"--queries={queries}"]
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.engines", *words, *sizes],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def measure(scratch: Path, segments: int, queries: int) -> dict[str, Any]:
    """All steps, one after the other, and how they compare."""
    place = Place(LANCEDB, str(scratch / "table"))
    found = {step: alone(step, place, segments, queries) for step in STEPS}
    exact, near = (found[step].pop("found") for step in (FLAT, SEARCH))
    right = [len(set(one) & set(other)) / K for one, other in zip(exact, near, strict=True)]
    return found | {
        "segments": segments,
        "queries": queries,
        "cores": os.cpu_count(),
        f"R@{K} of stage one": statistics.fmean(right),
        "p50 over flat": found[SEARCH]["p50 ms"] / found[FLAT]["p50 ms"],
    }


def main(argv: list[str] | None = None) -> int:
    """Prints the figures; writes them to --json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--segments", type=int, default=1_000_000, help="how many there are")
    parser.add_argument("--queries", type=int, default=100, help="how many are asked")
    parser.add_argument("--quick", action="store_true", help="70,000 segments and 20 queries")
    parser.add_argument("--scratch", type=Path, help="folder for 25 KB a segment")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.quick:
        options.segments, options.queries = 70_000, 20
    if options.step:
        queries = vectors(options.queries, 0)
        place = Place(LANCEDB, str(options.scratch))
        print(json.dumps(STEPS[options.step](place, options.segments, queries)))
        return 0
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        report = measure(Path(scratch), options.segments, options.queries)
    print(json.dumps(report, indent=1))
    if options.json:
        files.write_json(options.json, report, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
