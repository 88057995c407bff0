"""Folders for open_clip: the settings that it publishes, and tensors that come back bit by bit."""

import copy
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from animclip_jax import files
from animclip_jax.exporting import open_clip
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import folder, open_clip_config, rules, source, timm_names
from animclip_jax.weights.rules import Layout
from input_pipeline.media import picture
from tests.exporting.models import WORDS
from tests.models import computed
from tests.small_model import drawn
from tests.weights import reference
from tests.weights.families import FAMILIES, golden, inputs, normalised
from tests.weights.open_clip_models import LIST

MODELS = {name: it["config"] for name, it in json.loads(LIST.read_text())["models"].items()}
ALIASED = dataclasses.replace(towers.SIGLIP.pixels, antialias=False)
PUBLISHED = {
    "vit_b32": "ViT-B-32-quickgelu",
    "vit_l14_336": "ViT-L-14-336-quickgelu",
    "pe_core_t16_384": "PE-Core-T-16-384",
    "pe_core_s16_384": "PE-Core-S-16-384",
    "pe_core_b16": "PE-Core-B-16",
    "pe_core_l14_336": "PE-Core-L-14-336",
    "pe_core_g14_448": "PE-Core-bigG-14-448",
    "siglip_b16_224": "ViT-B-16-SigLIP",
    "siglip_l16_384": "ViT-L-16-SigLIP-384",
    "siglip_so400m14_224": "ViT-SO400M-14-SigLIP",
    "siglip_so400m14_378": "ViT-SO400M-14-SigLIP-378",
    "siglip2_b32_256": "ViT-B-32-SigLIP2-256",
    "siglip2_so400m16_512": "ViT-SO400M-16-SigLIP2-512",
    "siglip2_gopt16_384": "ViT-gopt-16-SigLIP2-384",
}


def settled(model: dict, width: int) -> dict:
    """What open_clip takes a setting for that is left out, and names of repositories left out."""
    plain = {"head_width": 64, "mlp_ratio": 4.0}
    text = plain | model["text_cfg"]
    text |= {"hf_tokenizer_name": "", "head_width": text["width"] // text["heads"]}
    text["mlp_ratio"] = int(text["mlp_ratio"] * text["width"])
    vision = plain | model["vision_cfg"]
    vision["mlp_ratio"] = int(vision["mlp_ratio"] * width)
    # SigLIP 1 was trained with the GELU by a hyperbolic tangent, whatever open_clip sets.
    text.pop("act_kwargs", None)
    return model | {"text_cfg": text, "vision_cfg": vision}


@pytest.mark.parametrize("name", PUBLISHED)
def test_settings_are_those_that_open_clip_publishes(name):
    found, width = open_clip_config.write(PRESETS[name])["model_cfg"], PRESETS[name].vision.width
    assert settled(found, width) == settled(MODELS[PUBLISHED[name]], width)


@pytest.mark.parametrize("name", PUBLISHED)
def test_settings_say_the_architecture(name):
    config = PRESETS[name]
    tensors = {
        key: np.broadcast_to(np.float32(0), entry.shape)
        for entry in rules.entries(config, Layout.OPENAI)
        for keys in entry.keys
        for key in keys
    }
    document = open_clip_config.write(config)
    assert open_clip_config.read(tensors, document, "FILE") == config
    vision = document["model_cfg"]["vision_cfg"]
    if "timm_model_name" in vision:  # which says the number of heads, too
        other = re.sub("vit_(pe_core_)?[^_]+", r"vit_\1giant", vision["timm_model_name"])
        vision["timm_model_name"] = other
        with pytest.raises(ValueError, match=f"FILE: not the configuration .* not {other}: take"):
            open_clip_config.read(tensors, document, "FILE")


@pytest.mark.parametrize("name", FAMILIES)
def test_tensors_there_and_back_are_bit_equal(name):
    config = FAMILIES[name]
    params = drawn(config)
    tensors = open_clip.tensors_of(params, config)
    apart = rules.unfuse(timm_names.to_openai(tensors))
    if config.towers.vision.projection == towers.MATRIX:
        assert not apart.pop("visual.proj.bias").any(), "timm has one, ours has not"
    found = rules.to_ours(apart, config, Layout.OPENAI, "")
    assert set(found) == set(params)
    for key, value in params.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize("name", ["pe_core", "pe_core_g"])
def test_names_are_those_of_timm_and_open_clip(name):
    wanted = golden(name)
    apart = rules.unfuse(timm_names.to_openai(wanted))
    params = rules.to_ours(apart, FAMILIES[name], Layout.OPENAI, "")
    found = open_clip.tensors_of(params, FAMILIES[name])
    found.pop("visual.trunk.head.bias") if name == "pe_core" else None
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in wanted.items()
    }
    for key, value in wanted.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize("bias", [False, True])
