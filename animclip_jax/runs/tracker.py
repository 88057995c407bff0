"""Weights & Biases or Trackio, beside metrics.jsonl and TensorBoard: `--config.log.to=wandb`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animclip_jax import files, words
from animclip_jax.runs import layout

WANDB, TRACKIO = "wandb", "trackio"
NAMES = (WANDB, TRACKIO)
PROJECT = "animclip"
_OFFLINE = {
    WANDB: "WANDB_MODE=offline keeps the numbers in the run's folder, for `wandb sync`",
    TRACKIO: "Trackio needs no network unless TRACKIO_SPACE_ID is set",
}


def require(name: str) -> None:
    """Finds, before a run begins, that there is such a tracker.

    Args:
      name: of NAMES, or "" for none.

    Raises:
      ValueError: there is none of that name, or its package is not installed.
    """
    if not name:
        return
    if name not in NAMES:
        raise ValueError(f"log.to is {name!r}: wanted {' or '.join(NAMES)}, or nothing")
    if importlib.util.find_spec(name) is None:
        raise ValueError(f"log.to is {name}, which is not installed: {words.installs(name)}")


class Tracker:
    """One run there. A run that goes on in its folder goes on there, too."""

    def __init__(self, name: str, workdir: Path, settings: Mapping[str, Any], goes_on: bool):
        """Begins a run, or goes on with it.

        Args:
          name: of NAMES.
          settings: the configuration of the run, by name.
          goes_on: whether some of its steps are done.

        Raises:
          ValueError: the tracker can't begin, as without an account.
        """
        self._name = name
        given: dict[str, Any] = {"name": _run(workdir, goes_on), "resume": "allow"}
        if name == WANDB:
            given |= {"id": given["name"], "dir": str(workdir)}
        try:
            tracker = importlib.import_module(name)
            self._run: Any = tracker.init(project=PROJECT, config=dict(settings), **given)
        except Exception as error:  # Of whatever libraries it works with.
            raise ValueError(f"log.to is {name}: {error}; {_OFFLINE[name]}") from error

    def log(self, step: int, values: Mapping[str, float | None]) -> None:
        """Records the numbers of a step, except those that are None.

        A tracker that fails is left out from then on, and the run goes on.
        """
        if self._run is None:
            return
        try:
            self._run.log({key: x for key, x in values.items() if x is not None}, step=step)
        except Exception as error:  # As above.
            self._give_up(error)

    def close(self) -> None:
        """Sends what is left."""
        if self._run is None:
            return
        try:
            self._run.finish()
        except Exception as error:  # As above.
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._run = None
        what = f"{self._name} fails, the run goes on without it: {error}"
        print(what, file=sys.stderr, flush=True)


def _run(workdir: Path, goes_on: bool) -> str:
    """The run's name there, which its folder keeps; a run that begins anew has a new one."""
    path = workdir / layout.TRACKED
    if not goes_on:
        run = f"{workdir.name}-{secrets.token_hex(4)}"
        files.write_json(path, {"run": run})
        return run
    if path.is_file():
        return files.read_object(path, "remove it, and a new run begins there", {"run": str})["run"]
    # Earlier versions named a run after its folder's path.
    return f"{workdir.name}-{hashlib.sha256(str(workdir.resolve()).encode()).hexdigest()[:8]}"
