"""What `animclip prepare` takes."""

from absl import flags
from ml_collections import config_flags

from animclip_jax.cli import flags as command_line
from animclip_jax.options import kinds
from animclip_jax.process import CACHE
from input_pipeline.media.workers import Limits

# As in input_pipeline.store.videos and input_pipeline.store.making, which load a video decoder.
NUM_FRAMES, QUALITY, MAX_BAD = 16, 90, 0.5


def parse(argv: list[str] | None) -> tuple[flags.FlagValues, list[str]]:
    """The command's flags, and what else stands on its line."""
    return command_line.parse_flags(argv, "animclip prepare", _define, "[SOURCE]")


def _define(values: flags.FlagValues) -> None:
    limits = Limits()
    path = kinds.define_path(values)
    path("out", None, "the folder to write, a source for training as folder:DIR")
    path("cache_dir", CACHE, "the folder for lists of pictures")
    flags.DEFINE_multi_string(
        "split", [], "a split or protocol of a video set; repeat it for more", flag_values=values
    )
    numbers: list[tuple[str, int | None, str]] = [
        ("num_frames", NUM_FRAMES, "frames to keep for each video"),
        (
            "short_side",
            None,
            "short side in pixels; without it 256 for videos, 320 for pictures",
        ),
        ("quality", QUALITY, "quality of the JPEGs"),
        ("processes", None, "processes that decode; without it one for each core"),
    ]
    for name, number, help in numbers:
        flags.DEFINE_integer(name, number, help, 1, flag_values=values)
    flags.DEFINE_float(
        "max_bad", MAX_BAD, "share of files that may be bad", 0, 1, flag_values=values
    )
    flags.DEFINE_float(
        "time_limit", limits.seconds, "seconds allowed for a file", 0, flag_values=values
    )
    flags.DEFINE_float(
        "memory_limit", limits.gibibytes, "GiB of memory allowed for a file", 0, flag_values=values
    )
    flags.DEFINE_string("engine", None, kinds.ENGINE, flag_values=values)
    kinds.define_part(values)
    flags.DEFINE_integer("merge", None, kinds.MERGE, 1, flag_values=values)
    flags.DEFINE_integer(
        "bake",
        None,
        "write this many batches of --config instead of a store",
        1,
        flag_values=values,
    )
    config_flags.DEFINE_config_file(
        "config", None, "the experiment whose batches to write", flag_values=values
    )
    flags.mark_flags_as_required(["out"], flag_values=values)
