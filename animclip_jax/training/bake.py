"""A run's first batches, written for `baked:DIR`: `animclip prepare --bake N --config=FILE`."""

import os

from ml_collections import ConfigDict

from animclip_jax import settings
from input_pipeline import baked


def bake(config: ConfigDict, directory: str | os.PathLike[str], count: int) -> None:
    """Writes the first `count` batches of config.data.train into a new folder.

    Raises FileExistsError where the folder is there, and what opening the source raises.
    """
    from input_pipeline.batches import train_batches
    from input_pipeline.sources.opening import open_source

    made = settings.batches(config)
    examples = open_source(config.data.train, config.data.cache_dir)
    baked.bake(train_batches(examples, made, start_step=0), directory, count, made)
