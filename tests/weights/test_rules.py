"""The table of rules: complete, bit-equal there and back; every key that doesn't fit is named."""

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from animclip_jax.models import parameters
from animclip_jax.models.presets import PRESETS
from animclip_jax.weights import rules, torch_archive
from animclip_jax.weights.rules import Layout
from tests.small_model import drawn
from tests.weights.reference import GOLDEN, GOLDEN_CLIP

Tensors = dict[str, np.ndarray]


@pytest.fixture
def theirs() -> Tensors:
    return safetensors.numpy.load_file(GOLDEN / "model.safetensors")


def read(tensors: Tensors, layout: Layout = Layout.HUGGING_FACE) -> Tensors:
    ours = rules.to_ours(tensors, GOLDEN_CLIP, layout, "FILE")
    return {name: np.asarray(value) for name, value in ours.items()}


@pytest.mark.parametrize("name", [name for name in PRESETS if "videoprism" not in name])
@pytest.mark.parametrize("layout", Layout)
def test_every_parameter_has_one_rule(name, layout):
    entries = list(rules.entries(PRESETS[name], layout))
    shapes = parameters.shapes(PRESETS[name])
    assert sorted(entry.ours for entry in entries) == sorted(shapes)
    keys = [key for entry in entries for keys in entry.keys for key in keys]
    assert len(keys) == len(set(keys))
    for entry in entries:
        count = len(entry.keys) * len(entry.keys[0])
        assert count * np.prod(entry.shape) == np.prod(shapes[entry.ours]), entry.ours


def test_ours_to_hugging_face_to_ours_is_bit_equal():
    params = drawn(GOLDEN_CLIP)
    again = read(rules.to_theirs(params, GOLDEN_CLIP, Layout.HUGGING_FACE))
    assert set(again) == set(params)
    for name, value in params.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_hugging_face_to_ours_to_hugging_face_is_bit_equal(theirs):
    again = rules.to_theirs(read(theirs), GOLDEN_CLIP, Layout.HUGGING_FACE)
    assert set(again) == set(theirs)
    for name, value in theirs.items():
        assert again[name].flags.c_contiguous and again[name].shape == value.shape
        np.testing.assert_array_equal(again[name], value.astype(np.float32), err_msg=name)


def test_openais_layout_holds_the_same(theirs):
    tensors = torch_archive.read(GOLDEN / "openai.pt").tensors
    found = read(rules.unfuse(tensors), Layout.OPENAI)
    wanted = read(theirs)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_bfloat16_is_read_as_float32(theirs):
    halves = {name: value.astype(ml_dtypes.bfloat16) for name, value in theirs.items()}
    found = read(halves)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    wanted = halves["visual_projection.weight"].T.astype(np.float32)
    np.testing.assert_array_equal(found["vision/projection/kernel"], wanted)


def test_buffers_of_old_files_are_no_weights(theirs):
    read(theirs | {"text_model.embeddings.position_ids": np.arange(12)[None]})


def test_all_keys_that_do_not_fit_are_named_together(theirs):
    theirs["vision_model.encoder.layers.1.mlp.fc9.bias"] = theirs.pop(
        "vision_model.encoder.layers.1.mlp.fc1.bias"
    )
    theirs.pop("text_model.final_layer_norm.weight")
    theirs["extra"] = np.zeros(2, np.float32)
    name = "text_model.encoder.layers.0.self_attn.k_proj.weight"
    theirs[name] = theirs[name][:-1]
    theirs["logit_scale"] = np.array(3)
    with pytest.raises(ValueError) as error:
        read(theirs)
    assert str(error.value).splitlines() == [
        "FILE: 6 tensors don't fit a CLIP of this architecture:",
        "  missing: vision_model.encoder.layers.1.mlp.fc1.bias (36,)",
        "  missing: text_model.final_layer_norm.weight (18,)",
        "  not expected: extra (2,)",
        "  not expected: vision_model.encoder.layers.1.mlp.fc9.bias (36,)",
        "  wrong shape: text_model.encoder.layers.0.self_attn.k_proj.weight is (17, 18), wanted "
        "(18, 18)",
        "  wrong dtype: logit_scale is int64, wanted a float",
    ]


def test_a_transposed_tensor_does_not_slip_through(theirs):
    theirs["visual_projection.weight"] = theirs["visual_projection.weight"].T
    with pytest.raises(ValueError, match=r"visual_projection.weight is \(20, 14\)"):
        read(theirs)


def test_a_fused_tensor_of_another_size_is_named():
    tensors = dict(torch_archive.read(GOLDEN / "openai.pt").tensors)
    name = "transformer.resblocks.0.attn.in_proj_weight"
    tensors[name] = tensors[name][:-1]
    with pytest.raises(ValueError) as error:
        read(rules.unfuse(tensors), Layout.OPENAI)
    assert f"missing: {name}[q] (18, 18)" in str(error.value)
    assert f"not expected: {name} (53, 18)" in str(error.value)
