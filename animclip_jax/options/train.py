"""What `animclip train` takes."""

import functools

from absl import flags
from ml_collections import config_flags

from animclip_jax.cli import flags as command_line
from animclip_jax.options import kinds

# Steps of a trace.
TRACED = 5


def parse(argv: list[str] | None) -> tuple[flags.FlagValues, list[str]]:
    """The command's flags, and what else stands on its line."""
    return command_line.parse_flags(argv, "animclip train", _define)


def _define(values: flags.FlagValues) -> None:
    """The command's flags."""
    config_flags.DEFINE_config_file(
        "config", None, "the experiment, such as configs/quickstart.py", flag_values=values
    )
    switch = functools.partial(flags.DEFINE_bool, flag_values=values)
    kinds.define_path(values)("workdir", None, "the folder of this run")
    switch("sweep", False, "train every arm of the configuration's sweep()")
    switch("dry_run", False, "with --sweep, print the runs and train nothing")
    switch("other_data", False, "resume although the training data has changed")
    switch("profile", False, f"trace {TRACED} steps into WORKDIR/profile, for TensorBoard")
    kinds.define_processes(values)
    flags.mark_flags_as_required(["config", "workdir"], flag_values=values)
