"""The arms of an experiment, one run after the other."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from etils import epath

from animclip_jax import files
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.mirror import Mirror
from animclip_jax.training import beginning, checkpoint, init_from
from animclip_jax.training.config import TrainingConfig
from animclip_jax.words import count
from input_pipeline.tokenizers.opening import open_tokenizer

# What the arms of an experiment change, by their names: settings by dotted name.
Arms = dict[str, dict[str, Any]]
# From the name of an arm to its configuration, as far as the folders that it names are there.
Configure = Callable[[str], TrainingConfig]
# The settings that may name another arm.
BEGINNINGS = ("init_from", "init_towers_from")


def begun_from(arms: Arms, workdir: epath.Path) -> Arms:
    """The arms; where one begins with another by its name, that one's folder stands for the name.

    Raises:
      ValueError: the other one is not trained before it.
    """
    found: Arms = {}
    for arm, changes in arms.items():
        named = {key: changes[key] for key in BEGINNINGS if changes.get(key) in arms}
        if later := [other for other in named.values() if other not in found]:
            raise ValueError(
                f"the arm {arm} begins with {later[0]}, which is not trained before it: change the "
                "order of sweep()"
            )
        found[arm] = changes | {key: str(workdir / other) for key, other in named.items()}
    return found


def check(workdir: epath.Path, arms: Arms, configure: Configure) -> None:
    """Finds what any arm lacks to begin with, and settings of it that do not fit each other.

    Done before the first one is trained.

    Raises:
      ValueError, FileNotFoundError: as the arm itself would, hours later.
    """
    configs: dict[str, TrainingConfig] = {}  # by folder
    readings = set()
    for arm in arms:
        config = configure(arm)
        clip = config.model.clip
        begun = config.init_towers_from or config.init_from
        if (other := configs.get(begun)) is not None:
            init_from.require_same_towers(begun, other.model.clip, clip)
            # The other's folder has it as soon as that one is trained.
            clip = dataclasses.replace(clip, tokenizer=clip.tokenizer or other.model.clip.tokenizer)
            config = dataclasses.replace(config, model=dataclasses.replace(config.model, clip=clip))
        configs[str(workdir / arm)] = config
        if run_config.is_finished(workdir / arm):
            continue
        beginning.check_settings(config)
        if checkpoint.has_one(workdir / arm):
            continue
        readings.add(clip.reading)
        for source in (config.init_from, config.init_towers_from):
            if source and source not in configs:
                init_from.require(epath.Path(source).expanduser())
    for reading in readings:
        open_tokenizer(*reading)


def train_arms(
    workdir: epath.Path,
    arms: Arms,
    configure: Configure,
    train: Callable[[TrainingConfig, epath.Path, dict[str, Any]], int],
) -> int:
    """Trains every arm in WORKDIR/ARM, one after the other; finished ones are not run again.

    An arm is configured when it begins: what it begins with, the vocabulary too, may be another's.
    WORKDIR/finished is left for what watches the sweep; here only the arms' own are read.

    Args:
      train: configuration, folder and what the arm changes -> exit code.

    Raises:
      ValueError: the folder holds a run or another sweep. And as `check`.
    """
    check(workdir, arms, configure)
    if jax.process_index() == 0:
        _claim(workdir, arms)
    for arm, changes in arms.items():
        config, folder = configure(arm), workdir / arm
        _say(f"\n{arm}: {changes or 'the configuration as it is'}")
        if run_config.is_finished(folder):
            run_config.require_same(Mirror(folder, config.cache_dir).local, config.settings)
            _say(f"finished already, in {folder}")
            continue
        code = train(config, folder, changes)
        # Where nothing can be evaluated, an arm that is trained has no results.
        if code or not (folder / layout.FINISHED).is_file():
            return code
    if jax.process_index() == 0:
        files.write_text(workdir / layout.FINISHED, f"{count(len(arms), 'arm')}\n")
    return 0


def _say(line: str) -> None:
    """Prints a line, once for all processes."""
    if jax.process_index() == 0:
        print(line, flush=True)


def _claim(workdir: epath.Path, arms: Arms) -> None:
    """Notes which arms there are, unless the folder is another's; some may be new."""
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
    (workdir / layout.FINISHED).unlink(missing_ok=True)
    files.write_json(path, {"main": next(iter(arms)), "arms": list(arms)})


def list_arms(workdir: epath.Path, arms: Arms) -> None:
    """Prints the runs of a sweep, and which of them are finished."""
    for arm, changes in arms.items():
        done = "finished" if run_config.is_finished(workdir / arm) else "to run"
        print(f"{workdir / arm}: {done}: {changes or 'the configuration as it is'}")
