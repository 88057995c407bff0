"""Is a run that is killed again and again the run that never was? 20 kills, on changing meshes.

    python -m benchmarks.kills [--kills 20] [--seed 0] [--keep DIR]

A tiny run is trained straight through; then once more, killed (SIGKILL) after a random time, every
other one while a checkpoint is being written, and each time resumed on another mesh and number of
processes. Every step must be there once, with the same loss to 1e-5. Prints a line a kill; exits
with 1 where a step differs.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from animclip_jax.runs import layout

STEPS = 48
FLAGS = [
    "--config=configs/quickstart.py",
    f"--config.steps={STEPS}",
    "--config.batch_size=16",
    "--config.log_every=1",
    "--config.data.train=drawn:train:96",
    "--config.data.eval=drawn:val:12",
    "--config.model.vision.layers=1",
    "--config.model.text.layers=1",
    "--config.evaluation.rerank_k=4",
    "--config.checkpoint.every=4",
]
# Processes, devices of each, and the mesh over all.
PLACES = [(1, 1, 1, 1), (1, 8, 1, 1), (1, 8, 4, 1), (1, 8, 4, 2), (2, 4, 4, 1)]
TOLERANCE = 1e-5


def start(
    place: tuple[int, int, int, int], workdir: Path, cache: Path, *more: str
) -> list[subprocess.Popen]:
    """The run's processes, on their way; `more` are flags after those of every run."""
    processes, devices, fsdp, tensor = place
    flags = [
        *FLAGS,
        *more,
        f"--config.data.cache_dir={cache}",
        f"--config.mesh.fsdp={fsdp}",
        f"--config.mesh.tensor={tensor}",
        f"--workdir={workdir}",
    ]
    given = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    started = []
    for number in range(processes):
        several = [
            f"--coordinator={coordinator}",
            f"--processes={processes}",
            f"--process={number}",
        ]
        command = [sys.executable, "-m", "animclip_jax.train", *flags]
        with (workdir.parent / f"log.{number}").open("a") as log:
            started.append(
                subprocess.Popen(
                    command + (several if processes > 1 else []), env=given, stdout=log, stderr=log
                )
            )
    return started


def losses(workdir: Path) -> dict[int, float]:
    """By step; a step that is there twice is an error."""
    found: dict[int, float] = {}
    path = workdir / layout.METRICS
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off by the kill
        if entry["step"] in found:
            raise SystemExit(f"step {entry['step']} is logged twice")
        found[entry["step"]] = entry["loss"]
    return found


def is_saving(workdir: Path) -> bool:
    """Whether a checkpoint is being written: Orbax gives it a name of its own until it is whole."""
    directory = workdir / layout.CHECKPOINTS
    return directory.is_dir() and any("tmp" in path.name for path in directory.iterdir())


def kill_one(place: tuple, workdir: Path, cache: Path, in_a_save: bool, wait: float) -> str:
    """Starts the run, kills it, and says when that was."""
    started = start(place, workdir, cache)
    before = len(losses(workdir))
    # The first steps of this start: from then on the clock runs.
    while all(process.poll() is None for process in started) and len(losses(workdir)) <= before:
        time.sleep(0.01)
    end = time.monotonic() + wait
    while all(process.poll() is None for process in started):
        if is_saving(workdir) if in_a_save else time.monotonic() > end:
            break
        time.sleep(0.0005)
    saving = is_saving(workdir)
    for process in started:
        process.send_signal(signal.SIGKILL)
    codes = [process.wait() for process in started]
    return f"after step {max(losses(workdir), default=0)}{', in a save' if saving else ''}, {codes}"


def main() -> int:
    """Returns 0 where the killed run equals the straight one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder to work in that stays")
    options = parser.parse_args()
    chosen = random.Random(options.seed)
    base = options.keep or Path(tempfile.mkdtemp())
    for name in ("straight", "killed"):
        (base / name).mkdir(parents=True, exist_ok=True)
    straight, killed, cache = base / "straight/run", base / "killed/run", base / "cache"
    for process in start(PLACES[0], straight, cache):
        if process.wait():
            raise SystemExit((straight.parent / "log.0").read_text())
    for number in range(options.kills):
        if (killed / layout.FINISHED).exists():  # begin anew: there are more kills to come
            compare(straight, killed)
            shutil.rmtree(killed)
        place = PLACES[chosen.randrange(len(PLACES))]
        said = kill_one(place, killed, cache, number % 2 == 1, chosen.uniform(0.0, 2.0))
        print(f"kill {number + 1}: processes, devices, fsdp, tensor {place}: {said}", flush=True)
    for process in start(PLACES[0], killed, cache):
        if process.wait():
            raise SystemExit((killed.parent / "log.0").read_text())
    compare(straight, killed)
    if options.keep is None:
        shutil.rmtree(base)
    return 0


def compare(straight: Path, killed: Path) -> None:
    """Ends the program where the runs differ."""
    wanted, found = losses(straight), losses(killed)
    if wanted.keys() != found.keys() or len(wanted) != STEPS:
        raise SystemExit(f"{killed}: steps {sorted(found)}, wanted 1 to {STEPS}")
    worst = max(abs(found[step] / wanted[step] - 1) for step in wanted)
    print(f"{STEPS} steps, each once; greatest relative difference of a loss {worst:.1e}")
    if worst > TOLERANCE:
        raise SystemExit(f"{killed}: losses differ by up to {worst:.1e}, wanted {TOLERANCE}")


if __name__ == "__main__":
    sys.exit(main())
