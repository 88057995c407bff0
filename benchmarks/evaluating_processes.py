"""An evaluation by two processes of a core each, beside one process of two cores.

    python -m benchmarks.evaluating_processes --quick --json evaluating.json
    python -m benchmarks.evaluating_processes                     # 5,000 videos

The videos are drawn first, which takes longest. The model is the quickstart's after a step. The
seconds are those of results.json, to encode and to search in both directions, and of the whole
command, with its imports; of several rounds the best one counts, so that programs are compiled
before. `ratio` is two processes' seconds over one's: what sharing costs. Both must find the same.
"""

import argparse
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from animclip_jax import files

VIDEOS, QUICK_VIDEOS = 5_000, 400
# In the first of them programs are compiled.
ROUNDS, QUICK_ROUNDS = 3, 2
SCORED = ("text_to_video", "video_to_text")
STAGES = ("coarse", "reranked", "ceiling")


def train(folder: Path) -> None:
    """A run of a step, FOLDER/run."""
    settings = ["steps=1", "batch_size=8", "data.train=drawn:train:32", "data.eval=drawn:val:8"]
    settings += [f"data.cache_dir={folder / 'cache'}", "checkpoint.every=1"]
    given = [f"--config.{setting}" for setting in settings]
    command = ["-m", "animclip_jax.train", "--config=configs/quickstart.py", *given]
    subprocess.run([sys.executable, *command, f"--workdir={folder / 'run'}"], check=True)


def draw(folder: Path, videos: int) -> None:
    """The videos that are searched, into the run's cache."""
    from input_pipeline.drawn.cache import prepared

    prepared("test", videos, folder / "cache")


def evaluate(folder: Path, videos: int, cores: list[set[int]]) -> dict[str, Any]:
    """Evaluates the run by a process for each set of cores.

    Returns:
      `evaluation` and `command`, seconds; `scores` by direction and stage.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"--coordinator=localhost:{free.getsockname()[1]}"
    out = folder / f"by-{len(cores)}"
    command = [sys.executable, "-m", "animclip_jax.evaluate", f"--workdir={folder / 'run'}"]
    command += [f"--out={out}", f"--config.data.eval=drawn:test:{videos}"]
    began = time.perf_counter()
    running = []
    for number, some in enumerate(cores):
        several = [coordinator, f"--processes={len(cores)}", f"--process={number}"]
        given = command + (several if len(cores) > 1 else [])
        pinned = functools.partial(os.sched_setaffinity, 0, some)
        running.append(
            subprocess.Popen(given, stdout=subprocess.DEVNULL, preexec_fn=pinned)  # noqa: PLW1509
        )
    if codes := [code for code in [one.wait() for one in running] if code]:
        raise SystemExit(f"animclip evaluate ended with exit code {codes[0]}")
    whole = time.perf_counter() - began
    found = json.loads((out / "results.json").read_text())
    spent = sum(found["seconds"][stage] for stage in ("embed", "coarse", "rerank"))
    scores = {name: {stage: found[name][stage] for stage in STAGES} for name in SCORED}
    return {"evaluation": spent, "command": whole, "scores": scores}


def measure(folder: Path, videos: int, rounds: int) -> dict[str, Any]:
    """The best seconds of both, and their ratio."""
    both = sorted(os.sched_getaffinity(0))[:2]
    if len(both) < 2:
        raise SystemExit("this benchmark needs two cores, found one")
    one, two = [set(both)], [{core} for core in both]
    ways = {"one process, two cores": one, "two processes, a core each": two}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, cores in ways.items():
            found[name].append(evaluate(folder, videos, cores))
    alone, shared = found.values()
    if any(run["scores"] != alone[0]["scores"] for run in alone + shared):
        raise SystemExit("the scores of one process and of two are not the same")
    report: dict[str, Any] = {"videos": videos, "rounds": rounds}
    for name, runs in found.items():
        report[name] = {what: min(run[what] for run in runs) for what in ("evaluation", "command")}
    of_one, of_two = (report[name] for name in ways)
    return report | {"ratio": of_two["evaluation"] / of_one["evaluation"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_VIDEOS} videos")
    parser.add_argument("--rounds", type=int, help="2 or more")
    parser.add_argument("--cache", type=Path, help="a folder that keeps the run and the videos")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    videos, rounds = (QUICK_VIDEOS, QUICK_ROUNDS) if given.quick else (VIDEOS, ROUNDS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.cache or Path(temporary)
        if not (folder / "run" / "finished").exists():
            train(folder)
        draw(folder, videos)
        report = measure(folder, videos, given.rounds or rounds)
    for name, seconds in report.items():
        if isinstance(seconds, dict):
            print(f"{name:28} {seconds['evaluation']:8.1f} s, command {seconds['command']:8.1f} s")
    print(f"{'ratio':28} {report['ratio']:8.3f}")
    if given.json:
        files.write_json(given.json, report, indent=1)


if __name__ == "__main__":
    main()
