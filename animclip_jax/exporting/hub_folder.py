"""--format=hub: our own folder with a model card and a processor, for the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from animclip_jax import files
from animclip_jax.exporting import model_card, own, processor
from animclip_jax.exporting.source import Source
from animclip_jax.models.clip import ClipConfig

KIND = "hub"
CARD = "README.md"

# The parameters and their configuration, as in --format=safetensors.
write = own.write


def public(source: Source) -> Source:
    """Without the folders of the machine in the names of what it was trained on."""
    seen = source.origin.get("trained_on")
    if seen is None:
        return source
    named = [model_card.without_folders(one) for one in seen]
    return source._replace(origin=source.origin | {"trained_on": named})


def finish(directory: Path, source: Source, facts: model_card.Facts) -> None:
    """Writes the card, which people edit, and transformers' processor where it can be expressed."""
    config = source.config if isinstance(source.config, ClipConfig) else source.config.clip
    obstacle, _ = processor.obstacle(config)
    if not obstacle:
        processor.write(directory, config)
    files.write_text(directory / CARD, model_card.card(source, facts, obstacle))
