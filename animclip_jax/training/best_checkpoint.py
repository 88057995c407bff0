"""Which step of a run is the best one: by R@1 on validation videos, never on the test's."""

import functools
from typing import Any

import jax
from jax.sharding import Mesh

from animclip_jax import sharding
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.runs import layout
from animclip_jax.runs.mirror import Mirror
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.step import TrainState

SCORE = "R@1"


class Validation:
    """Every so many steps searches validation.source, and keeps the best state so far.

    A context manager. WORKDIR/best holds that state's checkpoint, and the results of the newest
    validation.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        mirror: Mirror,
        mesh: Mesh,
        made_of: dict[str, Any],
        goes_on: bool = True,
    ):
        """Goes on from the best step so far, if its score is of the same data.

        Args:
          made_of: kept in the checkpoint (see Checkpoints); its `config` has all settings.
          goes_on: whether the training continues; where it begins anew, what it is trained on
            counts as well as what it is validated on.
        """
        self.config, found = config, made_of["config"]
        self.settings = found | {"data": found["data"] | {"eval": config.source}}
        self.workdir, self.mesh = mirror.local / layout.BEST, mesh
        self.directory = mirror.remote / layout.BEST
        self.checkpoints = Checkpoints(self.directory, keep=1, made_of=made_of)
        step = self.checkpoints.latest()
        before = {} if step is None else self.checkpoints.read_made_of(step)
        then, now = (one.get("sources") or {} for one in (before, made_of))
        matters = {"validation.source"} | (set() if goes_on else {"data.train"})
        same = all(then[name] == now[name] for name in matters & then.keys() & now.keys())
        self.best = before[SCORE] if before and same else -1.0

    def __enter__(self) -> "Validation":
        return self

    def __exit__(self, *exception: object) -> None:
        self.checkpoints.__exit__(*exception)

    def look(self, step: int, state: TrainState) -> str:
        """Searches with the state after `step` steps; keeps it where it is better than all before.

        Returns:
          a line for a person.
        """
        from animclip_jax.evaluation.arm import Made, evaluate

        if jax.process_index() == 0:
            self.workdir.mkdir(parents=True, exist_ok=True)
        made = Made(step, self.settings, {})
        report = evaluate(self.config, self.mesh, state.best_params, self.workdir, made)
        score = report["text_to_video"]["reranked"][SCORE]
        line = f"step {step}: {SCORE} {score:.1f} on {self.config.source}"
        if score <= self.best:
            return f"{line}, the best was {self.best:.1f}"
        self.best = score
        self.checkpoints.made_of[SCORE] = score
        # A killed run may have kept a later step, and gone on before it: Orbax keeps the last one.
        self.checkpoints.remove_from(step)
        self.checkpoints.save(step, state)
        return f"{line}, the best so far"

    def restore_best(self) -> tuple[int, dict]:
        """The best state's number of steps, and its parameters."""
        with Checkpoints(self.directory, create=False) as checkpoints:
            step = checkpoints.latest()
            assert step is not None  # the last step was looked at
            place = functools.partial(sharding.state_sharding, self.mesh)
            return step, checkpoints.restore_params(step, place)