def test_a_folder_comes_back(tmp_path, bias):
    family = dataclasses.replace(WORDS.clip.towers, logit_bias=bias)
    config = dataclasses.replace(WORDS.clip, towers=family)
    params = drawn(config)
    open_clip.save(tmp_path / "oc", params, config)
    found, again = source.read(tmp_path / "oc")
    assert again == config and set(found) == set(params)
    for key, value in params.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


# open_clip has timm's towers at their published sizes alone; their text towers can be any.
TEXT = TransformerConfig(width=64, layers=1, heads=1, mlp_width=256)
LOADED = {
    "clip": WORDS.clip,
    "pe_core": dataclasses.replace(PRESETS["pe_core_t16_384"], text=TEXT),
    "siglip": dataclasses.replace(PRESETS["siglip2_b32_256"], text=TEXT, vocab_size=99),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADED)
def test_open_clip_loads_the_folder_and_computes_the_same(tmp_path, name):
    """As the documentation says it is loaded: without a network, towers and pictures."""
    torch = pytest.importorskip("torch", reason="needs open_clip_torch")
    library = pytest.importorskip("open_clip", reason="needs open_clip_torch")
    config = LOADED[name]
    params = {
        path: value * (1 if path.endswith("scale") else np.float32(0.3))
        for path, value in drawn(config).items()
    }
    open_clip.save(tmp_path / "oc", params, config)
    model, _, prepare = library.create_model_and_transforms(f"local-dir:{tmp_path / 'oc'}")
    frames, tokens = inputs(config)
    with torch.no_grad():
        found = {
            "image_embedding": model.encode_image(torch.from_numpy(normalised(frames, config))),
            "text_embedding": model.encode_text(torch.from_numpy(tokens).long()),
        }
    ours = computed.embeddings(computed.load(params, config), frames, tokens)
    for key, value in found.items():
        assert computed.difference(ours[key], value.numpy()) <= computed.TOLERANCE, key
    jpeg = reference.picture(480, 640)
    with Image.open(io.BytesIO(jpeg)) as image:
        shown = prepare(image).numpy()
    seen = normalised(picture.fit(picture.pixels(jpeg), *config.fitted)[None] / 255, config)[0]
    assert np.abs(shown - seen).mean() * min(config.towers.pixels.std) * 255 <= 1


def test_what_open_clip_can_not_build_is_refused_with_all_reasons(tmp_path):
    config = dataclasses.replace(
        WORDS.clip,
        vocab_size=99,
        activation="gelu_tanh",
        towers=dataclasses.replace(WORDS.clip.towers, norm_epsilon=1e-6, pixels=ALIASED),
    )
    with pytest.raises(ValueError) as error:
        open_clip.save(tmp_path / "oc", {}, config)
    reasons = ["norm_epsilon is 1e-06", "activation is gelu_tanh", "vocab_size is 99"]
    for reason in (*reasons, "pixels.antialias is False"):
        assert reason in str(error.value)
    with pytest.raises(ValueError, match="its vision tower is not a published one of pe"):
        open_clip.save(tmp_path / "oc", {}, FAMILIES["pe_core"])
    assert list(tmp_path.iterdir()) == []


def test_captions_without_a_projection_get_one_that_changes_nothing(tmp_path):
    """As open_clip builds the multilingual So400m; a file that merely lacks it is cut off."""
    width = 768
    tower = TransformerConfig(width=width, layers=1, heads=12, mlp_width=3072)
    config = ClipConfig(
        *(224, 16, tower, tower, 8, 32, width),
        activation="gelu_tanh",
        towers=dataclasses.replace(towers.SIGLIP, tokenizer="c4_en"),
    )
    params = drawn(config)
    tensors = open_clip.tensors_of(params, config)
    del tensors["text.text_projection.weight"], tensors["text.text_projection.bias"]
    folder.write_tensors(tmp_path / source.OPEN_CLIP_TENSORS, tensors)
    document = {"model_cfg": copy.deepcopy(MODELS["ViT-SO400M-16-SigLIP-i18n-256"])}
    document["model_cfg"] |= {"embed_dim": width}
    document["model_cfg"]["vision_cfg"]["timm_model_name"] = "vit_base_patch16_siglip_224"
    document["model_cfg"]["vision_cfg"]["image_size"] = 224
    document["model_cfg"]["text_cfg"] |= {
        "context_length": 8,
        "vocab_size": 32,
        "width": width,
        "heads": 12,
        "layers": 1,
    }
    files.write_json(tmp_path / source.OPEN_CLIP_CONFIG, document)
    found, again = source.read(tmp_path)
    assert again.embed_dim == width
    np.testing.assert_array_equal(found["text/projection/kernel"], np.eye(width))
    assert not found["text/projection/bias"].any()
    del document["model_cfg"]["text_cfg"]["proj_type"]
    document["model_cfg"]["text_cfg"]["proj_bias"] = True
    files.write_json(tmp_path / source.OPEN_CLIP_CONFIG, document)
    with pytest.raises(ValueError, match="missing: text_projection.weight"):
        source.read(tmp_path)
