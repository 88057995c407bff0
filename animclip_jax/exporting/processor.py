"""What transformers' processors and `SentenceTransformer` read beside a CLIP or a SigLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import source as weights_source
from animclip_jax.weights import vocabulary
from input_pipeline.tokenizers import CLIP_VOCAB_SIZE, clip_vocabulary

VOCABULARY, MERGES, TOKENIZER = vocabulary.CLIP_JSON, "merges.txt", weights_source.TOKENIZER
SPECIAL = "special_tokens_map.json"
SENTENCE_MODULES, SENTENCE_SETTINGS = "modules.json", "sentence_bert_config.json"
# By the kind of tokens: the vocabulary that transformers' tokenizer of SigLIP reads.
_SIGLIP = {"c4_en": "spiece.model", "mc4": "spiece.model", "gemma": "tokenizer.json"}
# transformers' first line of such a file.
_MERGES_VERSION = "#version: 0.2"
# By the names that every version of sentence-transformers knows; Normalize has no file of its own.
_SENTENCE_MODULES = (("", "CLIPModel"), ("1_Normalize", "Normalize"))


def require_expressible(config: ClipConfig) -> None:
    """Raises ValueError for a model whose tokens or pictures transformers can't make."""
    reason, advice = obstacle(config)
    if reason:
        raise ValueError(reason + advice)


def obstacle(config: ClipConfig) -> tuple[str, str]:
    """Why transformers can't make a model's tokens or pictures, "" where it can; what to do."""
    if not config.towers.pixels.antialias:
        return (
            "pixels.antialias is False: transformers' processors anti-alias, so that pictures "
            "would get other embeddings there than here"
        ), ""
    kind, suffix = config.towers.tokenizer, Path(config.tokenizer).suffix
    if kind not in (towers.CLIP.tokenizer, *_SIGLIP):
        return f"tokens of {kind}: transformers has no tokenizer that makes them", ""
    if kind == towers.CLIP.tokenizer and config.vocab_size != CLIP_VOCAB_SIZE:
        return (
            f"vocab_size is {config.vocab_size}: Hugging Face's CLIP tokenizer gives ids of all "
            f"{CLIP_VOCAB_SIZE} tokens and cannot fold them, so captions would get other "
            "embeddings there than here"
        ), (
            ". Use --format=safetensors or --format=stablehlo, or train with "
            f"--config.model.vocab_size={CLIP_VOCAB_SIZE}"
        )
    if kind in _SIGLIP and suffix != (wanted := Path(_SIGLIP[kind]).suffix):
        return (
            f"Hugging Face's tokenizer of {kind} reads {_SIGLIP[kind]}, and this model's "
            f"vocabulary is a {suffix} file"
        ), (
            f", {config.tokenizer}: give a {wanted} file of the same vocabulary by animclip "
            "convert --tokenizer=FILE"
        )
    return "", ""


def write(directory: Path, config: ClipConfig) -> None:
    """Writes the files of the tokenizer and of pictures; raises as `require_expressible`."""
    require_expressible(config)
    kind, length = config.towers.tokenizer, config.context_length
    if kind in _SIGLIP:
        files.write_bytes(directory / _SIGLIP[kind], Path(config.tokenizer).read_bytes())
        tokenizer: dict[str, Any] = _siglip_tokenizer(kind)
    else:
        merges = "\n".join([_MERGES_VERSION, *clip_vocabulary.merges()])
        files.write_json(directory / VOCABULARY, clip_vocabulary.token_ids())
        files.write_text(directory / MERGES, f"{merges}\n")
        tokenizer = _special_tokens()
        files.write_json(directory / SPECIAL, tokenizer, indent=2)
        tokenizer = tokenizer | {
            "tokenizer_class": "CLIPTokenizer",
            "processor_class": "CLIPProcessor",
            "do_lower_case": True,
            "errors": "replace",
        }
    files.write_json(directory / TOKENIZER, tokenizer | {"model_max_length": length}, indent=2)
    files.write_json(directory / weights_source.PIXELS, _pictures(config), indent=2)


def write_for_sentences(directory: Path, config: ClipConfig) -> None:
    """Writes what sentence-transformers reads beside the files of `write`."""
    if config.towers.tokenizer in _SIGLIP:
        length = config.context_length
        # The last position is pooled, so that padding is part of every caption.
        padded = {"padding": "max_length", "truncation": True, "max_length": length}
        settings = {"max_seq_length": length, "processing_kwargs": {"text": padded}}
        files.write_json(directory / SENTENCE_SETTINGS, settings, indent=2)
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


def _siglip_tokenizer(kind: str) -> dict[str, Any]:
    first = kind in ("c4_en", "mc4")
    end = "</s>" if first else "<eos>"
    return {
        "tokenizer_class": "SiglipTokenizer" if first else "Siglip2Tokenizer",
        "processor_class": "SiglipProcessor",
        "eos_token": end,
        "pad_token": end if first else "<pad>",
        "unk_token": "<unk>",
        "do_lower_case": True,
        # Without a mask, for padding is read. transformers' own default for SigLIP 2 is left.
        "model_input_names": ["input_ids"],
        "padding_side": "right",
    }


def _special_tokens() -> dict[str, Any]:
    end = clip_vocabulary.END_TEXT
    # Padding is the end token, as in OpenAI's own repositories: "!", whose id is our padding, would
    # no longer be a word.
    return {
        "bos_token": clip_vocabulary.START_TEXT,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
    }


def _pictures(config: ClipConfig) -> dict[str, Any]:
    side, pixels = config.image_size, config.towers.pixels
    cropped, square = pixels.resize == towers.SHORTEST, {"height": side, "width": side}
    kind = "Siglip" if config.towers.tokenizer in _SIGLIP else "CLIP"
    found = {
        "image_processor_type": f"{kind}ImageProcessor",
        "processor_class": f"{kind}Processor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side} if cropped else square,
        "resample": {towers.BILINEAR: 2, towers.BICUBIC: 3}[pixels.interpolation],  # Pillow's
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": pixels.mean,
        "image_std": pixels.std,
    }
    crop = {"do_center_crop": cropped, "crop_size": square}
    return found if kind == "Siglip" else found | crop
