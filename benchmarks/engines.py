"""Stage one by LanceDB beside the flat scan, for random vectors with codes of ViT-B/32 on disk.

    python -m benchmarks.engines --scratch FOLDER --json engines.json    # 1,000,000: 25 GB, an hour
    python -m benchmarks.engines --quick

Random vectors are the hardest case: no group of them lies together, so an index that looks into a
part of its partitions alone misses most of the best. Each engine runs in a process of its own,
which has no model: a query is a vector. Flat is what a folder's index does: all embeddings in
memory, compared by JAX. LanceDB is published to and searched as `animclip index --to=lancedb:` and
`animclip search` do it, with the defaults. Recall is against the exact best of float32. Codes are
random bytes of a pool, not compressible ones of zeros. Memory is private: without mapped files.
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
from animclip_jax.engines.engine import CODE, EMBEDDING, Segments
from animclip_jax.engines.place import LANCEDB, Place
from animclip_jax.sharding import MeshConfig, batch_sharding, make_mesh
from animclip_jax.video_index.outgoing import BATCH
from animclip_jax.video_index.stage_one import Flat

WIDTH, K = 512, 50
# Values int8 and scales float16 of 12 frames of 5 tokens.
CODE_BYTES = 12 * 5 * (256 + 2)
FLAT, BUILD, SEARCH = "flat", "build", "search"


def vectors(count: int, seed: int) -> np.ndarray:
    """float32 [N, WIDTH], unit length, in any direction alike."""
    found = np.random.default_rng(seed).standard_normal((count, WIDTH), np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def gallery(segments: int) -> Iterator[np.ndarray]:
    """The same vectors every time, BATCH at a time."""
    for first in range(0, segments, BATCH):
        yield vectors(min(BATCH, segments - first), 1 + first)


def private_mebibytes() -> float:
    """Of this process; what is mapped from files can be dropped at any time, and does not count."""
    told = Path("/proc/self/status").read_text()
    return int(told.partition("RssAnon:")[2].split()[0]) / 1024


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
        "private MiB": private_mebibytes(),
        "found": found,
    }


def flat(place: Place, segments: int, queries: np.ndarray) -> dict[str, Any]:
    """What the index of a folder does; its answers are the exact ones."""
    split = batch_sharding(make_mesh(MeshConfig(-1, 1)))
    stage = Flat(np.concatenate(list(gallery(segments))), split)
    return asked(lambda one: [key for key, _ in stage.nearest(one, K, None)], queries)


def build(place: Place, segments: int, queries: np.ndarray) -> dict[str, Any]:
    """Adds segments and builds the indexes: seconds of each, and bytes on the disk."""
    from animclip_jax.engines.lance import Lance

    engine, first = Lance(place), 0
    pool = np.random.default_rng(0).bytes(64 * CODE_BYTES)
    began = time.perf_counter()
    for embedding in gallery(segments):
        count = len(embedding)
        starts = np.random.default_rng(first).integers(0, 63 * CODE_BYTES, count).tolist()
        codes = [pool[start : start + CODE_BYTES] for start in starts]
        names, times = ["a.mp4"] * count, np.tile([0.0, 10.0], (count, 1))
        engine.add(first, Segments(names, times, embedding, codes, [b"x"] * count, [""] * count))
        first += count
    engine.put({0: "{}"})
    added = time.perf_counter()
    engine.finish()
    ended = time.perf_counter()
    size = sum(path.stat().st_size for path in Path(place.where).rglob("*") if path.is_file())
    spent = {"add s": added - began, "index s": ended - added, "disk GB": size / 1e9}
    return spent | {"private MiB": private_mebibytes()}


def search(place: Place, segments: int, queries: np.ndarray) -> dict[str, Any]:
    """Stage one, and then what stage two reads."""
    from animclip_jax.engines.lance import Lance

    engine = Lance(place)
    found = asked(lambda one: engine.search(one, K)[0].tolist(), queries)
    spent = []
    for keys in found["found"]:
        began = time.perf_counter()
        engine.read(np.array(keys), [EMBEDDING, CODE])
        spent.append(1000 * (time.perf_counter() - began))
    return found | {
        "p50 ms, codes": statistics.median(spent),
        "private MiB": private_mebibytes(),
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
