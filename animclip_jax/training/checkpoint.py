"""Checkpoints: Orbax, written in the background, named by the number of steps done."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from jax.sharding import Mesh

from animclip_jax import files, sharding
from animclip_jax.models import parameters
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.runs import layout
from animclip_jax.training import ema, lora
from animclip_jax.training.step import TrainState

# Stored apart, so that searching with a model does not read its optimizer's state; and what the
# run was made of, as JSON.
PARAMS, REST, MADE_OF = "params", "training", "made_of"
# Orbax's own: what a step says of itself, and the mark of a complete one in a bucket.
METADATA, COMMITTED = "_CHECKPOINT_METADATA", "commit_success.txt"
LISTED = 10  # arrays that do not fit, in a message
FEW = 3  # the same in a line
LONGEST = 300  # characters of another library's message: TensorStore's tell all of its settings


class Checkpoints:
    """WORKDIR/checkpoints, a context manager: leaving it waits for what is still being written."""

    def __init__(
        self,
        workdir: epath.PathLike,
        *,
        keep: int = 2,
        made_of: dict[str, Any] | None = None,
        create: bool = True,
    ):
        """Opens those of a run.

        Args:
          keep: how many of the newest are kept.
          made_of: kept in each checkpoint: the configuration, and which data it saw.
          create: make the folder; who only reads does not.
        """
        self.directory = epath.Path(workdir).absolute() / layout.CHECKPOINTS
        self.made_of = made_of or {}
        self.manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=create),
            item_handlers={name: ocp.StandardCheckpointHandler() for name in (PARAMS, REST)}
            | {MADE_OF: ocp.JsonCheckpointHandler()},
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        with self._writing():
            self.manager.close()

    def latest(self) -> int | None:
        """Steps done in the newest complete checkpoint; None if there is none.

        Raises:
          ValueError: there is a newer one that looks complete, and that Orbax does not see.
        """
        if unseen := self._unseen():
            self.manager.reload()  # it may have been finished this moment
            unseen = self._unseen()
        if unseen:
            raise ValueError(_explain(unseen[0], self.directory))
        return self.manager.latest_step()

    def _unseen(self) -> list[epath.Path]:
        """Complete steps beyond the newest one that Orbax sees."""
        newest = self.manager.latest_step()
        committed = _committed(self.directory)
        return [path for path in committed if int(path.name) > (-1 if newest is None else newest)]

    def save(self, step: int, state: TrainState) -> None:
        """Starts writing the state after `step` steps, unless that is saved already.

        Raises files.DiskError where the disk had no room for this one, or for the one before; what
        was saved before those is whole.
        """
        if step != self.manager.latest_step():
            self._require_room(state)
            saves = {name: ocp.args.StandardSave(item) for name, item in _items(state).items()}
            made_of = ocp.args.JsonSave(self.made_of)
            with self._writing():
                self.manager.save(step, args=ocp.args.Composite(**saves, **{MADE_OF: made_of}))

    def remove_from(self, step: int) -> None:
        """Removes what was saved after `step` steps or more."""
        for saved in self.manager.all_steps():
            if saved >= step:
                self.manager.delete(saved)

    def read_made_of(self, step: int) -> dict[str, Any]:
        """What the checkpoint of that step was made of. Raises ValueError: it can't be read."""
        only = ocp.args.Composite(**{MADE_OF: ocp.args.JsonRestore()})
        with self._reading(step):
            return self.manager.restore(step, args=only)[MADE_OF]

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The state saved after `step` steps.

        Args:
          like: arrays or ShapeDtypeStructs with the shapes, dtypes and shardings wanted.

        Raises:
          ValueError: the checkpoint holds another model or optimizer, or can't be read.
        """
        items = _items(like)
        # Before Orbax reads: of a restore that it refuses it leaves unfinished reads behind.
        self._check(step, {name: self._saved(step, name) for name in items}, items)
        restores = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
        with self._reading(step):
            found = self.manager.restore(step, args=ocp.args.Composite(**restores))
        params, (done, opt_state, *raw) = found[PARAMS], found[REST]
        if not raw:
            return TrainState(done, params, opt_state)
        average = ema.chosen(params, raw[0])
        return TrainState(done, ema.replaced(params, raw[0]), opt_state, average)

    def _saved(self, step: int, name: str) -> Any:
        """The shapes of an item's arrays."""
        with self._reading(step):
            metadata = self.manager.item_metadata(step)[name]
            if metadata is None:
                raise ValueError(f"{name} does not say which arrays it has")
            return metadata.tree

    def _require_room(self, state: TrainState) -> None:
        """Raises files.DiskError where the disk has not as many bytes left as the arrays have.

        Of a disk that fills up while it writes, TensorStore prints a traceback for each array.
        """
        if not files.is_remote(self.directory):
            needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
            files.require_room(self.directory, needed)

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        """Names a disk that is full, of which TensorStore tells in a ValueError."""
        return files.writing(self.directory, ValueError)

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        """Names the checkpoint that can't be read; a part that is missing or cut short can't."""
        try:
            yield
        # Orbax lets through whatever it meets, KeyErrors and bare Exceptions among it.
        except Exception as error:
            if not (self.directory / str(step)).exists():
                raise ValueError(
                    f"{self.directory / str(step)} is gone: the run is still training, and keeps "
                    "only its newest checkpoints. Run the same command again"
                ) from error
            why = f"{type(error).__name__}: {error}".splitlines()[0][:LONGEST]
            others = ", ".join(str(other) for other in self.manager.all_steps() if other != step)
            then = "training starts from the beginning"
            if others:
                then = f"training continues from that of step {others}"
            elif self.directory.parent.name == layout.BEST:
                then = "the run's newest one is read instead"
            raise ValueError(
                f"{self.directory / str(step)} can't be read: {why}. Unless the disk or network "
                f"failed for a moment, it is damaged or was not copied whole: copy it again, or "
                f"delete it, and {then}"
            ) from error

    def _check(self, step: int, saved: dict[str, Any], items: dict[str, Any]) -> None:
        """Raises ValueError where saved shapes are not those of the arrays wanted."""
        if lines := parameters.differences(_shapes(saved), _shapes(items)):
            more = len(lines) - LISTED
            listed = "\n  ".join(lines[:LISTED] + [f"and {more} more"] * (more > 0))
            raise ValueError(
                f"{self.directory / str(step)} does not fit this configuration's model and "
                f"optimizer:\n  {listed}\nTrain in another --workdir, or use the configuration of "
                f"{self.directory.parent / layout.CONFIG}"
            )

    def require_model(self, step: int, config: RetrieverConfig, described: epath.Path) -> None:
        """Raises ValueError where the parameters saved have other shapes than those of a model.

        Some would be broadcast without an error, as a position of one frame is to all of them.
        `described`: the file with the settings of the run.
        """
        adapters = f"{lora.ADAPTERS}/"
        saved = _shapes(self._saved(step, PARAMS))
        found = {name: shape for name, shape in saved.items() if not name.startswith(adapters)}
        if lines := parameters.differences(found, parameters.shapes(config)):
            more = len(lines) - FEW
            listed = "; ".join(lines[:FEW] + [f"and {more} more"] * (more > 0))
            raise ValueError(
                f"{self.directory / str(step)} does not fit this configuration's model: {listed}. "
                f"Use the model's settings of {described}"
            )

    def restore_params(self, step: int, shardings: Callable[[Any], Any]) -> dict:
        """The parameters of the model alone, as they were saved; averaged, where they are.

        Adapters are merged into their kernels.

        Args:
          shardings: from a tree of shapes to where its arrays are to live.

        Raises:
          ValueError: the checkpoint can't be read.
        """
        saved = self._saved(step, PARAMS)
        saved = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), saved)
        like = jax.tree.map(
            lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
            saved,
            shardings(saved),
        )
        only = ocp.args.Composite(**{PARAMS: ocp.args.StandardRestore(like)})
        with self._reading(step):
            return lora.merged(self.manager.restore(step, args=only)[PARAMS])


