"""`animclip train`: trains and evaluates a run, or every arm of an experiment."""

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["train", *sys.argv[1:]]))

from typing import Any

from absl import flags
from etils import epath

from animclip_jax import distributed, process, settings
from animclip_jax.cli import flags as command_line
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.train import TRACED, parse
from animclip_jax.training import sweep
from animclip_jax.training.config import TrainingConfig
from animclip_jax.training.loop import Options, train


@stoppable("animclip train", after_sigterm=0)
def main(argv: list[str] | None = None) -> int:
    """Trains and evaluates one run, or with --sweep every arm of an experiment."""
    values, extra = parse(argv)
    try:
        if extra:
            raise ValueError(f"{' '.join(extra)}: see animclip train --help")
        if values.dry_run and not values.sweep:
            raise ValueError("--dry-run prints the runs of a --sweep: give both")
        process.keep_compiled_programs(values.config.data.cache_dir)
        process.keep_freed_memory()
        distributed.initialize(values.coordinator, values.processes, values.process)
        with distributed.ending_together():
            return dispatch(values)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        stop.add_note("run the same command again to continue from the newest checkpoint")
        raise


def dispatch(values: flags.FlagValues) -> int:
    """What the flags ask for."""
    workdir, overrides = epath.Path(values.workdir), command_line.overrides(values)
    options = Options(values.other_data, TRACED if values.profile else 0)
    if not values.sweep:
        return train(settings.training(values.config, workdir), workdir, overrides, options)
    module = command_line.config_module(values)
    if not hasattr(module, "sweep"):
        raise ValueError("--sweep: this configuration has no sweep(), run it without")
    arms = sweep.begun_from(module.sweep(), workdir)
    if values.dry_run:
        sweep.list_arms(workdir, arms)
        return 0

    def train_arm(config: TrainingConfig, folder: epath.Path, changes: dict[str, Any]) -> int:
        return train(config, folder, overrides | changes, options)

    def configure(arm: str) -> TrainingConfig:
        return settings.training(settings.changed(values.config, arms[arm]), workdir / arm)

    return sweep.train_arms(workdir, arms, configure, train_arm)
