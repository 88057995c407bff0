"""Two-stage retrieval at scale: time and memory a query, beside its limits and peers.

    python -m benchmarks.retrieval --quick --json retrieval.json
    python -m benchmarks.retrieval                      # up to a million videos: 16 GB of disk
    python -m benchmarks.retrieval --evaluation 27763x670

Embeddings and codes are random numbers of ViT-B/32's shapes, the codes int8 in a memory-mapped
file. The first stage stands beside the bare matrix product and FAISS's exact index (`pip install
'.[bench]'`), the second beside scoring every pair. `--evaluation` times a whole evaluation in both
directions, K = 50, of so many captions and videos.
"""

import argparse
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from animclip_jax import files, sharding
from animclip_jax.evaluation.two_stage import Gallery, Search
from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, TextFeatures, VideoFeatures
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.models.video_code import PackedCode
from animclip_jax.retrieval.coarse import hold, top_k
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.rerank import Captions, PairScorer
from benchmarks.private_memory import Peak

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = SIZES[:3]
K, WIDTH, FRAMES, CODE_TOKENS, CODE_WIDTH = 50, 512, 12, 60, 256
MANY = 1000  # queries at once
PAIRS = 20  # queries that meet every video


def encoder(layers: int) -> Encoder:
    """A model whose re-ranker has ViT-B/32's sizes; its towers, not used here, are small."""
    tower = TransformerConfig(width=WIDTH, layers=1, heads=8, mlp_width=WIDTH)
    clip = ClipConfig(224, 32, vision=tower, text=tower, vocab_size=100, embed_dim=WIDTH)
    config = RetrieverConfig(clip, RerankerConfig(layers=layers), FRAMES)
    params = parameters.draw(config, 0)
    params["reranker"]["head_out"]["kernel"] += 1.0
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    return Encoder(sharding.batch_sharding(mesh), parameters.graph_definition(config), params)


def unit(random: np.random.Generator, count: int) -> np.ndarray:
    """Embeddings float32 [count, WIDTH]."""
    x = random.standard_normal((count, WIDTH), np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def write_store(directory: Path, count: int) -> VideoFeatures:
    """Random embeddings (float16) and codes (int8, scaled) of so many videos, memory-mapped."""
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
        "embedding": (np.float16, (WIDTH,)),
        "values": (np.int8, (CODE_TOKENS, CODE_WIDTH)),
        "scales": (np.float16, (CODE_TOKENS,)),
    }
    arrays = []
    for name, (dtype, shape) in shapes.items():
        path = directory / f"{name}.npy"
        array = np.lib.format.open_memmap(path, "w+", dtype, (count, *shape))
        for start in range(0, count, 10_000):
            size = min(10_000, count - start)
            if name == "values":
                raw = np.frombuffer(random.bytes(size * CODE_TOKENS * CODE_WIDTH), np.int8)
                array[start : start + size] = raw.reshape(size, *shape)
            elif name == "scales":
                array[start : start + size] = 1 / 64
            else:
                array[start : start + size] = unit(random, size)
        array.flush()
        del array
        arrays.append(np.load(path, mmap_mode="r"))
    return VideoFeatures(arrays[0], PackedCode(*arrays[1:]))


