"""A model's folder is read again: bit by bit, or refused with the file's name."""

import functools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy

from animclip_jax import api, export
from animclip_jax.exporting import example, functions
from animclip_jax.exporting import source as sources
from animclip_jax.harness import mteb
from animclip_jax.models import parameters
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.weights import folder, manifest
from input_pipeline.media import video
from input_pipeline.media.picture import fit
from tests.exporting.models import CLIP, WHOLE, source


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "whole"
    export.export(source(), out, "safetensors")
    return out


def test_a_whole_model_comes_back(whole):
    found = api.load(whole)
    assert found.reranks and found.config == WHOLE
    assert found.manifest["origin"] == {"steps": 7}
    for name, value in source().params.items():
        held = found.encoder.params
        for part in name.split("/"):
            held = held[part]
        np.testing.assert_array_equal(held, value)


def test_its_example_is_what_it_computes(whole):
    arrays = safetensors.numpy.load_file(whole / example.FILE)
    loaded = api.load(whole)
    for name, function in functions.of_encoder(loaded.encoder, loaded.reranks).items():
        for output, value in function(arrays).items():
            np.testing.assert_array_equal(value, arrays[output], err_msg=f"{name} {output}")


def test_the_same_weights_have_the_same_fingerprint(whole, tmp_path):
    export.export(source()._replace(origin={"steps": 8}), tmp_path / "again", "safetensors")
    export.export(source(seed=1), tmp_path / "other", "safetensors")
    prints = [api.load(at).fingerprint for at in (whole, tmp_path / "again")]
    assert prints[0] == prints[1]
    assert api.load(tmp_path / "other").fingerprint != prints[0]


def test_converted_weights_search_coarsely(tmp_path):
    given = source(CLIP)._replace(num_frames=api.CONVERTED_FRAMES)
    folder.save(tmp_path / "clip", given.params, CLIP)
    found = api.load(tmp_path / "clip")
    assert not found.reranks and found.config.num_frames == api.CONVERTED_FRAMES
    assert found.config.clip == CLIP
    arrays = example.inputs(found.config, 2)
    text = found.encoder.encode_text(arrays["tokens"])
    video = found.encoder.encode_video(arrays["frames"], 2)
    coarse = found.encoder.logit_scale * np.sum(text.embedding * video.embedding, axis=1)
    assert np.ptp(coarse) > 0
    fused = found.encoder.fused_scores(text, video, None, None)
    np.testing.assert_allclose(fused, coarse, rtol=1e-5)
    assert api.load(tmp_path / "clip").fingerprint == found.fingerprint
    export.export(given, tmp_path / "again", "safetensors")
    assert api.load(tmp_path / "again").fingerprint == found.fingerprint


def test_the_vision_tower_is_put_onto_the_devices_when_a_video_is_encoded(whole):
    encoder = api.load(whole).encoder
    towers = encoder.params["clip"]
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(towers["vision"]))
    frames = np.zeros((1, WHOLE.num_frames, *[WHOLE.clip.image_size] * 2, 3), np.uint8)
    encoder.encode_video(frames, 1)
    placed = encoder._video_params["clip"]["vision"]
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(placed))


def test_a_larger_model_sees_larger_frames_of_a_file(tmp_path):
    """Frames of 256 pixels would be enlarged to its size again."""
    noise = np.random.default_rng(0).integers(0, 255, (2, 320, 400, 3), np.uint8)
    video.write_video(tmp_path / "a.mp4", noise, 2)
    clip = SimpleNamespace(image_size=300, fitted=(300, "shortest", "bicubic", True))
    model: Any = SimpleNamespace(config=SimpleNamespace(num_frames=2, clip=clip))
    wanted = [fit(frame, 300) for frame in video.read_frames(tmp_path / "a.mp4", 2, 300)]
    np.testing.assert_array_equal(api.Model._frames(model, tmp_path / "a.mp4"), wanted)
    row = {"path": str(tmp_path / "a.mp4"), "bytes": None}
    assert mteb._frames(row, model.config).shape == (2, 300, 375, 3)


def test_layers_that_are_kept_apart_encode_what_stacked_ones_do(whole):
    params, config = folder.load(whole)[0], WHOLE
    apart = api.make_encoder(params, config)
    on_device = jax.device_put(apart.params, apart.whole)
    stacked = Encoder(apart.split, parameters.graph_definition(config), on_device)
    assert apart._text_layers is not None and stacked._text_layers is None
    tokens = example.inputs(config, 2)["tokens"]
    found, wanted = apart.encode_text(tokens), stacked.encode_text(tokens)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), found, wanted)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "example.safetensors"])
def test_a_flipped_byte_and_a_missing_file_are_named(whole, tmp_path, name):
    bad = shutil.copytree(whole, tmp_path / "bad")
    raw = bytearray((bad / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (bad / name).write_bytes(raw)
    with pytest.raises(ValueError, match=f"{name}: changed since it was written"):
        api.load(bad)
    (bad / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
        api.load(bad)


def test_a_whole_model_without_its_manifest_is_refused(whole, tmp_path):
    bad = shutil.copytree(whole, tmp_path / "bad")
    (bad / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match="manifest.json: no such file"):
        api.load(bad)


def test_a_manifest_that_lists_too_little_is_named(whole, tmp_path):
    """As another program may write one: ours lists every file, and what the model was made of."""
    bad, kept = shutil.copytree(whole, tmp_path / "bad"), tmp_path / "kept"
    (bad / "model.safetensors").rename(kept)
    (bad / "manifest.json").unlink()
    manifest.write(bad, "safetensors", {})
    shutil.copy(kept, bad / "model.safetensors")
    with pytest.raises(ValueError, match="manifest.json: lists no model.safetensors among its"):
        api.load(bad)
    (bad / "manifest.json").unlink()
    manifest.write(bad, "safetensors", {})
    assert not api.load(bad).drawn_only
    assert sources.read(bad).origin == {}


def test_another_version_is_refused(whole, tmp_path):
    bad = shutil.copytree(whole, tmp_path / "bad")
    document = json.loads((bad / "manifest.json").read_text())
    (bad / "manifest.json").write_text(json.dumps(document | {"version": 99}))
    with pytest.raises(ValueError, match="manifest.json: .*version 99, wanted 'safetensors' 1"):
        api.load(bad)
