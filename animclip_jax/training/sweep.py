"""The arms of an experiment, one run after the other."""

from collections.abc import Callable
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from animclip_jax import files, settings
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.mirror import Mirror

Arms = dict[str, dict[str, Any]]


def train_arms(
    config: ConfigDict,
    workdir: epath.Path,
    arms: Arms,
    train: Callable[[ConfigDict, epath.Path, dict[str, Any]], int],
) -> int:
    """Trains every arm in WORKDIR/ARM, one after the other; finished ones are not run again.

    An arm whose `init_from` is the name of another begins with that one's weights.

    Args:
      train: configuration, folder and what the arm changes -> exit code.

    Raises:
      ValueError: an arm's settings are wrong, or the folder holds a run or another sweep.
    """
    for changes in arms.values():
        alone = {} if changes.get("init_from") in arms else changes
        settings.check(run_config.changed(config, alone))
    if jax.process_index() == 0:
        _claim(workdir, arms)
    for arm, changes in arms.items():
        if changes.get("init_from") in arms:
            changes = changes | {"init_from": str(workdir / changes["init_from"])}
        print(f"\n{arm}: {changes or 'the configuration as it is'}", flush=True)
        arm_config = run_config.changed(config, changes)
        if run_config.is_finished(workdir / arm):
            run_config.require_same(Mirror(workdir / arm, config.data.cache_dir).local, arm_config)
            print(f"finished already, in {workdir / arm}")
            continue
        code = train(arm_config, workdir / arm, changes)
        if not run_config.is_finished(workdir / arm):
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
                f"{workdir} holds another sweep, with the arm {strangers[0]!r}, which this one has "
                "not: choose another --workdir, or delete this one"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    files.write_json(path, {"main": next(iter(arms)), "arms": list(arms)})


def list_arms(workdir: epath.Path, arms: Arms) -> None:
    """Prints the runs of a sweep, and which of them are finished."""
    for arm, changes in arms.items():
        done = "finished" if run_config.is_finished(workdir / arm) else "to run"
        print(f"{workdir / arm}: {done}: {changes or 'the configuration as it is'}")
