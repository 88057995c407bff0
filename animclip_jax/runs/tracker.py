"""Weights & Biases or Trackio, beside metrics.jsonl and TensorBoard: `--config.log.to=wandb`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animclip_jax import words

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
    """One run there. The same folder goes on with the same run."""

    def __init__(self, name: str, workdir: Path, settings: Mapping[str, Any]):
        """Begins a run, or goes on with it.

        Args:
          name: of NAMES.
          settings: the configuration of the run, by name.

        Raises:
          ValueError: the tracker can't begin, as without an account.
        """
        self._name = name
        key = hashlib.sha256(str(workdir.resolve()).encode()).hexdigest()[:8]
        given: dict[str, Any] = {"name": f"{workdir.name}-{key}", "resume": "allow"}
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
