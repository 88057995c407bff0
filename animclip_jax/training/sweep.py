"""The arms of an experiment, one run after the other."""

from collections.abc import Callable
from typing import Any

import jax
from etils import epath

from animclip_jax import files
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.mirror import Mirror
from animclip_jax.training.config import TrainingConfig

# What the arms of an experiment change, by their names: settings by dotted name.
Arms = dict[str, dict[str, Any]]


def begun_from(arms: Arms, workdir: epath.Path) -> Arms:
    """The arms, an `init_from` that is the name of another arm exchanged for that one's folder."""
    named = {arm: changes.get("init_from") for arm, changes in arms.items()}
    folders = {
        arm: {"init_from": str(workdir / begin)} for arm, begin in named.items() if begin in arms
    }
    return {arm: changes | folders.get(arm, {}) for arm, changes in arms.items()}


def train_arms(
    workdir: epath.Path,
    arms: Arms,
    configs: dict[str, TrainingConfig],
    train: Callable[[TrainingConfig, epath.Path, dict[str, Any]], int],
) -> int:
    """Trains every arm in WORKDIR/ARM, one after the other; finished ones are not run again.

    Args:
      configs: of the arms, by the same names. train: configuration, folder and what the arm changes
        -> exit code.

    Raises:
      ValueError: the folder holds a run or another sweep.
    """
    if jax.process_index() == 0:
        _claim(workdir, arms)
    for arm, changes in arms.items():
        config, folder = configs[arm], workdir / arm
        print(f"\n{arm}: {changes or 'the configuration as it is'}", flush=True)
        if run_config.is_finished(folder):
            run_config.require_same(Mirror(folder, config.cache_dir).local, config.settings)
            print(f"finished already, in {folder}")
            continue
        code = train(config, folder, changes)
        if not run_config.is_finished(folder):
            return code
    return 0


def _claim(workdir: epath.Path, arms: Arms) -> None:
    """Notes which arms there are, unless the folder is another's."""
    if (workdir / layout.CONFIG).is_file():
        raise ValueError(f"{workdir} holds a single run: choose another --workdir for the sweep")
    path = workdir / layout.SWEEP
    if path.is_file():
        before = files.read_object(path).get("arms", [])
        begun = [arm for arm in before if (workdir / str(arm)).is_dir()]
        if strangers := [arm for arm in begun if arm not in arms]:
            raise ValueError(
                f"{workdir} holds another sweep, whose arm {strangers[0]!r} is unknown here: "
                "choose another --workdir, or delete this one"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    files.write_json(path, {"main": next(iter(arms)), "arms": list(arms)})


def list_arms(workdir: epath.Path, arms: Arms) -> None:
    """Prints the runs of a sweep, and which of them are finished."""
    for arm, changes in arms.items():
        done = "finished" if run_config.is_finished(workdir / arm) else "to run"
        print(f"{workdir / arm}: {done}: {changes or 'the configuration as it is'}")
