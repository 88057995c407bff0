"""A run's configuration file: small towers of one family, which `get_config` is given by name."""

import dataclasses

from ml_collections import ConfigDict

from animclip_jax.models.presets import PRESETS
from animclip_jax.models.towers import CLIP, PE_CORE, SIGLIP
from configs import folders
from tests import vocabularies
from tests.small_model import RERANKER, SMALL
from tests.weights import videoprism

SIGLIP_2 = dataclasses.replace(SIGLIP, tokenizer="gemma")
PE_CORE_T = PRESETS["pe_core_t16_384"]
FAMILIES = {
    "clip": dataclasses.replace(SMALL, towers=CLIP),
    "pe_core": dataclasses.replace(SMALL, activation="gelu", towers=PE_CORE),
    # Its vision tower whole, 577 tokens a frame; few layers and words of the other.
    "pe_core_t": dataclasses.replace(
        PE_CORE_T, text=dataclasses.replace(PE_CORE_T.text, layers=2), vocab_size=1000
    ),
    "siglip_2": dataclasses.replace(
        SMALL,
        vocab_size=vocabularies.GEMMA_SIZE,
        embed_dim=SMALL.vision.width,
        activation="gelu_tanh",
        towers=SIGLIP_2,
        tokenizer=str(vocabularies.GEMMA),
    ),
    # Its vocabulary is to be given.
    "videoprism": videoprism.SMALL,
}


def get_config(name: str) -> ConfigDict:
    """Two steps of four clips."""
    config = folders.get_config()
    config.model.update(dataclasses.asdict(FAMILIES[name]))
    config.reranker.update(dataclasses.asdict(RERANKER))
    config.animation.num_frames = 3
    config.loss.contrastive = "sigmoid" if FAMILIES[name].towers.logit_bias else "softmax"
    config.steps, config.batch_size, config.log_every = 2, 4, 1
    config.checkpoint.every = 1
    config.evaluation.rerank_k = 2
    return config
