"""What a file says of the architecture, and what we refuse because we would compute otherwise."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.towers import CLIP, Pixels
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import (
    architecture,
    hugging_face_config,
    open_clip_config,
    rules,
    timm_names,
    torch_archive,
)
from tests.weights.families import FAMILIES, golden
from tests.weights.reference import GOLDEN, GOLDEN_CLIP

# As published with openai/clip-vit-base-patch32, shortened to what differs from the defaults.
OLD = {
    "model_type": "clip",
    "projection_dim": 512,
    "text_config_dict": None,
    "text_config": {"eos_token_id": 2},
    "vision_config_dict": None,
    "vision_config": {},
}


@pytest.mark.parametrize("name", [name for name, it in PRESETS.items() if it.towers == CLIP])
def test_hugging_faces_description_there_and_back(name):
    config = dataclasses.replace(PRESETS[name], activation="gelu")
    described = hugging_face_config.write(config)
    assert hugging_face_config.read(described, "config.json") == config


def test_what_an_old_file_leaves_out_is_transformers_default():
    assert hugging_face_config.read(OLD, "config.json") == PRESETS["vit_b32"]


def test_the_section_that_transformers_lets_win():
    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    both = {"vision_config": {"patch_size": 14}, "vision_config_dict": large}
    config = hugging_face_config.read(OLD | both, "config.json")
    assert (config.vision.width, config.vision.layers, config.vision.heads) == (1024, 24, 16)
    assert config.patch_size == 32


def test_transformers_lets_the_same_section_win():
    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    both = {"vision_config": {"patch_size": 14}, "vision_config_dict": large}
    transformers = pytest.importorskip("transformers", reason="needs the extra `parity`")
    theirs = transformers.CLIPConfig(**OLD | both).vision_config
    assert (theirs.hidden_size, theirs.patch_size) == (1024, 32)


def test_pixels_that_no_patch_covers_are_not_read():
    vision = {"image_size": 384, "patch_size": 14, "hidden_size": 1152, "num_hidden_layers": 27}
    vision |= {"num_attention_heads": 16, "intermediate_size": 4304}
    text = {"hidden_size": 1152, "num_hidden_layers": 27} | {
        name: vision[name] for name in ("num_attention_heads", "intermediate_size")
    }
    document = {"model_type": "siglip", "text_config": text, "vision_config": vision}
    found = hugging_face_config.read(document, "config.json")
    assert found == PRESETS["siglip_so400m14_378"]


def test_all_that_can_not_be_computed_is_named():
    text = {"layer_norm_eps": 1e-6, "eos_token_id": 7}
    vision = {"num_channels": 1, "hidden_act": "gelu"}
    with pytest.raises(ValueError) as error:
        hugging_face_config.read(
            OLD | {"text_config": text, "vision_config": vision}, "config.json"
        )
    for what in ("layer_norm_eps is 1e-06", "eos_token_id is 7", "num_channels is 1", "hidden_act"):
        assert what in str(error.value)


def test_another_kind_of_model_is_refused():
    with pytest.raises(ValueError, match="model_type is 'siglip2', wanted 'clip' or 'siglip'"):
        hugging_face_config.read({"model_type": "siglip2"}, "config.json")
    with pytest.raises(ValueError, match="activation 'silu'"):
        sections = {name: {"hidden_act": "silu"} for name in ("text_config", "vision_config")}
        hugging_face_config.read(OLD | sections, "config.json")


def openai_shapes(config) -> dict[str, np.ndarray]:
    """Tensors of that architecture in OpenAI's layout; they hold nothing but take no memory."""
    return {
        key: np.broadcast_to(np.float32(0), entry.shape)
        for entry in rules.entries(config, rules.Layout.OPENAI)
        for keys in entry.keys
        for key in keys
    }


@pytest.mark.parametrize(
    "name", [name for name in PRESETS if name.startswith(("vit_", "pe_core_", "siglip"))]
)
def test_published_models_are_known_by_their_tensors(name):
    tensors = openai_shapes(PRESETS[name])
    family, activation = architecture.family_of(tensors)
    found = architecture.from_openai(tensors, activation or "quick_gelu", "FILE", family)
    assert found == PRESETS[name]


