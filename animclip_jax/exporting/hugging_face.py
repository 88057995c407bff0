"""--format=hf: the dual encoders as a folder that transformers and sentence-transformers read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jax

from animclip_jax import api, files
from animclip_jax.exporting import functions, processor
from animclip_jax.exporting.source import Source
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import folder, hugging_face_config, manifest
from animclip_jax.weights import source as weights_source
from animclip_jax.weights.deferred import Array

KIND = "hf"


def without_bias(source: Source) -> Source:
    """What is written of dual encoders: a `CLIPModel` has no bias of the logits."""
    assert isinstance(source.config, ClipConfig)
    config = hugging_face_config.without_bias(source.config)
    params = source.params
    if not config.towers.logit_bias:
        params = {name: value for name, value in params.items() if name != "logit_bias"}
    return source._replace(params=params, config=config)


def write(directory: Path, source: Source) -> None:
    """Writes the model, its tokenizer and processor.

    Args:
      source: of `without_bias`.

    Raises:
      ValueError: transformers can't compute the model, its tokens or its pictures.
    """
    assert isinstance(source.config, ClipConfig)
    hugging_face_config.model_type(source.config)
    processor.require_expressible(source.config)
    folder.write_hugging_face(directory, source.params, source.config)
    processor.write(directory, source.config)
    processor.write_for_sentences(directory, source.config)


def save(directory: Path, params: Mapping[str, Array], config: ClipConfig) -> None:
    """Writes the same files into a new folder, whole or not at all; raises as `write`.

    Args:
      params: of `Clip`, by slash-joined path.
    """
    config = hugging_face_config.without_bias(config)
    hugging_face_config.model_type(config)
    processor.require_expressible(config)
    with files.new_folder(directory) as temporary:
        folder.write_hugging_face(temporary, params, config)
        processor.write(temporary, config)
        processor.write_for_sentences(temporary, config)


def load(directory: Path) -> functions.Loaded:
    """The functions of what `animclip convert` reads there.

    Raises:
      FileNotFoundError, ValueError: a file is missing, has changed or can't be read; names it.
    """
    num_frames = manifest.check(directory, KIND, ["frames.shape"])["frames"]["shape"][1]
    params, config = weights_source.read(directory)
    encoder = api.make_encoder(
        api.whole_params(params, config, num_frames),
        api.whole_config(config, num_frames),
        jax.local_devices()[:1],
    )
    return functions.of_encoder(encoder, reranks=False)
