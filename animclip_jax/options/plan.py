"""What `animclip plan` takes."""

from absl import flags
from ml_collections import config_flags

from animclip_jax.cli import flags as command_line
from animclip_jax.options import kinds


def parse(argv: list[str] | None) -> tuple[flags.FlagValues, list[str]]:
    """The command's flags, and what else stands on its line."""
    return command_line.parse_flags(argv, "animclip plan", _define)


def _define(values: flags.FlagValues) -> None:
    """The command's flags."""
    config_flags.DEFINE_config_file(
        "config", None, "the experiment, such as configs/folders.py:vit_b32", flag_values=values
    )
    flags.DEFINE_string(
        "topology", None, "the devices, such as v5e:16x16 or h100:8; without it this machine's",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_bool(
        "suggest", False, "find the remat, microbatch and mesh that fit with the least work",
        flag_values=values,
    )  # fmt: skip
    kinds.define_path(values)("json", None, "the file to write the plan to")
    flags.mark_flags_as_required(["config"], flag_values=values)