# open_clip's ViT-H-14, g-14, bigG-14 and e-14: width and heads of the vision and the text tower.
WIDE = [(1280, 16, 1024, 16), (1408, 16, 1024, 16), (1664, 16, 1280, 20), (1792, 16, 1280, 20)]


def wide(width: int, heads: int, text_width: int, text_heads: int) -> ClipConfig:
    """A CLIP of that width, of one layer a tower."""
    return dataclasses.replace(
        PRESETS["vit_l14"],
        vision=TransformerConfig(width, 1, heads, 4 * width),
        text=TransformerConfig(text_width, 1, text_heads, 4 * text_width),
        embed_dim=text_width,
        activation="gelu",
    )


@pytest.mark.parametrize("sizes", WIDE)
def test_the_heads_of_clips_widest_towers_are_those_of_open_clip(sizes):
    config = wide(*sizes)
    assert architecture.from_openai(openai_shapes(config), "gelu", "FILE") == config


def test_a_vision_tower_of_no_known_width_needs_a_description():
    config = wide(1100, 10, 1024, 16)
    tensors = openai_shapes(config)
    with pytest.raises(ValueError, match="FILE: the vision tower is 1100 wide.* put the open_clip"):
        architecture.from_openai(tensors, "gelu", "FILE")
    model = {"vision_cfg": {"head_width": 110}, "text_cfg": {"heads": 16}}
    assert open_clip_config.read(tensors, {"model_cfg": model}, "FILE") == config


def test_a_file_without_the_telling_tensors_names_all_that_does_not_fit():
    tensors = rules.unfuse(torch_archive.read(GOLDEN / "openai.pt").tensors)
    tensors = {name: value for name, value in tensors.items() if value.dtype != np.int64}
    tensors["visual.conv.weight"] = tensors.pop("visual.conv1.weight")
    tensors.pop("ln_final.bias")
    with pytest.raises(ValueError) as error:
        architecture.from_openai(tensors, "quick_gelu", "FILE")
    for line in ("missing: visual.conv1.weight", "missing: ln_final.bias"):
        assert f"  {line}" in str(error.value)
    assert "not expected: visual.conv.weight (20, 3, 8, 8)" in str(error.value)


def test_sizes_that_no_model_has_are_named_with_their_file():
    vision = dataclasses.replace(GOLDEN_CLIP.vision, width=200, heads=2)
    tensors = openai_shapes(dataclasses.replace(GOLDEN_CLIP, vision=vision))
    with pytest.raises(ValueError, match="FILE: width 200 is not a multiple of heads 3"):
        architecture.from_openai(tensors, "gelu", "FILE")
    tensors = openai_shapes(GOLDEN_CLIP) | {"visual.positional_embedding": np.zeros((0, 20))}
    with pytest.raises(ValueError, match="FILE: image_size 0: wanted a whole number"):
        architecture.from_openai(tensors, "gelu", "FILE")


def test_a_resnet_is_refused():
    with pytest.raises(ValueError, match="is a ResNet, wanted a ViT"):
        architecture.from_openai({"visual.layer1.0.conv1.weight": np.zeros(1)}, "gelu", "FILE")


def test_open_clips_description():
    tensors = rules.unfuse(torch_archive.read(GOLDEN / "openai.pt").tensors)
    document: dict[str, Any] = {
        "model_cfg": {
            "embed_dim": 14,
            "vision_cfg": {"image_size": 24, "layers": 2, "width": 20, "head_width": 5},
            "text_cfg": {"context_length": 12, "vocab_size": 99, "width": 18, "heads": 3},
        }
    }
    found = open_clip_config.read(tensors, document, "FILE")
    assert (found.vision.heads, found.text.heads, found.activation) == (4, 3, "gelu")
    document["model_cfg"]["quick_gelu"] = True
    found = open_clip_config.read(tensors, document, "FILE")
    assert found.activation == "quick_gelu" and found.image_size == GOLDEN_CLIP.image_size
    document["model_cfg"]["vision_cfg"]["pool_type"] = "avg"
    document["model_cfg"]["text_cfg"]["embed_cls"] = True
    with pytest.raises(ValueError, match="text_cfg.embed_cls, vision_cfg.pool_type"):
        open_clip_config.read(tensors, document, "FILE")


