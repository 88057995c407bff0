"""Our folder: what is written is read again, whole or not at all."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from animclip_jax.models.towers import CLIP
from animclip_jax.weights import folder, safetensors_file, source
from tests.small_model import TEMPORAL, WHOLE, drawn
from tests.weights.reference import GOLDEN_CLIP


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder.save(tmp_path / "clip", drawn(GOLDEN_CLIP), GOLDEN_CLIP)
    return tmp_path / "clip"


def test_what_is_saved_is_loaded(saved):
    params, config = folder.load(saved)
    assert config == GOLDEN_CLIP and set(params) == set(drawn(GOLDEN_CLIP))
    for name, value in drawn(GOLDEN_CLIP).items():
        np.testing.assert_array_equal(params[name], value)
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    assert [path.name for path in saved.parent.iterdir()] == ["clip"], "nothing beside it"


def test_a_whole_model_is_loaded_and_its_dual_encoders_alone(tmp_path):
    folder.save(tmp_path / "whole", drawn(WHOLE), WHOLE)
    params, config = folder.load(tmp_path / "whole")
    assert config == WHOLE and set(params) == set(drawn(WHOLE))
    for name, value in drawn(WHOLE).items():
        np.testing.assert_array_equal(params[name], value)
    for clip, described in (folder.load_clip(tmp_path / "whole"), source.read(tmp_path / "whole")):
        assert described == WHOLE.clip and set(clip) == set(drawn(WHOLE.clip))
        for name, value in clip.items():
            np.testing.assert_array_equal(value, params[f"clip/{name}"])


def test_a_folder_of_an_older_version_is_read(tmp_path):
    """It names no family and no eye for motion; the bias of the logits was the whole model's."""
    clip = dataclasses.replace(TEMPORAL.clip, towers=dataclasses.replace(CLIP, logit_bias=True))
    config = dataclasses.replace(TEMPORAL, clip=clip)
    params = drawn(config)
    older = dict(params)
    older["logit_bias"] = older.pop("clip/logit_bias")
    folder.save(tmp_path / "old", older, config)
    document = json.loads((tmp_path / "old/config.json").read_text())
    del document["clip"]["towers"], document["motion"]
    document |= {"version": 1, "logit_bias": True}
    (tmp_path / "old/config.json").write_text(json.dumps(document))
    found, described = folder.load(tmp_path / "old")
    assert described == config and found.keys() == params.keys()
    np.testing.assert_array_equal(found["clip/logit_bias"], params["clip/logit_bias"])


def test_a_clip_of_the_sigmoid_loss_goes_to_hugging_face_without_its_bias(tmp_path):
    towers = dataclasses.replace(CLIP, logit_bias=True)
    config = dataclasses.replace(GOLDEN_CLIP, towers=towers)
    params = drawn(config)
    folder.write_hugging_face(tmp_path, params, config)
    found, described = source.read(tmp_path)
    assert described == GOLDEN_CLIP and found.keys() == params.keys() - {"logit_bias"}
    np.testing.assert_array_equal(found["log_logit_scale"], params["log_logit_scale"])


def test_a_whole_model_that_does_not_fit_is_named(tmp_path):
    params = drawn(TEMPORAL)
    del params["reranker/head_out/bias"]
    folder.save(tmp_path / "whole", params, TEMPORAL)
    with pytest.raises(ValueError, match="missing: reranker/head_out/bias"):
        folder.load(tmp_path / "whole")
    document = json.loads((tmp_path / "whole/config.json").read_text())
    for change, message in (
        ({"temporal": {"depth": 1}}, "not the fields of a model: .*depth"),
        ({"extra": 1}, "not the fields of a model: .*extra"),
        ({"reranker": document["reranker"] | {"tokens": "none"}}, "config.json: reranker.tokens"),
        (
            {"reranker": document["reranker"] | {"heads": 0}},
            "config.json: reranker.heads 0: wanted",
        ),
        ({"motion": {"features": -8}}, "config.json: motion.features -8: wanted"),
        ({"temporal": {"layers": -1}}, "config.json: temporal.layers -1: wanted"),
        ({"temporal": {"layers": 2, "heads": 0}}, "config.json: temporal.heads 0: wanted"),
        ({"temporal": {"layers": 2, "heads": 3}}, "config.json: temporal.heads 3: wanted"),
        ({"num_frames": "3"}, "config.json: num_frames '3': wanted a whole number"),
    ):
        (tmp_path / "whole/config.json").write_text(json.dumps(document | change))
        with pytest.raises(ValueError, match=message):
            folder.load(tmp_path / "whole")


def test_everyone_who_may_read_the_folder_may_read_the_tensors(saved):
    modes = {path.stat().st_mode & 0o777 for path in saved.iterdir()}
    assert len(modes) == 1


def test_a_folder_that_is_there_is_not_written_over(saved):
    before = (saved / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="clip: there already"):
        folder.save(saved, drawn(GOLDEN_CLIP), GOLDEN_CLIP)
    assert (saved / "model.safetensors").read_bytes() == before
    folder.save(saved.parent / "no" / "clip", drawn(GOLDEN_CLIP), GOLDEN_CLIP)
    assert (saved.parent / "no" / "clip" / "config.json").is_file()


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(path, tensors):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(safetensors_file, "write", fail)
    with pytest.raises(OSError, match="no space left"):
        folder.save(tmp_path / "clip", drawn(GOLDEN_CLIP), GOLDEN_CLIP)
    assert list(tmp_path.iterdir()) == []


def test_tensors_that_do_not_fit_are_named_together(saved):
    params = drawn(GOLDEN_CLIP)
    params["extra"] = params.pop("text/norm_final/bias")
    params["log_logit_scale"] = np.zeros(2, np.float32)
    safetensors.numpy.save_file(params, saved / "model.safetensors")
    with pytest.raises(ValueError) as error:
        folder.load(saved)
    assert str(error.value).splitlines()[1:] == [
        "  missing: text/norm_final/bias (18,)",
        "  not expected: extra (18,)",
        "  wrong shape: log_logit_scale is (2,), wanted ()",
    ]


def test_other_files_are_refused(saved):
    (saved / "model.safetensors").write_bytes(b"not this")
    with pytest.raises(ValueError, match="model.safetensors: not a safetensors file"):
        folder.load(saved)
    document = json.loads((saved / "config.json").read_text())
    for change, message in (
        ({"version": 3}, "version 3, wanted 'animclip' 2"),
        ({"clip": document["clip"] | {"depth": 3}}, "not the fields of a model: .*depth"),
        ({"clip": {}}, "not the fields of a model"),
    ):
        (saved / "config.json").write_text(json.dumps(document | change))
        with pytest.raises(ValueError, match=message):
            folder.load(saved)
    (saved / "config.json").write_text("[")
    with pytest.raises(ValueError, match="config.json: not JSON"):
        folder.load(saved)
    (saved / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json: no such file"):
        folder.load(saved)
