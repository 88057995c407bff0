"""`animclip prepare --bake N --config=FILE --out=DIR`: a run's first batches, for `baked:DIR`."""

import os
import sys
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from animclip_jax import command_line
from animclip_jax.animation.config import AnimationConfig
from input_pipeline import baked
from input_pipeline.tokenizer import Tokenizer


def settings(config: ConfigDict) -> dict[str, Any]:
    """All that the batches of a configuration depend on, besides their source."""
    return {
        "batch_size": config.batch_size,
        "seed": config.seed,
        "canvas_size": config.data.canvas_size,
        "group_size": config.data.group_size,
        "context_length": config.model.context_length,
        "vocab_size": config.model.vocab_size,
        "animation": config.animation.to_dict(),
    }


def bake(config: ConfigDict, directory: str | os.PathLike[str], count: int) -> None:
    """Writes the first `count` batches of config.data.train into a new folder.

    Raises FileExistsError where the folder is there, and what opening the source raises.
    """
    from input_pipeline.batches import train_batches
    from input_pipeline.sources import open_source

    batches = train_batches(
        open_source(config.data.train, config.data.cache_dir),
        AnimationConfig.from_dict(config.animation.to_dict()),
        Tokenizer(config.model.context_length, config.model.vocab_size),
        canvas_size=config.data.canvas_size,
        batch_size=config.batch_size,
        seed=config.seed,
        start_step=0,
        group_size=config.data.group_size,
    )
    baked.bake(batches, directory, count, settings(config))


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""

    def define_flags(values: flags.FlagValues) -> None:
        config_flags.DEFINE_config_file(
            "config", None, "the experiment whose batches are made", flag_values=values
        )
        flags.DEFINE_integer("bake", None, "how many batches", 1, flag_values=values)
        flags.DEFINE_string("out", None, "the folder to write, a new one", flag_values=values)
        flags.mark_flags_as_required(["config", "out"], flag_values=values)

    values, extra = command_line.parse_flags(argv, "animclip prepare --bake", define_flags)
    try:
        if extra:
            raise ValueError(f"{' '.join(extra)}: --bake takes its source from --config.data.train")
        out = Path(values.out).expanduser()
        bake(values.config, out, values.bake)
    except (OSError, ValueError) as error:
        print(f"animclip prepare: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {values.bake} batches of {values.config.batch_size} clips")
    return 0
