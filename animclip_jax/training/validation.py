"""Which step of a run is the best one: by R@1 on validation videos, never on the test's."""

import functools
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from animclip_jax import sharding
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.mirror import Mirror
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.step import TrainState

SCORE = "R@1"


def configured(config: ConfigDict) -> ConfigDict:
    """A run's configuration as it searches the videos that its best step is chosen by.

    Raises:
      ValueError: those are the videos of the test.
    """
    if config.validation.source == config.data.eval:
        raise ValueError(
            f"validation.source is data.eval, {config.data.eval}: a step that is chosen on the "
            "test makes its score worthless; name other videos, or set validation.every=0"
        )
    return run_config.changed(config, {"data.eval": config.validation.source})


class Validation:
    """Every so many steps searches config.validation.source, and keeps the best state so far.

    A context manager. WORKDIR/best holds that state's checkpoint, and the results of the newest
    validation.
    """

    def __init__(self, config: ConfigDict, mirror: Mirror, mesh: Mesh, made_of: dict[str, Any]):
        """Raises ValueError where the videos to choose by are those of the test."""
        self.config = configured(config)
        self.workdir, self.mesh = mirror.local / layout.BEST, mesh
        self.directory = mirror.remote / layout.BEST
        self.checkpoints = Checkpoints(self.directory, keep=1, made_of=made_of)
        step = self.checkpoints.latest()
        self.best = -1.0 if step is None else self.checkpoints.read_made_of(step)[SCORE]

    def __enter__(self) -> "Validation":
        return self

    def __exit__(self, *exception: object) -> None:
        self.checkpoints.__exit__(*exception)

    def look(self, step: int, state: TrainState) -> str:
        """Searches with the state after `step` steps; keeps it where it is better than all before.

        Returns:
          a line for a person.
        """
        from animclip_jax.evaluate import evaluate

        self.workdir.mkdir(parents=True, exist_ok=True)
        report = evaluate(
            self.config,
            self.mesh,
            state.best_params,
            self.workdir,
            steps=step,
            config_overrides={},
            train_seconds=0.0,
        )
        score = report["text_to_video"]["reranked"][SCORE]
        line = f"step {step}: {SCORE} {score:.1f} on {self.config.data.eval}"
        if score <= self.best:
            return f"{line}, the best was {self.best:.1f}"
        self.best = score
        self.checkpoints.made_of[SCORE] = score
        self.checkpoints.save(step, state)
        return f"{line}, the best so far"

    def restore_best(self) -> tuple[int, dict]:
        """The best state's number of steps, and its parameters."""
        with Checkpoints(self.directory, create=False) as checkpoints:
            step = checkpoints.latest()
            assert step is not None  # the last step was looked at
            place = functools.partial(sharding.state_sharding, self.mesh)
            return step, checkpoints.restore_params(step, place)