def captions(random: np.random.Generator, count: int) -> Captions:
    """Random features of captions, 19 of 20 with up to 16 tokens, the others with up to 32."""
    bucket = (np.arange(count) % 20 == 19).astype(int)
    place = np.where(bucket, np.arange(count) // 20, np.arange(count) - np.arange(count) // 20)
    features = []
    for number, length in enumerate((16, 32)):
        size = int((bucket == number).sum())
        if size:
            hidden = random.standard_normal((size, length, WIDTH), np.float32)
            mask = np.arange(length) < length - 4
            features.append(TextFeatures(unit(random, size), hidden, np.tile(mask, (size, 1))))
    return Captions(unit(random, count), bucket, place, features)


def seconds(function: Callable[[], Any], repeats: int = 5) -> tuple[float, float]:
    """The first call, which may compile, and the median of others."""
    spent = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        jax.block_until_ready(function())
        spent.append(time.perf_counter() - began)
    return spent[0], statistics.median(spent[1:])


def faiss_search(gallery: np.ndarray, queries: np.ndarray) -> Callable[[], Any] | None:
    """FAISS's exact inner-product search with all cores, or None where it isn't installed."""
    try:
        import faiss
    except ModuleNotFoundError:
        return None
    faiss.omp_set_num_threads(os.cpu_count())
    index = faiss.IndexFlatIP(WIDTH)
    index.add(gallery)
    return lambda: index.search(queries, K)


def coarse_rows(one: Encoder, size: int, video: VideoFeatures) -> list[dict[str, Any]]:
    """Stage one on a gallery in memory: ours, the bare product, FAISS; 1 and MANY queries."""
    random = np.random.default_rng(1)
    gallery = np.asarray(video.embedding, np.float32)
    held = hold(gallery, one.split)
    rows = []
    for count in (1, MANY):
        queries = unit(random, count)
        row: dict[str, Any] = {"videos": size, "queries": count}
        cold, warm = seconds(functools.partial(top_k, queries, held, K, one.split))
        row["cold_ms"], row["ours_ms"] = 1000 * cold / count, 1000 * warm / count
        product = seconds(functools.partial(np.matmul, queries, gallery.T))[1]
        row["product_ms"] = 1000 * product / count
        search = faiss_search(gallery, queries)
        row["faiss_ms"] = 1000 * seconds(search)[1] / count if search else None
        exact = top_k(queries, held, K, one.split, approximate=False)[0]
        near = top_k(queries, held, K, one.split, approximate=True)[0]
        row["approximate_recall"] = recall(near, exact)
        if search:
            row["faiss_recall"] = recall(search()[1], exact)
        rows.append(row)
    return rows


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """The share of the exact K best items that were found."""
    pairs = zip(found, exact, strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in pairs]))


def mapped_row(one: Encoder, size: int, video: VideoFeatures) -> dict[str, Any]:
    """One query through both stages, everything of the gallery in the memory-mapped file."""
    text = captions(np.random.default_rng(2), 1)
    scorer = PairScorer(one, text, video)

    def stages() -> tuple[float, float]:
        began = time.perf_counter()
        items = top_k(text.embedding, np.asarray(video.embedding), K, one.split)[0]
        between = time.perf_counter()
        scorer(np.zeros_like(items), items)
        return between - began, time.perf_counter() - between

    with Peak() as peak:
        stages()
        found = [stages() for _ in range(5)]
    coarse, rerank = (1000 * statistics.median(column) for column in zip(*found, strict=True))
    # The bare product of a gallery that fits into memory, as many times as it goes into this one.
    part = np.asarray(video.embedding[: QUICK_SIZES[-1]], np.float32)
    product = seconds(functools.partial(np.matmul, text.embedding, part.T))[1] * size / len(part)
    row = {"videos": size, "coarse_ms": coarse, "product_ms": 1000 * product}
    return row | {"rerank_ms": rerank, "private_gib": peak.bytes / 2**30}


def all_pairs(one: Encoder, video: VideoFeatures) -> dict[str, Any]:
    """Re-ranking K of 1,000 videos against scoring all of them."""
    text = captions(np.random.default_rng(3), PAIRS)
    count = min(1000, len(video.embedding))
    some = jax.tree.map(lambda x: np.array(x[:count]), video)
    scorer = PairScorer(one, text, some)
    items = top_k(text.embedding, some.embedding, K, one.split)[0]
    everything = np.tile(np.arange(count), (PAIRS, 1))
    queries = np.arange(PAIRS)[:, None]

    def rerank(chosen: np.ndarray) -> np.ndarray:
        return scorer(np.broadcast_to(queries, chosen.shape), chosen)

    spent = seconds(lambda: rerank(items), 3)[1], seconds(lambda: rerank(everything), 3)[1]
    best = rerank(everything).argmax(axis=1)
    ours = np.take_along_axis(items, rerank(items).argmax(axis=1)[:, None], axis=1)[:, 0]
    among = (items == best[:, None]).any(axis=1)
    return {
        "videos": count,
        "rerank_ms": 1000 * spent[0] / PAIRS,
        "all_pairs_ms": 1000 * spent[1] / PAIRS,
        "top_1_among_candidates": int(among.sum()),
        "of_those_equal": int((best == ours)[among].sum()),
    }


def sharded() -> dict[str, Any]:
    """10,007 videos over 8 host-platform devices against one: items and scores."""
    found = []
    for devices in (1, 8):
        flags = f"--xla_force_host_platform_device_count={devices}"
        environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-m", "benchmarks.sharded_search"]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(run.stderr)
        found.append([np.array(part) for part in json.loads(run.stdout.splitlines()[-1])])
    (items, scores), (items_8, scores_8) = found
    return {
        "devices": 8,
        "items_equal": float((items == items_8).mean()),
        "largest_score_difference": float(np.abs(scores - scores_8).max()),
    }


