"""Batches written once and read by NumPy alone: for machines without TensorFlow, and benchmarks."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax import files
from animclip_jax.animation.plan import ShotPlan

KIND = "baked:"
VERSION = 1
SUMMARY = "baked.json"
_PLAN = "plan."


def bake(
    batches: Iterator[dict], directory: str | os.PathLike[str], count: int, settings: dict[str, Any]
) -> None:
    """Writes the next `count` batches, of all processes together, each as a NumPy .npz file.

    The folder is there as a whole or not at all. `settings`, as JSON, are what the batches were
    made by: who reads them must want the same. Raises FileExistsError where it is already there.
    """
    directory = Path(directory)
    if directory.exists():
        raise FileExistsError(f"{directory}: already there; remove it first to bake anew")
    with files.new_folder(directory) as temporary:
        for number, batch in enumerate(itertools.islice(batches, count)):
            with files.writing(directory):
                np.savez(_file(temporary, number), allow_pickle=False, **_flat(batch))
        summary = {"version": VERSION, "count": count, "settings": settings}
        files.write_json(temporary / SUMMARY, summary, indent=2)


def baked_batches(
    source: str,
    settings: dict[str, Any],
    *,
    start_step: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[dict]:
    """What `train_batches` yielded when `baked:DIR` was written, from start_step on.

    After the last batch comes the first again, which is said once.

    Raises FileNotFoundError or ValueError where a file is missing or broken, and ValueError where
    the batches were made by other settings.
    """
    directory = Path(source.removeprefix(KIND)).expanduser()
    count = _check(directory, json.loads(json.dumps(settings)))

    def run() -> Iterator[dict]:
        for step in itertools.count(start_step):
            if step == max(count, start_step):
                print(
                    f"{source}: step {step} is past its {count} batches: they come again",
                    file=sys.stderr,
                )
            batch = _read(_file(directory, step % count))
            part, rest = divmod(len(batch["index"]), process_count)
            if rest:
                raise ValueError(
                    f"{source}: batches of {len(batch['index'])}, wanted a multiple of "
                    f"process_count {process_count}"
                )
            rows = slice(process_index * part, (process_index + 1) * part)
            mine = {name: values[rows] for name, values in batch.items()}
            plan = {
                name.removeprefix(_PLAN): mine.pop(name)
                for name in list(mine)
                if name.startswith(_PLAN)
            }
            # Clips that the host rendered have no plan any more.
            yield mine | ({"plan": ShotPlan(**plan)} if plan else {})

    return run()


def _check(directory: Path, settings: dict[str, Any]) -> int:
    """The number of batches."""
    path = directory / SUMMARY
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file, so {directory} holds no baked batches; they are written by "
            "animclip prepare --bake"
        )
    summary = files.read_object(path, "bake it again", {"count": int, "settings": dict})
    if summary.get("version") != VERSION:
        found = summary.get("version")
        raise ValueError(f"{path}: version {found!r}, wanted {VERSION}: bake it again")
    baked = summary["settings"]
    for name in {**settings, **baked}:
        if settings.get(name) != baked.get(name):
            raise ValueError(
                f"{path}: baked with {name} {baked.get(name)!r}, but the run wants "
                f"{settings.get(name)!r}: change the run's configuration, or bake again"
            )
    count = max(1, summary["count"])
    for number in range(count):
        if not _file(directory, number).is_file():
            raise FileNotFoundError(f"{_file(directory, number)}: missing, of {count}")
    return count


def _file(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}.npz"


def _flat(batch: dict) -> dict[str, np.ndarray]:
    plan = batch["plan"]._asdict() if "plan" in batch else {}
    rest = {name: values for name, values in batch.items() if name != "plan"}
    return rest | {f"{_PLAN}{name}": values for name, values in plan.items()}


def _read(path: Path) -> dict[str, np.ndarray]:
    batch = files.read_arrays(path, "bake it again")
    if "index" not in batch:
        raise ValueError(f"{path}: found {', '.join(batch)}, no index: bake it again")
    return batch
