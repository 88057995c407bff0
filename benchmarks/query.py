"""One text query by ViT-B/32 on this machine: warm, beside PyTorch, and from a cold start.

    python -m benchmarks.query --json query.json
    python -m benchmarks.query --beside CHECKOUT    # asks another checkout in turn

Weights and the index's features are random. Both checkouts answer through their own commands:
`animclip serve` the warm questions, `animclip search` the cold ones, as they are shipped: what one
keeps from the run before, the next finds. With JAX_COMPILATION_CACHE_DIR=FOLDER in front, every
checkout keeps its compiled programs. PyTorch encodes 77 tokens by Hugging Face's text tower,
multiplies by all embeddings, takes the best and re-ranks them by modules of the re-ranker's shapes.
Only one works at a time. `cpu` is the time of all cores, which other work beside it changes least.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from animclip_jax import files
from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.video_index import shards
from animclip_jax.video_index.catalogue import CATALOGUE
from benchmarks.random_index import write_index, write_model

SENTENCES = ("a dog catches a frisbee", "two children on a red slide", "a car turns left at night")
K = 50
OURS, OTHER, PYTORCH = "ours", "other", "PyTorch"
TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Milliseconds of one question, by the clock and of all cores."""

    wall: float
    cpu: float


class Checkout:
    """A tree of this project, its commands run on an index of its own version."""

    def __init__(self, tree: Path, index: Path, scratch: Path):
        source = (tree / "animclip_jax" / "video_index" / "catalogue.py").read_text()
        found = re.search(r'VERSION = "animclip-index", (\d+)', source)
        assert found is not None, f"{tree}: no version of an index"
        self.tree, self.index = tree, scratch / "index"
        self.index.mkdir(parents=True)
        (self.index / shards.SHARDS).symlink_to(index / shards.SHARDS)
        document = files.read_object(index / CATALOGUE) | {"version": int(found[1])}
        files.write_json(self.index / CATALOGUE, document)
        # Where what a checkout keeps of its own accord is kept, such as compiled programs.
        self.environment = os.environ | {"PYTHONPATH": str(tree), "HOME": str(scratch)}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "animclip_jax", *words]

    def cold(self, sentence: str) -> Spent:
        """`animclip search` from its start to its end."""
        before, began = os.times(), time.perf_counter()
        words = self.command("search", str(self.index), sentence, "--json")
        run = subprocess.run(
            words, cwd=self.tree, env=self.environment, capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise RuntimeError(f"{self.tree}: {run.stderr[-2000:]}")
        wall, after = time.perf_counter() - began, os.times()
        cpu = sum(after[2:4]) - sum(before[2:4])
        return Spent(1000 * wall, 1000 * cpu)

    @contextlib.contextmanager
    def served(self) -> Iterator[Callable[[str], tuple[Spent, dict[str, float]]]]:
        """Asks a server of its own: what a question took, and its stages, milliseconds."""
        words = self.command("serve", str(self.index), "--port", "0")
        with (
            tempfile.TemporaryFile("w+") as log,
            subprocess.Popen(
                words, cwd=self.tree, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            ) as server,
        ):
            try:
                port = _port(server, log)

                def ask(sentence: str) -> tuple[Spent, dict[str, float]]:
                    # A server closes a connection on which nothing was asked for a while.
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                    connection.connect()
                    before, began = _cpu(server.pid), time.perf_counter()
                    connection.request("GET", f"/api/search?q={quote(sentence)}")
                    answer = json.loads(connection.getresponse().read())
                    wall, cpu = time.perf_counter() - began, _cpu(server.pid) - before
                    connection.close()
                    return Spent(1000 * wall, 1000 * cpu), answer["milliseconds"]

                yield ask
            finally:
                server.terminate()


def _port(server: subprocess.Popen, log: Any) -> int:
    """The port that a server says it listens on, once it does."""
    while server.poll() is None:
        log.seek(0)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read()):
            return int(found[1])
        time.sleep(0.2)
    log.seek(0)
    raise RuntimeError(log.read()[-2000:])


