"""Checkpoints: Orbax, written in the background, named by the number of steps done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from animclip_jax.step import TrainState

# Stored apart, so that searching with a model does not read its optimizer's state.
PARAMS, REST = "params", "training"


class Checkpoints:
    """WORKDIR/checkpoints, a context manager: leaving it waits for what is still being written."""

    def __init__(self, workdir: Path, *, keep: int = 2):
        self.directory = Path(workdir).absolute() / "checkpoints"
        self.manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
            item_handlers={name: ocp.StandardCheckpointHandler() for name in (PARAMS, REST)},
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        self.manager.close()

    def latest(self) -> int | None:
        """Steps done in the newest complete checkpoint; None if there is none."""
        return self.manager.latest_step()

    def save(self, step: int, state: TrainState) -> None:
        """Starts writing the state after `step` steps, unless that is saved already."""
        if step != self.latest():
            items = {PARAMS: state.params, REST: (state.step, state.opt_state)}
            saves = {name: ocp.args.StandardSave(item) for name, item in items.items()}
            self.manager.save(step, args=ocp.args.Composite(**saves))

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The state saved after `step` steps.

        Args:
          like: arrays or ShapeDtypeStructs with the shapes, dtypes and shardings wanted.

        Raises:
          ValueError: the checkpoint holds another model or optimizer.
        """
        items = {PARAMS: like.params, REST: (like.step, like.opt_state)}
        restores = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
        try:
            found = self.manager.restore(step, args=ocp.args.Composite(**restores))
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{self.directory / str(step)} does not fit this configuration's model and "
                f"optimizer: {error}\nTrain in another --workdir, or use the configuration of "
                f"{self.directory.parent / 'config.json'}"
            ) from error
        done, opt_state = found[REST]
        return TrainState(done, found[PARAMS], opt_state)

    def restore_params(self, step: int, shardings: Callable[[Any], Any]) -> dict:
        """The parameters alone, with the shapes they were saved in.

        Args:
          shardings: from a tree of shapes to where its arrays are to live.
        """
        saved = self.manager.item_metadata(step)[PARAMS].tree
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), saved)
        like = jax.tree.map(
            lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
            shapes,
            shardings(shapes),
        )
        only = ocp.args.Composite(**{PARAMS: ocp.args.StandardRestore(like)})
        return self.manager.restore(step, args=only)[PARAMS]
