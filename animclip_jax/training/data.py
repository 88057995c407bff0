"""What a run is trained on: its source, its batches, and pictures of the first of them."""

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from animclip_jax.animation.batch import Batch, Footage, example_of
from animclip_jax.animation.render import clips
from animclip_jax.runs.samples import write_samples
from animclip_jax.training.config import TrainingConfig
from input_pipeline import baked
from input_pipeline.columns import columns
from input_pipeline.examples import BatchConfig, Examples

NUM_SAMPLES = 6


def open_examples(config: TrainingConfig) -> Examples | None:
    """The source to train on; None for baked batches, which take no TensorFlow."""
    if config.source.startswith(baked.KIND):
        return None
    return opened(config.source, config.cache_dir, config.batches)


def opened(source: str, cache_dir: str, batches: BatchConfig) -> Examples:
    """A source that is not baked, to make such batches of."""
    # Baked batches are read without these.
    from input_pipeline.sources.opening import open_source
    from input_pipeline.store.videos import FramesWanted

    # Of a video that is filmed like pictures, one frame is taken at a time.
    count = batches.animation.num_frames if batches.footage else 1
    return open_source(source, cache_dir, FramesWanted(count, batches.animation.image_size))


def fingerprint(config: TrainingConfig, examples: Examples | None) -> str:
    """Of the examples' ids and captions, in their order, or `baked.fingerprint`."""
    if examples is None:
        return baked.fingerprint(config.source)
    return digest(examples)


def digest(examples: Examples) -> str:
    """Of a source's ids and captions, in their order."""
    return examples.digest or columns.digest(examples.ids, examples.captions)


def open_batches(
    config: TrainingConfig,
    examples: Examples | None,
    start_step: int,
    part: tuple[int, int],
    spoken: list[str] | None = None,
) -> Iterator[Batch]:
    """A part of each batch, (which, of how many), from a step on.

    Args:
      spoken: as `train_batches` has it; baked batches have tokens alone, and leave it as it is.
    """
    process = {"process_index": part[0], "process_count": part[1]}
    if examples is None:
        return baked.baked_batches(config.source, config.batches, start_step=start_step, **process)
    from input_pipeline.batches import train_batches

    return train_batches(examples, config.batches, start_step=start_step, spoken=spoken, **process)


def names(examples: Examples | None, index: np.ndarray) -> list[str]:
    """What the clips of a batch were made from."""
    made_of = example_of(index)
    if examples is None:
        return [f"baked example {i}" for i in made_of]
    return [examples.ids[i] for i in made_of]


def keep_samples(
    config: TrainingConfig,
    workdir: Path,
    examples: Examples | None,
    batch: Batch,
    spoken: list[str],
) -> None:
    """Writes the first clips of a batch, as the model will see them, beside their pictures.

    Args:
      spoken: the batch's captions; baked batches have the names of their examples instead.
    """
    few = jax.tree.map(lambda x: x[:NUM_SAMPLES], batch)
    frames = np.asarray(clips(few, config.model.clip.image_size) * 255 + 0.5)
    if examples is None:
        captions = names(examples, few.index)
        pictures = list(few.frames[:, 0] if isinstance(few, Footage) else few.canvas)
    else:
        from input_pipeline.batches import decode_pictures

        made_of = example_of(few.index)
        captions = spoken[:NUM_SAMPLES]
        pictures = decode_pictures(examples, made_of)
    write_samples(workdir, pictures, frames.astype(np.uint8), captions)
