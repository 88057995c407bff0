"""A short caption has the embedding that the model gives it, in every format and family."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from animclip_jax import api, export, files
from animclip_jax.exporting import open_clip
from animclip_jax.exporting.functions import Loaded, of_encoder
from animclip_jax.exporting.source import Source
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.weights import folder
from animclip_jax.weights import source as weights_source
from input_pipeline.tokenizers.opening import open_tokenizer
from tests import vocabularies
from tests.exporting.models import WORDS
from tests.small_model import SMALL, drawn
from tests.weights import families

CAPTIONS = ["a", "red dog", "red"]
# CLIP with its whole vocabulary, without which Hugging Face has no such model.
FAMILIES = {name: families.FAMILIES[name] for name in ("pe_core", "siglip")}
FAMILIES |= {"clip": WORDS.clip, "siglip_2": families.SIGLIP_2}
FORMATS = ("safetensors", "stablehlo", "hf", "open_clip")
# No class of transformers computes PE-Core.
WRITTEN = [
    (family, kind)
    for family in FAMILIES
    for kind in FORMATS
    if kind != "hf" or not family.startswith("pe_core")
]


def model(family: str, directory: Path) -> ClipConfig:
    """One of FAMILIES, with a vocabulary."""
    config = FAMILIES[family]
    if config.towers.tokenizer == "c4_en":
        return dataclasses.replace(config, tokenizer=str(vocabularies.t5(directory)))
    return config


def live(config: ClipConfig, params: dict[str, np.ndarray]) -> Encoder:
    return api.make_encoder(api.whole_params(params, config), api.whole_config(config))


def written(config: ClipConfig, kind: str, out: Path) -> Loaded:
    """The functions of an export."""
    if kind == "open_clip":
        out.mkdir()
        tensors = open_clip.tensors_of(drawn(config), config)
        folder.write_tensors(out / weights_source.OPEN_CLIP_TENSORS, tensors)
        document = families.open_clip_document(config)
        files.write_json(out / weights_source.OPEN_CLIP_CONFIG, document)
        params, again = weights_source.read(out)
        return of_encoder(live(again, params), reranks=False)
    export.export(Source(drawn(config), config, api.CONVERTED_FRAMES, {}), out, kind)
    return export.formats()[kind].load(out)


def seldom(family: str, kind: str) -> tuple[pytest.MarkDecorator, ...]:
    """All but the programs of one family that reads padding and of one that does not."""
    often = kind == "stablehlo" and family in ("clip", "siglip_2")
    return () if often else (pytest.mark.slow,)


@pytest.mark.parametrize(
    ("family", "kind"), [pytest.param(*one, marks=seldom(*one)) for one in WRITTEN]
)
def test_a_short_caption_has_the_embedding_of_our_encoder(family, kind, tmp_path):
    config = model(family, tmp_path)
    tokens = open_tokenizer(*config.reading)(CAPTIONS)
    encoder = live(config, drawn(config))
    wanted = encoder.encode_text(tokens).embedding
    assert np.abs(wanted[0] - wanted[1:]).max(axis=1).min() > 1e-3
    encode_text = written(config, kind, tmp_path / "out")["encode_text"]
    found = encode_text({"tokens": tokens})["text_embedding"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    # Without the padding that none of them needs.
    cut = {"tokens": tokens[:, : encoder.caption_lengths(tokens).max()]}
    assert cut["tokens"].shape[1] < config.context_length
    if config.towers.text.cuts_padding:
        np.testing.assert_allclose(encode_text(cut)["text_embedding"], wanted, rtol=0, atol=1e-6)
    else:
        said = f"{config.context_length}.* padding.* tokenizer gives"
        with pytest.raises(ValueError, match=said):
            encode_text(cut)


@pytest.mark.parametrize(
    ("causal", "pool", "cuts"),
    [
        (True, towers.END, True),
        (True, towers.LAST, False),
        (False, towers.END, False),
        (False, towers.LAST, False),
    ],
)
def test_a_tower_takes_cut_captions_where_it_reads_no_padding(causal, pool, cuts):
    text = towers.TextTowerConfig(causal=causal, pool=pool)
    config = dataclasses.replace(SMALL, towers=dataclasses.replace(towers.CLIP, text=text))
    encoder = live(config, drawn(config))
    tokens = np.array([[98, 5, 6, 99, *[0] * 8]], np.int32)
    whole = encoder.encode_text(tokens).embedding
    assert cuts == encoder.cuts_padding
    if cuts:
        np.testing.assert_allclose(encoder.encode_text(tokens[:, :4]).embedding, whole, atol=1e-6)
        return
    with pytest.raises(ValueError, match="captions of 4 tokens: wanted 12, .* reads their padding"):
        encoder.encode_text(tokens[:, :4])
