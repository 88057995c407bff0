"""Batches written once and read by NumPy alone: for machines without TensorFlow, and benchmarks."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath

from animclip_jax import files, words
from animclip_jax.animation.batch import Batch, Filmed, Footage
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan, part_shapes
from animclip_jax.animation.told import AXES
from input_pipeline.examples import BatchConfig
from input_pipeline.tokenizers import CLIP

KIND = "baked:"
VERSION = 1
SUMMARY = "baked.json"
# A plan's arrays in a file are "plan.boxes" and so on.
_PLAN = "plan."
_FILMED = (
    *(name for name in Filmed._fields if name != "plan"),
    *(f"{_PLAN}{name}" for name in ShotPlan._fields),
)


def bake(
    batches: Iterator[Batch],
    directory: str | os.PathLike[str],
    count: int,
    config: BatchConfig,
    *,
    source: str = "",
    digest: str = "",
) -> None:
    """Writes the next `count` batches, of all processes together, each as a NumPy .npz file.

    The folder is there as a whole or not at all, with the configuration that made the batches: they
    are read only by the same one. Raises FileExistsError where it is already there.

    source: what they are made of, kind:location. digest: of its ids and captions. Both "" where
    nobody says it.
    """
    directory = Path(directory)
    if directory.exists():
        raise FileExistsError(f"{directory}: already there; remove it first to bake it again")
    with files.new_folder(directory) as temporary:
        for number, batch in enumerate(itertools.islice(batches, count)):
            with files.writing(directory):
                np.savez(_file(temporary, number), allow_pickle=False, **_flat(batch))
        summary = {"version": VERSION, "count": count, "settings": _settings(config)}
        if source:
            summary |= {"source": source, "digest": digest}
        files.write_json(temporary / SUMMARY, summary, indent=2)


def made_of(source: str) -> str:
    """The source that the batches of `baked:DIR` were made of.

    It is `source` itself where that is of another kind, where the folder is gone, and where an
    older version baked it. Raises ValueError where its description can't be read.
    """
    if not source.startswith(KIND) or not _summary(source).is_file():
        return source
    return str(files.read_object(_summary(source), "bake it again").get("source", source))


def fingerprint(source: str) -> str:
    """Of how the batches of `baked:DIR` were made, and of the ids and captions of their source.

    Not of that source's name: it may have moved before it was baked again. Raises OSError or
    ValueError where that can't be read.
    """
    path = _summary(source)
    said = files.read_object(path, "bake it again")
    if said.pop("source", None) is None:  # an older one, or nobody said it
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _summary(source: str) -> Path:
    return Path(os.path.expanduser(source.removeprefix(KIND))) / SUMMARY


def baked_batches(
    source: str,
    config: BatchConfig,
    *,
    start_step: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """What `train_batches` yielded when `baked:DIR` was written, from start_step on.

    After the last batch comes the first again, which is said once.

    Raises FileNotFoundError or ValueError where a file is missing or broken, and ValueError where
    another configuration made the batches.
    """
    directory = Path(os.path.expanduser(source.removeprefix(KIND)))
    count = _check(directory, config)

    def run() -> Iterator[Batch]:
        for step in itertools.count(start_step):
            if step == max(count, start_step):
                print(
                    f"{source}: step {step} is past its {words.count(count, 'batch')}: they repeat",
                    file=sys.stderr,
                )
            arrays = _read(_file(directory, step % count), config)
            total = len(arrays["index"])
            part, rest = divmod(total, process_count)
            if rest:
                raise ValueError(
                    f"{source}: batches of {total}, wanted a multiple of process_count "
                    f"{process_count}"
                )
            rows = slice(process_index * part, (process_index + 1) * part)
            yield _batch({name: values[rows] for name, values in arrays.items()})

    return run()


def _check(directory: Path, config: BatchConfig) -> int:
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
    # As JSON has them: a range is a list.
    settings, defaults = (
        json.loads(json.dumps(found))
        for found in (_settings(config), dataclasses.asdict(AnimationConfig()))
    )
    # Older ones were of CLIP's tokens alone, of fewer components, and of the middle of footage.
    old = {"tokens": CLIP, "tokenizer": "", "animation": {}, "squashed": False}
    baked = old | summary["settings"]
    baked["animation"] = defaults | baked["animation"]
    for name in {**settings, **baked}:
        if settings.get(name) != baked.get(name):
            raise ValueError(
                f"{path}: baked with {name} {baked.get(name)!r}, but the run needs "
                f"{settings.get(name)!r}: change the run's configuration, or bake again"
            )
    count = max(1, summary["count"])
    for number in range(count):
        if not _file(directory, number).is_file():
            raise FileNotFoundError(f"{_file(directory, number)}: missing, of {count}")
    return count


def _settings(config: BatchConfig) -> dict[str, Any]:
    """Of a vocabulary its checksum: it may lie elsewhere than before."""
    found = dataclasses.asdict(config)
    if file := config.tokenizer:
        found["tokenizer"] = hashlib.sha256(epath.Path(file).read_bytes()).hexdigest()
    return found


def _file(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}.npz"


def _flat(batch: Batch) -> dict[str, np.ndarray]:
    """The arrays of a batch by their names in a file."""
    arrays = batch._asdict()
    plan = arrays.pop("plan")._asdict() if "plan" in arrays else {}
    return arrays | {f"{_PLAN}{name}": values for name, values in plan.items()}


def _read(path: Path, config: BatchConfig) -> dict[str, np.ndarray]:
    """What `_flat` gave. Raises ValueError where an array is missing."""
    wanted = Footage._fields if config.has_frames else _FILMED
    found = files.read_arrays(path, "bake it again")
    if not config.animation.thing_frames and "index" in found:
        # Older ones knew no things.
        lead = len(found["index"])
        shapes = part_shapes(0, 0, 0)._asdict()
        for name in ("home", "fill", "thing_boxes", "thing_shear", "thing_smear"):
            found.setdefault(f"{_PLAN}{name}", np.zeros((lead, *shapes[name]), np.float32))
    if "index" in found:
        # Nor did these know what captions say.
        nothing = np.zeros((len(found["index"]), len(AXES)), np.float32)
        found.setdefault("told", nothing)
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(f"{path}: found no {', '.join(missing)}: bake it again")
    return {name: found[name] for name in wanted}


def _batch(arrays: dict[str, np.ndarray]) -> Batch:
    if "frames" in arrays:
        return Footage(**arrays)
    plan = ShotPlan(*(arrays.pop(f"{_PLAN}{name}") for name in ShotPlan._fields))
    return Filmed(plan=plan, **arrays)