def _cpu(process: int) -> float:
    """Seconds that all threads of a process have worked."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pytorch(index: Path) -> Callable[[str], tuple[Spent, dict[str, float]]] | None:
    """The same work by PyTorch, None where it isn't installed; any sentence is 77 tokens to it."""
    if not all(map(importlib.util.find_spec, ("torch", "transformers"))):
        return None
    from benchmarks.query_peer import Peer

    part = shards.read(index, "00000000", "int8")
    peer = Peer(PRESETS["vit_b32"], RERANKERS["vit_b32"], part, K)

    def ask(sentence: str) -> tuple[Spent, dict[str, float]]:
        before, began = time.process_time(), time.perf_counter()
        stages = peer()
        wall, cpu = time.perf_counter() - began, time.process_time() - before
        return Spent(1000 * wall, 1000 * cpu), stages

    return ask


def warm(
    askers: dict[str, Callable[[str], tuple[Spent, dict[str, float]]]], rounds: int
) -> dict[str, dict[str, float]]:
    """Medians a question, those of all askers in turn."""
    spent: dict[str, list[Spent]] = {name: [] for name in askers}
    stages: dict[str, list[dict[str, float]]] = {name: [] for name in askers}
    for turn in range(rounds + 1):
        for name, ask in askers.items():
            for sentence in SENTENCES:
                one, parts = ask(sentence)
                if turn:
                    spent[name].append(one)
                    stages[name].append(parts)
    return {name: _medians(spent[name], stages[name]) for name in askers}


def _medians(spent: list[Spent], stages: list[dict[str, float]]) -> dict[str, float]:
    found = {stage: statistics.median(one[stage] for one in stages) for stage in stages[0]}
    # Clock ticks are too coarse for the median of what a server's threads worked.
    return found | {
        "wall": statistics.median(one.wall for one in spent),
        "cpu": statistics.fmean(one.cpu for one in spent),
    }


def cold(checkouts: dict[str, Checkout], runs: int) -> dict[str, dict[str, float]]:
    """Medians of `animclip search`, those of all checkouts in turn; the first fills the caches."""
    spent: dict[str, list[Spent]] = {name: [] for name in checkouts}
    for turn in range(runs + 1):
        for name, checkout in checkouts.items():
            one = checkout.cold(SENTENCES[0])
            if turn:
                spent[name].append(one)
    return {name: _medians(some, [{}]) for name, some in spent.items()}


def ratios(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """Ours over each other, by each figure that both have."""
    return {
        f"{figure}_over_{name}": ours / rows[name][figure]
        for name in rows
        if name != OURS
        for figure, ours in rows[OURS].items()
    }


def main(argv: list[str] | None = None) -> int:
    """Prints the figures; writes them to --json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--beside", type=Path, help="another checkout, asked in turn")
    parser.add_argument("--segments", type=int, default=100_000, help="of the index")
    parser.add_argument("--rounds", type=int, default=10, help="of warm questions")
    parser.add_argument("--cold-runs", type=int, default=5, help="of animclip search")
    parser.add_argument("--scratch", type=Path, help="folder for 2.5 GB of model and index")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(argv)
    report: dict[str, Any] = {"cores": os.cpu_count(), "segments": options.segments}
    with (
        tempfile.TemporaryDirectory(dir=options.scratch) as scratch,
        contextlib.ExitStack() as all_,
    ):
        where = Path(scratch)
        write_model(where / "model")
        write_index(where / "drawn", where / "model", options.segments)
        trees = {OURS: Path(__file__).resolve().parents[1]}
        trees |= {OTHER: options.beside.resolve()} if options.beside else {}
        checkouts = {
            name: Checkout(tree, where / "drawn", where / name) for name, tree in trees.items()
        }
        report["cold"] = cold(checkouts, options.cold_runs)
        askers = {name: all_.enter_context(one.served()) for name, one in checkouts.items()}
        if peer := pytorch(where / "drawn"):
            askers[PYTORCH] = peer
        report["warm"] = warm(askers, options.rounds)
    for kind in ("cold", "warm"):
        for name, row in report[kind].items():
            print(f"{kind}, {name}, ms: {_words(row)}")
    report["ratios"] = {kind: ratios(report[kind]) for kind in ("cold", "warm")}
    for kind, found in report["ratios"].items():
        if found:
            print(f"{kind}, ratios: {_words(found)}")
    if options.json:
        files.write_json(options.json, report, indent=1)
    return 0


def _words(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in row.items())


if __name__ == "__main__":
    sys.exit(main())
