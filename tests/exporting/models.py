"""A small model to export, whose parameters are drawn: no two values alike, none of them zero."""

import dataclasses

import jax

from animclip_jax.exporting.source import Source
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.retriever import RetrieverConfig
from tests.small_model import CONFIG, WHOLE, drawn

# TensorFlow 2.21 reads no SavedModel of any batch size that a later JAX than 0.10 wrote.
ANY_BATCH = tuple(int(part) for part in jax.__version__.split(".")[:2]) < (0, 11)

CLIP = CONFIG.clip
# The same model with CLIP's own vocabulary and captions, which Hugging Face's tokenizer needs.
WORDS = dataclasses.replace(
    WHOLE, clip=dataclasses.replace(CLIP, vocab_size=49408, context_length=77)
)
FRAMES = WHOLE.num_frames


def source(config: ClipConfig | RetrieverConfig = WHOLE, seed: int = 0) -> Source:
    return Source(drawn(config, seed), config, FRAMES, {"steps": 7})


def source_for(kind: str) -> Source:
    """A whole model that a format can hold."""
    return source(WORDS) if kind == "hf" else source()


def batch_size(kind: str) -> int | None:
    """What `export` is given for a format."""
    return 2 if kind == "savedmodel" and not ANY_BATCH else None


def bfloat16(config: RetrieverConfig = WHOLE) -> RetrieverConfig:
    """The same model, computed and its codes stored in that."""
    return dataclasses.replace(
        config,
        clip=dataclasses.replace(config.clip, dtype="bfloat16"),
        reranker=dataclasses.replace(config.reranker, code_dtype="bfloat16"),
    )
