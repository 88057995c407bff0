"""--format=safetensors: our own folder, which everything of ours reads."""

from __future__ import annotations

from pathlib import Path

import jax

from animclip_jax import api
from animclip_jax.exporting import functions
from animclip_jax.exporting.source import Source
from animclip_jax.weights import folder


def write(directory: Path, source: Source) -> None:
    """Writes the configuration and the parameters."""
    folder.write(directory, source.params, source.config)


def load(directory: Path) -> functions.Loaded:
    """The model's functions; raises as `api.load`."""
    found = api.load(directory, jax.local_devices()[:1])
    return functions.of_encoder(found.encoder, found.reranks)
