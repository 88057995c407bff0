"""VideoPrism's published .npz: its names, and files that are something else."""

import dataclasses

import numpy as np
import pytest

from animclip_jax.models import parameters
from animclip_jax.models.presets import PRESETS
from animclip_jax.weights import positions, source, videoprism
from tests.weights import videoprism as theirs


def saved(tmp_path, arrays):
    return theirs.save(tmp_path / "a.npz", arrays)


@pytest.mark.parametrize("which", ["small", "b"])
def test_names_and_shapes_are_those_that_videoprism_itself_makes(which):
    assert videoprism.shapes(theirs.CONFIGS[which]) == theirs.table(which)


@pytest.mark.parametrize("name", ["videoprism_b", "videoprism_l"])
def test_presets_have_the_published_number_of_parameters(name):
    """In millions, and one parameter more: the temperature, which the file has not."""
    published = sum(np.prod(shape) for shape in videoprism.shapes(PRESETS[name]).values())
    assert round(published / 1e6) == {"videoprism_b": 248, "videoprism_l": 580}[name]
    ours = sum(np.prod(shape) for shape in parameters.shapes(PRESETS[name]).values())
    assert ours == published + 1


def test_what_is_read_has_every_parameter_in_its_shape(tmp_path):
    path = saved(tmp_path, theirs.drawn("small"))
    params, config = source.read(path)
    assert config == theirs.SMALL
    wanted = parameters.shapes(config)
    assert {name: value.shape for name, value in params.items()} == wanted
    assert {value.dtype for value in params.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.exp(params["log_logit_scale"]), 100, rtol=1e-6)


def test_scales_are_stored_less_one(tmp_path):
    arrays = theirs.drawn("small")
    params, _ = source.read(saved(tmp_path, arrays))
    name = "text_encoder/unimodal_ln/scale"
    np.testing.assert_array_equal(params["text/norm_final/scale"], 1 + arrays[name])


def test_keys_lie_before_values_and_kernels_out_of_heads_are_turned(tmp_path):
    arrays = theirs.drawn("small")
    params, _ = source.read(saved(tmp_path, arrays))
    there = "auxiliary_encoder/transformers_stack/x_layers/self_attention"
    here = "vision/auxiliary/blocks/layers/attention"
    both = params[f"{here}/key_value/kernel"]
    np.testing.assert_array_equal(both[:, :, 0], arrays[f"{there}/key/w"])
    np.testing.assert_array_equal(both[:, :, 1], arrays[f"{there}/value/w"])
    out = np.einsum("lhkd->ldhk", params[f"{here}/out/kernel"])
    np.testing.assert_array_equal(out, arrays[f"{there}/post/w"])


def test_halves_are_read(tmp_path):
    arrays = {name: value.astype(np.float16) for name, value in theirs.drawn("small").items()}
    params, _ = source.read(saved(tmp_path, arrays))
    assert {value.dtype for value in params.values()} == {np.dtype(np.float32)}


def test_arrays_that_do_not_fit_are_all_named(tmp_path):
    arrays = theirs.drawn("small")
    del arrays["text_encoder/cls_emb"]
    arrays["text_encoder/unimodal_ln/bias"] = np.zeros(3, np.float32)
    arrays["vision_encoder/more"] = np.zeros(3, np.float32)
    path = saved(tmp_path, arrays)
    with pytest.raises(ValueError) as error:
        source.read(path)
    for line in (
        f"{path}: these arrays don't fit a VideoPrism of this size",
        "missing: text_encoder/cls_emb",
        "wrong shape: text_encoder/unimodal_ln/bias",
        "not expected: vision_encoder/more",
    ):
        assert line in str(error.value)


def test_a_video_encoder_alone_is_named(tmp_path):
    """VideoPrism was published without captions, too, under names that begin later."""
    start = "vision_encoder/"
    arrays = {
        name.removeprefix(start): value
        for name, value in theirs.drawn("small").items()
        if name.startswith(start)
    }
    path = saved(tmp_path, arrays)
    with pytest.raises(ValueError, match="its video encoders alone read no captions"):
        source.read(path)


def test_an_activation_is_not_asked_for(tmp_path):
    with pytest.raises(ValueError, match="names the activation itself"):
        source.read(saved(tmp_path, theirs.drawn("small")), "gelu")


def test_positions_are_resized_for_other_pictures(tmp_path):
    params, config = source.read(saved(tmp_path, theirs.drawn("small")))
    resized, changed = positions.resize(params, config, 24)
    assert changed == dataclasses.replace(config, image_size=24)
    assert {name: value.shape for name, value in resized.items()} == parameters.shapes(changed)
