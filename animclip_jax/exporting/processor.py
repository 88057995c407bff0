"""What transformers' `CLIPProcessor` and `SentenceTransformer` read beside a `CLIPModel`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.exporting import clip_vocabulary
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import Pixels
from animclip_jax.weights import source as weights_source
from input_pipeline.tokenizers.clip import CLIP_VOCAB_SIZE

VOCABULARY, MERGES, TOKENIZER = "vocab.json", "merges.txt", "tokenizer_config.json"
SPECIAL = "special_tokens_map.json"
SENTENCE_MODULES = "modules.json"
# transformers' first line of such a file.
_MERGES_VERSION = "#version: 0.2"
# By the names that every version of sentence-transformers knows; Normalize has no file of its own.
_SENTENCE_MODULES = (("", "CLIPModel"), ("1_Normalize", "Normalize"))


def require_vocabulary(config: ClipConfig) -> None:
    """Raises ValueError for a model whose tokens transformers' tokenizer can't make."""
    if config.vocab_size != CLIP_VOCAB_SIZE:
        raise ValueError(
            f"vocab_size is {config.vocab_size}: Hugging Face's CLIP tokenizer gives ids of all "
            f"{CLIP_VOCAB_SIZE} tokens and has no way to fold them, so that captions would get "
            "other embeddings there than here. Use --format=safetensors or --format=stablehlo, or "
            f"train with --config.model.vocab_size={CLIP_VOCAB_SIZE}"
        )


def write(directory: Path, config: ClipConfig) -> None:
    """Writes the files of the tokenizer, of pictures, and of sentence-transformers."""
    require_vocabulary(config)
    merges = "\n".join([_MERGES_VERSION, *clip_vocabulary.merges()])
    files.write_json(directory / VOCABULARY, clip_vocabulary.token_ids())
    files.write_text(directory / MERGES, f"{merges}\n")
    special = _special_tokens()
    files.write_json(directory / SPECIAL, special, indent=2)
    tokenizer = special | {
        "tokenizer_class": "CLIPTokenizer",
        "processor_class": "CLIPProcessor",
        "model_max_length": config.context_length,
        "do_lower_case": True,
        "errors": "replace",
    }
    files.write_json(directory / TOKENIZER, tokenizer, indent=2)
    files.write_json(
        directory / weights_source.PIXELS,
        _pictures(config.image_size, config.towers.pixels),
        indent=2,
    )
    modules = [
        {
            "idx": number,
            "name": str(number),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for number, (path, kind) in enumerate(_SENTENCE_MODULES)
    ]
    files.write_json(directory / SENTENCE_MODULES, modules, indent=2)


def _special_tokens() -> dict[str, str]:
    end = clip_vocabulary.END_TEXT
    # Padding is the end token, as in OpenAI's own repositories: "!", whose id is our padding, would
    # no longer be a word.
    return {
        "bos_token": clip_vocabulary.START_TEXT,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
    }


def _pictures(side: int, pixels: Pixels) -> dict[str, Any]:
    cropped, square = pixels.resize == towers.SHORTEST, {"height": side, "width": side}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side} if cropped else square,
        "resample": {towers.BILINEAR: 2, towers.BICUBIC: 3}[pixels.interpolation],  # Pillow's
        "do_center_crop": cropped,
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": pixels.mean,
        "image_std": pixels.std,
    }
