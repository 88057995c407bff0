"""Which layout a file or folder is in, and what is asked of a person where it doesn't say."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from animclip_jax.weights import folder, source, torch_archive
from tests.weights.reference import GOLDEN, GOLDEN_CLIP
from tests.weights.test_rules import drawn


@pytest.fixture
def hugging_face(tmp_path: Path) -> Path:
    """A folder as `CLIPModel.save_pretrained` writes it."""
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/config.json").write_bytes((GOLDEN / "one_head.json").read_bytes())
    tensors = (GOLDEN / "model.safetensors").read_bytes()
    (tmp_path / "hf/model.safetensors").write_bytes(tensors)
    return tmp_path / "hf"


@pytest.fixture
def open_clip(tmp_path: Path) -> Path:
    """A folder as open_clip publishes them."""
    tensors = torch_archive.read(GOLDEN / "openai.pt").tensors
    weights = {name: value for name, value in tensors.items() if value.dtype != np.int64}
    (tmp_path / "oc").mkdir()
    safetensors.numpy.save_file(weights, tmp_path / "oc/open_clip_model.safetensors")
    document = {"model_cfg": {"embed_dim": 14, "vision_cfg": {}, "text_cfg": {"heads": 1}}}
    (tmp_path / "oc/open_clip_config.json").write_text(json.dumps(document))
    return tmp_path / "oc"


def assert_golden(found: dict[str, np.ndarray]) -> None:
    wanted = source.read(GOLDEN / "openai.pt")[0]
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_folder_and_a_file_of_hugging_face(hugging_face):
    for path in (hugging_face, hugging_face / "model.safetensors"):
        params, config = source.read(path)
        assert config == GOLDEN_CLIP
        assert_golden(params)


def test_an_archive_of_openais(tmp_path):
    params, config = source.read(GOLDEN / "openai.pt")
    assert config == GOLDEN_CLIP and config.activation == "quick_gelu"
    with pytest.raises(ValueError, match="--activation=gelu: .*openai.pt says it itself"):
        source.read(GOLDEN / "openai.pt", "gelu")


def test_a_folder_and_a_file_of_open_clip(open_clip):
    for path in (open_clip, open_clip / "open_clip_model.safetensors"):
        params, config = source.read(path)
        assert config == dataclasses.replace(GOLDEN_CLIP, activation="gelu")
        assert_golden(params)


def test_tensors_alone_do_not_say_the_activation(open_clip):
    (open_clip / "open_clip_config.json").unlink()
    path = open_clip / "open_clip_model.safetensors"
    with pytest.raises(ValueError, match="does not say which activation.* give --activation"):
        source.read(path)
    assert source.read(path, "gelu")[1].activation == "gelu"
    assert source.read(path, "quick_gelu")[1] == GOLDEN_CLIP


def test_our_own_folder(tmp_path):
    folder.save(tmp_path / "clip", drawn(), GOLDEN_CLIP)
    params, config = source.read(tmp_path / "clip")
    assert config == GOLDEN_CLIP
    np.testing.assert_array_equal(params["log_logit_scale"], drawn()["log_logit_scale"])
    with pytest.raises(ValueError, match="leave it out"):
        source.read(tmp_path / "clip", "gelu")


def test_other_pixel_statistics_are_refused(hugging_face, open_clip):
    other = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (hugging_face / "preprocessor_config.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="preprocessor_config.json: pixels are normalised"):
        source.read(hugging_face)
    path = open_clip / "open_clip_config.json"
    pixels = {"preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    path.write_text(json.dumps(json.loads(path.read_text()) | pixels))
    with pytest.raises(ValueError, match="open_clip_config.json: pixels are normalised"):
        source.read(open_clip)


def test_what_is_neither_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no: no such file or folder"):
        source.read(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="neither config.json with model.safetensors nor"):
        source.read(tmp_path)
    (tmp_path / "a.npz").touch()
    with pytest.raises(ValueError, match="can't read '.npz', wanted .safetensors or .pt"):
        source.read(tmp_path / "a.npz")
