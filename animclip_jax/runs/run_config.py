"""A run's folder: which configuration it belongs to, who has it now, whether it is finished."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

from animclip_jax import files
from animclip_jax.animation.config import MOTIONS, AnimationConfig
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.towers import CLIP
from animclip_jax.runs import layout

# What a run may go on with another value of: where and how fast it is computed, not what.
NEUTRAL = (
    "mesh",
    "microbatch",
    "model.remat",
    "model.attention",
    "model.tokenizer",
    "checkpoint",
    "log_every",
    "log",
    "data.cache_dir",
)
# What may stand elsewhere than before, where it holds the same.
SOURCES = ("data.train", "data.eval", "validation.source", "evaluation.query_bank")
# What versions did that had no such settings: they knew OpenAI's CLIP alone, no adapters, no things
# that move, no captions that name motion, and no eye for it.
BEFORE = {
    "animation": {
        name: json.loads(json.dumps(dataclasses.asdict(getattr(AnimationConfig(), name))))
        for name in ("thing", *MOTIONS, "told")
    },
    "init_towers_from": "",
    "model": {"towers": json.loads(json.dumps(dataclasses.asdict(CLIP)))},
    "lora": {"rank": 0, "alpha": 16.0, "targets": "attention"},
    "motion": dataclasses.asdict(MotionConfig()),
    "loss": {"motion_weight": 1.0},
}


def read(workdir: Path | epath.Path) -> dict[str, Any]:
    """The settings a run was made with, as they are nested.

    Raises:
      FileNotFoundError: the folder is no run. ValueError: the file is not JSON.
    """
    path = workdir / layout.CONFIG
    if not path.is_file():
        if arms := sorted(there.parent.name for there in workdir.glob(f"*/{layout.CONFIG}")):
            listed = ", ".join(str(workdir / arm) for arm in arms)
            raise FileNotFoundError(f"{workdir}: holds several runs, choose one: {listed}")
        raise FileNotFoundError(f"no {path}: wanted the folder of one run of animclip train")
    settings: dict[str, Any] = _tuples(files.read_object(path, finite=False))
    return settings


@contextlib.contextmanager
def alone(workdir: Path) -> Iterator[None]:
    """Has a run's folder for this process alone: nobody else trains or evaluates there meanwhile.

    Leaves no trace where nothing was written.

    Raises:
      BlockingIOError: another process has it.
    """
    made = not workdir.exists()
    taken = (
        f"{workdir}: another process is training or evaluating there now. Wait until it "
        "has ended, or choose another folder: --workdir of animclip train, --out of animclip "
        "evaluate"
    )
    with files.locked(workdir / layout.LOCK, taken):
        try:
            yield
        finally:
            # Whoever opened it meanwhile finds that its name is gone, and makes another one.
            (workdir / layout.LOCK).unlink(missing_ok=True)
            if made:
                with contextlib.suppress(OSError):
                    workdir.rmdir()


def require_same(workdir: Path, settings: dict[str, Any], besides: tuple[str, ...] = ()) -> None:
    """Raises ValueError where the folder's run has another configuration; says what differs.

    Args:
      settings: a whole configuration, as JSON has it. besides: those that may differ, too; what is
        NEUTRAL always may.
    """
    if not (workdir / layout.CONFIG).is_file():
        return
    there = files.read_object(workdir / layout.CONFIG, finite=False)
    if found := differences(there, settings, besides):
        listed = "\n".join(f"  {line}" for line in found)
        raise ValueError(
            f"{workdir} holds a run with another configuration:\n{listed}\n"
            "Choose another --workdir, or delete this one."
        )


def claim(workdir: Path, settings: dict[str, Any]) -> None:
    """Makes the folder that of a run with these settings."""
    workdir.mkdir(parents=True, exist_ok=True)
    # As Python writes it: a setting may be infinite.
    text = json.dumps(settings, indent=1)
    files.write_text(workdir / layout.CONFIG, text + "\n")


def differences(
    found: dict[str, Any], wanted: dict[str, Any], besides: tuple[str, ...] = ()
) -> list[str]:
    """Settings in which two configurations differ, a line each; NEUTRAL and `besides` may."""
    there, here = flat(BEFORE) | flat(found), flat(BEFORE) | flat(wanted)
    return [
        f"{name}: there {there.get(name)!r}, here {here.get(name)!r}"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
        and not any(name == free or name.startswith(f"{free}.") for free in NEUTRAL + besides)
    ]


def is_finished(workdir: Path) -> bool:
    """Whether the run was trained to its last step, and evaluated.

    Results alone may be those of an earlier step: `animclip evaluate` writes them, too.
    """
    return (workdir / layout.FINISHED).is_file() and (workdir / layout.RESULTS).is_file()


def flat(config: Any, name: str = "") -> dict[str, Any]:
    """The settings of a configuration by their whole names, "a.b"."""
    if not isinstance(config, dict):
        return {name: config}
    parts = (flat(below, f"{name}.{key}" if name else key) for key, below in config.items())
    return {key: value for part in parts for key, value in part.items()}


def _tuples(value: Any) -> Any:
    """JSON has lists where configurations have tuples."""
    if isinstance(value, dict):
        return {name: _tuples(inner) for name, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
