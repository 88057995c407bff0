"""From the wheel alone to the first answer: `python -m benchmarks.set_up [--limit SECONDS]`.

First, and not counted: builds the wheel, downloads what it requires (or takes it from pip's cache),
draws five short videos and makes a small model of random weights. Then, without a network: makes an
empty environment, installs into it, indexes the videos and searches them, as someone does who has
just downloaded the packages. Prints the seconds of each part by the clock, with the files still in
the memory of the machine.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
from flax import traverse_util

from animclip_jax.models import parameters
from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.weights import folder, manifest
from input_pipeline.drawn.films import write_films

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints" / f"py3{sys.version_info.minor}.txt"
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
VIDEOS, FRAMES = 5, 12
QUERY = "a red ball"


def build(scratch: Path) -> Path:
    """The wheel of the files that git knows, as they are now, built in a copy of them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split("\0")[:-1]:
        if (ROOT / name).is_file():
            (scratch / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, scratch / "source" / name)
    made = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", scratch, scratch / "source")
    run(Path(sys.executable), *made)
    (wheel,) = scratch.glob("*.whl")
    return wheel


def write_model(directory: Path) -> None:
    """A small model of random weights that re-ranks, as `animclip export` writes it."""
    config = RetrieverConfig(PRESETS["tiny"], RERANKERS["tiny"], FRAMES)
    params = jax.device_get(parameters.draw(config, 0))
    directory.mkdir()
    folder.write(directory, traverse_util.flatten_dict(params, sep="/"), config)
    manifest.write(directory, folder.KIND, {})


def run(program: Path | str, *arguments: object, home: Path | None = None) -> str:
    """What a program printed. home: run there, and with nothing of this environment.

    Raises:
      RuntimeError: it failed; with the end of what it said.
    """
    command = [str(program), *map(str, arguments)]
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(home)} if home else None
    done = subprocess.run(command, cwd=home, env=bare, capture_output=True, text=True)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{said}")
    return done.stdout


def measure(wheel: Path, wheels: Path, home: Path) -> dict[str, float]:
    """Seconds of each part, by its name.

    Args:
      wheels: the folder of all that the wheel requires. home: holds `videos` and `model`.
    """
    python, animclip = home / "env" / "bin" / "python", home / "env" / "bin" / "animclip"
    install = (*PIP, "install", "--no-index", "-f", wheels, "-c", CONSTRAINTS, wheel)
    parts = {
        "an empty environment": (Path(sys.executable), "-m", "venv", home / "env"),
        "the installation": (python, *install),
        f"an index of {VIDEOS} videos": (
            animclip,
            "index",
            "videos",
            "--model=model",
            "--out=index",
        ),
        "the first search": (animclip, "search", "index", QUERY),
    }
    seconds = {}
    for name, (program, *arguments) in parts.items():
        began = time.perf_counter()
        print(run(program, *arguments, home=home), end="")
        seconds[name] = time.perf_counter() - began
    return seconds


def report(seconds: dict[str, float], limit: float | None) -> int:
    """Prints the parts and their sum; returns 1 if that is over the limit."""
    for name, value in seconds.items():
        print(f"{value:6.1f} s  {name}")
    total = sum(seconds.values())
    print(f"{total:6.1f} s  in all")
    if limit is not None and total > limit:
        print(f"wanted {limit:g} s at most", file=sys.stderr)
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Prints the seconds; returns 1 if they are over --limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--limit", type=float, help="the most that all may take, in seconds")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        wheels, home = Path(scratch, "wheels"), Path(scratch, "home")
        home.mkdir()
        wheel = build(Path(scratch))
        run(Path(sys.executable), *PIP, "wheel", "-w", wheels, "-c", CONSTRAINTS, wheel)
        write_films(home / "videos", "test", VIDEOS)
        write_model(home / "model")
        return report(measure(wheel, wheels, home), options.limit)


if __name__ == "__main__":
    sys.exit(main())
