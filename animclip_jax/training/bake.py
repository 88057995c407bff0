"""A run's first batches, written for `baked:DIR`: `animclip prepare --bake N --config=FILE`."""

import os

from animclip_jax.training import data
from input_pipeline import baked
from input_pipeline.examples import BatchConfig


def bake(
    source: str, cache_dir: str, config: BatchConfig, directory: str | os.PathLike[str], count: int
) -> None:
    """Writes the first `count` batches of a source, `kind:location`, into a new folder.

    Raises FileExistsError where the folder is there, and what opening the source raises.
    """
    from input_pipeline.batches import train_batches

    examples = data.opened(source, cache_dir, config)
    batches = train_batches(examples, config, start_step=0)
    digest = data.digest(examples)
    baked.bake(batches, directory, count, config, source=source, digest=digest)
