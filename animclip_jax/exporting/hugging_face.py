"""--format=hf: the dual encoders as a folder that `transformers.CLIPModel` reads."""

from __future__ import annotations

from pathlib import Path

import jax

from animclip_jax import exported, files, manifest
from animclip_jax.exporting import functions
from animclip_jax.exporting.source import Source
from animclip_jax.models.clip import PIXEL_MEAN, PIXEL_STD, ClipConfig
from animclip_jax.weights import folder
from animclip_jax.weights import source as weights_source

KIND = "hf"


def write(directory: Path, source: Source) -> None:
    """Writes the model, and the preprocessing of pictures as `CLIPImageProcessor` reads it."""
    assert isinstance(source.config, ClipConfig)
    folder.write_hugging_face(directory, source.params, source.config)
    side = source.config.image_size
    pictures = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": 3,  # Pillow's number of bicubic.
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": PIXEL_MEAN,
        "image_std": PIXEL_STD,
    }
    files.write_json(directory / weights_source.PIXELS, pictures, indent=2)


def load(directory: Path) -> functions.Loaded:
    """The functions of what `animclip convert` reads there.

    Raises:
      FileNotFoundError, ValueError: a file is missing, has changed or can't be read; names it.
    """
    num_frames = manifest.check(directory, KIND)["frames"]["shape"][1]
    params, config = weights_source.read(directory)
    encoder = exported.make_encoder(
        exported.whole_params(params, config, num_frames),
        exported.whole_config(config, num_frames),
        jax.local_devices()[:1],
    )
    return functions.of_encoder(encoder, reranks=False)
