"""A run's first batches, written for `baked:DIR`: `animclip prepare --bake N --config=FILE`."""

import os
from typing import Any

from ml_collections import ConfigDict

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
        "footage": config.data.footage,
        "context_length": config.model.context_length,
        "vocab_size": config.model.vocab_size,
        "animation": config.animation.to_dict(),
    }


def bake(config: ConfigDict, directory: str | os.PathLike[str], count: int) -> None:
    """Writes the first `count` batches of config.data.train into a new folder.

    Raises FileExistsError where the folder is there, and what opening the source raises.
    """
    from input_pipeline.batches import train_batches
    from input_pipeline.sources.opening import open_source

    batches = train_batches(
        open_source(config.data.train, config.data.cache_dir),
        AnimationConfig.from_dict(config.animation.to_dict()),
        Tokenizer(config.model.context_length, config.model.vocab_size),
        canvas_size=config.data.canvas_size,
        batch_size=config.batch_size,
        seed=config.seed,
        start_step=0,
        group_size=config.data.group_size,
        footage=config.data.footage,
    )
    baked.bake(batches, directory, count, settings(config))
