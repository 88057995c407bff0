"""What `animclip prepare` takes."""

from absl import flags
from ml_collections import config_flags

from animclip_jax.cli import flags as command_line
from animclip_jax.options import kinds
from input_pipeline.media.workers import Limits

# As in input_pipeline.store.videos and input_pipeline.store.making, which load a video decoder.
NUM_FRAMES, QUALITY, MAX_BAD = 16, 90, 0.5


def parse(argv: list[str] | None) -> tuple[flags.FlagValues, list[str]]:
    """The command's flags, and what else stands on its line."""
    return command_line.parse_flags(argv, "animclip prepare", _define)


def _define(values: flags.FlagValues) -> None:
    limits = Limits()
    path = kinds.define_path(values)
    path("out", None, "the directory to write; afterwards folder:DIR is a source")
    path("cache_dir", "~/.cache/animclip", "where pictures are indexed or checked")
    flags.DEFINE_multi_string(
        "split", [], "of a video set, one split or protocol; again for more", flag_values=values
    )
    numbers: list[tuple[str, int | None, str]] = [
        ("num_frames", NUM_FRAMES, "frames that are kept of a video"),
        ("short_side", None, "in pixels; without it 256 of videos, 320 of pictures"),
        ("quality", QUALITY, "of the JPEGs"),
        ("processes", None, "how many; without it all cores"),
    ]
    for name, number, help in numbers:
        flags.DEFINE_integer(name, number, help, 1, flag_values=values)
    flags.DEFINE_float("max_bad", MAX_BAD, "share that may be bad", 0, 1, flag_values=values)
    flags.DEFINE_float("time_limit", limits.seconds, "seconds for a file", 0, flag_values=values)
    flags.DEFINE_float("memory_limit", limits.gibibytes, "GiB for a file", 0, flag_values=values)
    flags.DEFINE_integer(
        "bake", None, "write that many batches of --config, no store", 1, flag_values=values
    )
    config_flags.DEFINE_config_file(
        "config", None, "the experiment whose batches are baked", flag_values=values
    )
    flags.mark_flags_as_required(["out"], flag_values=values)