@pytest.mark.parametrize(
    ("section", "field", "size"),
    [
        ("model_cfg", "embed_dim", 14),
        ("vision_cfg", "image_size", 24),
        ("vision_cfg", "patch_size", 8),
        ("vision_cfg", "width", 20),
        ("vision_cfg", "layers", 2),
        ("text_cfg", "context_length", 12),
        ("text_cfg", "vocab_size", 99),
        ("text_cfg", "width", 18),
        ("text_cfg", "layers", 1),
    ],
)
def test_a_description_of_another_size_is_named(section, field, size):
    tensors = rules.unfuse(torch_archive.read(GOLDEN / "openai.pt").tensors)
    model: dict[str, Any] = {"vision_cfg": {"head_width": 5}, "text_cfg": {"heads": 3}}
    stated = model if section == "model_cfg" else model[section]
    stated[field] = size
    open_clip_config.read(tensors, {"model_cfg": model}, "FILE")
    stated[field] = size + 1
    said = f"FILE: not the configuration .* {section}.{field}={size}, not {size + 1}: take both"
    with pytest.raises(ValueError, match=said):
        open_clip_config.read(tensors, {"model_cfg": model}, "FILE")


def test_a_text_tower_without_a_causal_mask():
    tensors = rules.unfuse(torch_archive.read(GOLDEN / "openai.pt").tensors)
    text = {"heads": 3, "no_causal_mask": True}
    document = {"model_cfg": {"vision_cfg": {"head_width": 5}, "text_cfg": text}}
    assert not open_clip_config.read(tensors, document, "FILE").towers.text.causal


@pytest.mark.parametrize(
    "said, wanted",
    [
        ({"size": {"shortest_edge": 24}, "resample": 3}, Pixels()),
        (
            {"size": {"height": 24, "width": 24}, "resample": 2, "image_mean": [0.5] * 3},
            Pixels(mean=(0.5,) * 3, resize="squash", interpolation="bilinear"),
        ),
        ({"image_std": [0.5] * 3}, Pixels(std=(0.5,) * 3)),
    ],
)
def test_what_a_processor_does_with_pictures_is_read(said, wanted):
    assert hugging_face_config.read_pixels(said, CLIP.pixels, "FILE") == wanted


def test_pictures_that_ours_can_not_resize_so_are_refused():
    with pytest.raises(ValueError, match="FILE: resample is 0, wanted 2"):
        hugging_face_config.read_pixels({"resample": 0}, CLIP.pixels, "FILE")
    with pytest.raises(ValueError, match="FILE: preprocess_cfg: resize 'longest'"):
        open_clip_config.pixels_of({"resize_mode": "longest"}, CLIP.pixels, "FILE")


@pytest.mark.parametrize("name, config", FAMILIES.items())
def test_a_family_is_known_by_its_tensors(name, config):
    tensors = rules.unfuse(timm_names.to_openai(golden(name)))
    if name == "siglip":
        tensors = rules.unfuse(openai_shapes(config))
    family, activation = architecture.family_of(tensors)
    found = architecture.from_openai(tensors, str(activation), name, family)
    several = dataclasses.replace(found.vision, heads=3), dataclasses.replace(found.text, heads=2)
    assert dataclasses.replace(found, vision=several[0], text=several[1]) == config


@pytest.mark.parametrize("name", ["siglip", "pe_core"])
def test_what_hugging_face_computes_is_described_and_what_not_is_refused(name):
    config = FAMILIES[name]
    if name == "pe_core":
        with pytest.raises(ValueError, match="neither Hugging Face's CLIPModel nor its Siglip"):
            hugging_face_config.write(config)
        return
    assert hugging_face_config.read(hugging_face_config.write(config), "FILE") == config
