"""Does the mesh change what is learned? 50 steps of one tiny run on each, loss by loss.

    python -m benchmarks.overlay [--steps 50] [--keep DIR]

The runs are those of benchmarks/kills.py, one after the other, on devices of the CPU. Prints for
each mesh the greatest relative difference of a step's loss from that of one device: of the first
step, and of all up to later ones. Sums are taken in another order there, and each step starts from
the differences of the one before, so that they grow.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.kills import losses, start
from benchmarks.model import table

# Processes, devices of each, fsdp and tensor; then further flags.
ONE = "one device"
RUNS: dict[str, tuple[tuple[int, int, int, int], tuple[str, ...]]] = {
    ONE: ((1, 1, 1, 1), ()),
    "one device, parts of 4 clips": ((1, 1, 1, 1), ("--config.microbatch=4",)),
    "data=8": ((1, 8, 1, 1), ()),
    "data=2 x fsdp=4": ((1, 8, 4, 1), ()),
    "fsdp=4 x tensor=2": ((1, 8, 4, 2), ()),
    "2 processes x 4 devices": ((2, 4, 1, 1), ()),
}


def train(name: str, steps: int, base: Path) -> dict[int, float]:
    """The losses of one run, by step; a run that is there already is read."""
    place, more = RUNS[name]
    workdir = base / name.replace(" ", "_") / "run"
    workdir.parent.mkdir(parents=True, exist_ok=True)
    flags = (f"--config.steps={steps}", f"--config.checkpoint.every={steps}", *more)
    for process in start(place, workdir, base / "cache", *flags):
        if process.wait():
            raise SystemExit((workdir.parent / "log.0").read_text())
    found = losses(workdir)
    if list(found) != list(range(1, steps + 1)):
        raise SystemExit(f"{workdir}: steps {list(found)}, wanted 1 to {steps}")
    return found


def differences(
    found: dict[int, float], wanted: dict[int, float], until: list[int]
) -> dict[str, float]:
    """The greatest relative difference of the losses up to each of these steps."""
    return {
        f"to step {last}": max(abs(found[i] / wanted[i] - 1) for i in range(1, last + 1))
        for last in until
    }


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="a folder to work in that stays")
    options = parser.parse_args()
    base = options.keep or Path(tempfile.mkdtemp())
    until = sorted({1, *(step for step in (10, 20, 30, 40) if step < options.steps), options.steps})
    runs = {}
    for name in RUNS:
        runs[name] = train(name, options.steps, base)
        print(f"{name} done", file=sys.stderr, flush=True)
    one = runs.pop(ONE)
    print(f"Loss on one device: {one[1]:.4f} at step 1, {one[options.steps]:.4f} at the last\n")
    print(table([{"run": name} | differences(run, one, until) for name, run in runs.items()]))
    if options.keep is None:
        shutil.rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
