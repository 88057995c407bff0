"""A run's folder: whose it is, by its configuration, and whether it is finished."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from animclip_jax import files
from animclip_jax.results import RESULTS

CONFIG = "config.json"
# There when the last step is done and all that follows it.
FINISHED = "finished"
# What a run may go on with another value of: where and how fast it is computed, not what.
NEUTRAL = ("mesh", "microbatch", "model.remat", "checkpoint", "log_every", "data.cache_dir")


def read_config(workdir: Path | epath.Path) -> ConfigDict:
    """The configuration a run was made with.

    Raises:
      FileNotFoundError: the folder is no run. ValueError: the file is not JSON.
    """
    path = workdir / CONFIG
    if not path.is_file():
        if arms := sorted(there.parent.name for there in workdir.glob(f"*/{CONFIG}")):
            listed = ", ".join(str(workdir / arm) for arm in arms)
            raise FileNotFoundError(f"{workdir}: holds several runs, choose one: {listed}")
        raise FileNotFoundError(f"no {path}: wanted the folder of one run of animclip train")
    return ConfigDict(_tuples(files.read_json(path, finite=False)))


def claim(workdir: Path, config: ConfigDict) -> None:
    """Makes the folder this configuration's, or finds that it is already.

    Raises:
      ValueError: it belongs to a run with another configuration; says what differs. What is
        NEUTRAL may differ.
    """
    wanted = json.loads(config.to_json())
    there = (workdir / CONFIG).is_file()
    if there and (found := differences(files.read_json(workdir / CONFIG, finite=False), wanted)):
        listed = "\n".join(f"  {line}" for line in found)
        raise ValueError(
            f"{workdir} holds a run with another configuration:\n{listed}\n"
            "Choose another --workdir, or delete this one."
        )
    workdir.mkdir(parents=True, exist_ok=True)
    files.write_text(workdir / CONFIG, json.dumps(wanted, indent=1) + "\n")


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Settings in which two configurations differ, a line each; what is NEUTRAL may."""
    return sorted(
        line
        for name, line in _differences(found, wanted)
        if not any(name == neutral or name.startswith(f"{neutral}.") for neutral in NEUTRAL)
    )


def is_finished(workdir: Path) -> bool:
    """Whether the run was trained and evaluated to its end."""
    return (workdir / RESULTS).is_file()


def changed(config: ConfigDict, changes: dict[str, Any]) -> ConfigDict:
    """A copy of a configuration with settings changed, "a.b" -> value; derived values follow."""
    config = copy.deepcopy(config)
    config.update_from_flattened_dict(changes)
    return config


def _tuples(value: Any) -> Any:
    """JSON has lists where configurations have tuples."""
    if isinstance(value, dict):
        return {name: _tuples(inner) for name, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _differences(found: Any, wanted: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in found.keys() | wanted.keys():
            below = f"{name}.{key}" if name else key
            yield from _differences(found.get(key), wanted.get(key), below)
    elif found != wanted:
        yield name, f"{name}: there {found!r}, here {wanted!r}"
