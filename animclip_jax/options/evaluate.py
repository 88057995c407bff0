"""What `animclip evaluate` takes."""

import sys

from absl import flags
from etils import epath
from ml_collections import config_flags

from animclip_jax.cli import flags as command_line
from animclip_jax.options import kinds


def parse(argv: list[str] | None) -> flags.FlagValues:
    """The command's flags; the configuration that they change is the run's own."""
    folder = command_line.early_value(argv, "workdir")

    def define(values: flags.FlagValues) -> None:
        path = kinds.define_path(values)
        path("workdir", None, "the folder of the run to evaluate")
        path("out", None, "the folder for the results; without it the run's own")
        path("against", None, "the results.json of another run to compare with")
        kinds.define_processes(values)
        flags.mark_flags_as_required(["workdir"], flag_values=values)
        if folder:
            from animclip_jax import settings  # JAX is slow to import, and --help does not need it.

            config = settings.of_run(epath.Path(kinds.home(folder)))
            config_flags.DEFINE_config_dict("config", config, flag_values=values)

    values, extra = command_line.parse_flags(argv, "animclip evaluate", define)
    if extra:
        print(f"animclip evaluate: {' '.join(extra)}: unexpected; see --help", file=sys.stderr)
        raise SystemExit(2)
    return values