def evaluation(one: Encoder, num_captions: int, num_videos: int) -> dict[str, Any]:
    """A whole evaluation from stored features: both directions, K = 50."""
    random = np.random.default_rng(4)
    values = random.integers(-127, 128, (num_videos, CODE_TOKENS, CODE_WIDTH), np.int8)
    code = PackedCode(values, np.full((num_videos, CODE_TOKENS), 1 / 64, np.float16))
    owner = np.sort(np.arange(num_captions) % num_videos)
    names = [f"{n}" for n in range(num_videos)], [f"{n}" for n in range(num_captions)]
    report: dict[str, Any] = {"captions": num_captions, "videos": num_videos}
    with Peak() as peak:
        video = VideoFeatures(unit(random, num_videos), code)
        gallery = Gallery(video, captions(random, num_captions), owner, *names)
        search = Search(one, gallery, groups_once=True)
        for direction, queries in (("text_to_video", num_captions), ("video_to_text", num_videos)):
            with tqdm(total=queries * K, desc=direction, unit="pair", mininterval=10) as bar:
                report[direction] = search(direction == "text_to_video", K, bar.update)[2]
            print(f"{direction}: {report[direction]}, {peak.bytes / 2**30:.2f} GiB", flush=True)
    return report | {"private_gib": peak.bytes / 2**30}


def rounded(row: dict[str, Any]) -> str:
    """A row as "name value, name value"."""
    cells = (
        f"{name} {v:.4g}" if isinstance(v, float) else f"{name} {v}" for name, v in row.items()
    )
    return ", ".join(cells)


def main(argv: list[str] | None = None) -> int:
    """Prints the tables; writes them to --json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="galleries of up to 100,000")
    parser.add_argument("--sizes", type=int, nargs="+", help="of galleries, in place of the usual")
    parser.add_argument("--evaluation", metavar="CAPTIONSxVIDEOS", help="that alone")
    parser.add_argument("--scratch", type=Path, help="folder for the memory-mapped files")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(argv)
    one = encoder(layers=2)
    report: dict[str, Any] = {"cores": os.cpu_count(), "devices": jax.device_count()}
    if options.evaluation:
        report["evaluation"] = evaluation(one, *map(int, options.evaluation.split("x")))
        print(rounded(report["evaluation"]))
    else:
        sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)
        report |= tables(one, sizes, options.scratch)
    if options.json:
        files.write_json(options.json, report, indent=1)
    return 0


def tables(one: Encoder, sizes: tuple[int, ...], scratch: Path | None) -> dict[str, Any]:
    """Everything except the evaluation; prints as it goes."""
    report: dict[str, Any] = {"coarse": [], "mapped": []}
    for size in sizes:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        try:
            video = write_store(folder, size)
            report["mapped"].append(mapped_row(one, size, video))
            print(f"memory-mapped: {rounded(report['mapped'][-1])}", flush=True)
            # The whole gallery as float32 and a copy in FAISS: not of a million videos.
            if size <= max(QUICK_SIZES):
                for row in coarse_rows(one, size, video):
                    report["coarse"].append(row)
                    print(f"stage one: {rounded(row)}", flush=True)
            if size == sizes[0]:
                report["all_pairs"] = all_pairs(one, video)
                print(f"stage two: {rounded(report['all_pairs'])}", flush=True)
        finally:
            shutil.rmtree(folder)
    report["sharded"] = sharded()
    print(f"sharded: {rounded(report['sharded'])}")
    pairs, mapped = report["all_pairs"], report["mapped"][-1]
    report["ratios"] = {
        "mapped_over_bare_matmul": mapped["coarse_ms"] / mapped["product_ms"],
        "all_pairs_over_rerank": pairs["all_pairs_ms"] / pairs["rerank_ms"],
    }
    if report["coarse"]:
        largest = report["coarse"][-1]
        report["ratios"]["coarse_over_bare_matmul"] = largest["ours_ms"] / largest["product_ms"]
        faiss = largest["faiss_ms"]
        report["ratios"]["coarse_over_faiss_flat"] = largest["ours_ms"] / faiss if faiss else None
    print(f"ratios: {rounded(report['ratios'])}")
    return report


if __name__ == "__main__":
    sys.exit(main())