def _committed(directory: epath.Path) -> list[epath.Path]:
    """Complete steps, those in a folder of the same name, one too deep, among them."""
    there = (*directory.glob("*"), *directory.glob(f"{layout.CHECKPOINTS}/*"))
    return [path for path in there if _is_committed(path)]


def _is_committed(path: epath.Path) -> bool:
    """Whether all of a step was written there, by what Orbax noted when it was."""
    metadata = path / METADATA
    if not path.name.isdecimal() or not metadata.is_file():
        return False
    try:
        return bool(json.loads(metadata.read_text()).get("commit_timestamp_nsecs"))
    except ValueError:
        return False  # cut short


def _explain(unseen: epath.Path, directory: epath.Path) -> str:
    if unseen.parent != directory:
        return (
            f"{unseen}: a checkpoint in the wrong folder; move all of {unseen.parent} up one folder"
        )
    return (
        f"{unseen}: a checkpoint without {COMMITTED}. In a bucket every complete checkpoint has "
        "this file; older versions of Orbax did not write it to disks. If it was copied whole from "
        f"a disk, write an empty file {unseen / COMMITTED}; else copy it again, or delete it"
    )


def _items(state: TrainState) -> dict[str, Any]:
    """The parameters that searching wants, averaged where they are, and the rest."""
    if state.average is None:
        return {PARAMS: state.params, REST: (state.step, state.opt_state)}
    raw = ema.chosen(state.params, state.average)
    searched = ema.replaced(state.params, state.average)
    return {PARAMS: searched, REST: (state.step, state.opt_state, raw)}


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """By path, the same one for the names of a tuple and the keys of a dict: Orbax makes dicts."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    return {name(path): tuple(leaf.shape) for path, leaf in leaves}


def has_one(workdir: epath.PathLike) -> bool:
    """Whether a run has a complete checkpoint. Looks at files alone, and so waits for nobody."""
    return bool(_committed(epath.Path(workdir).absolute() / layout.CHECKPOINTS))


def load_params(workdir: epath.PathLike, mesh: Mesh, config: RetrieverConfig) -> tuple[int, dict]:
    """Number of steps and parameters of the step that `read_params` takes, placed on the mesh.

    Args:
      config: of the model that is to compute with them.

    Raises:
      FileNotFoundError: the run has saved none yet.
      ValueError: they are not that model's, or can't be read.
    """
    return read_params(workdir, functools.partial(sharding.state_sharding, mesh), config)


def read_params(
    workdir: epath.PathLike,
    shardings: Callable[[Any], Any],
    config: RetrieverConfig | None = None,
) -> tuple[int, dict[str, Any]]:
    """Number of steps and parameters of a run's best step so far, else of its newest checkpoint.

    Only a run that validates has a best step; the end of its training evaluates that one, too.

    Args:
      shardings: from a tree of shapes to where its arrays are to live.
      config: of the model that they must be of; None: of any.

    Raises:
      FileNotFoundError: the run has saved none yet. ValueError: as `load_params`.
    """
    run = epath.Path(workdir)
    for folder in (run / layout.BEST, run):
        with Checkpoints(folder, create=False) as checkpoints:
            if (steps := checkpoints.latest()) is not None:
                if config is not None:
                    checkpoints.require_model(steps, config, run / layout.CONFIG)
                return steps, checkpoints.restore_params(steps, shardings)
    raise FileNotFoundError(f"no checkpoint in {run / layout.CHECKPOINTS}: train the run first")
