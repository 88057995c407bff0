"""SavedModel: any batch size where the packages can, one where they can't, and refusals."""

import sys

import pytest

from animclip_jax import export
from animclip_jax.exporting import example, saved_model
from tests.exporting.models import ANY_BATCH, WHOLE, source


@pytest.mark.slow
@pytest.mark.skipif(not ANY_BATCH, reason="TensorFlow 2.21 can't read it from this JAX")
def test_any_batch_size_and_length(tmp_path):
    export.export(source(), tmp_path / "out", "savedmodel")
    loaded = saved_model.load(tmp_path / "out")
    given = example.inputs(WHOLE, 3)
    given["tokens"] = given["tokens"][:, :7]
    given |= loaded["encode_text"](given) | loaded["video_code"](given)
    assert given["text_hidden"].shape == (3, 7, 32)
    assert loaded["rerank"](given)["scores"].shape == (3,)


@pytest.mark.skipif(ANY_BATCH, reason="TensorFlow can read it from this JAX")
def test_what_tensorflow_can_not_read_is_no_export(tmp_path):
    with pytest.raises(ValueError, match="can't run what JAX .*--batch-size=8: "):
        export.export(source(), tmp_path / "out", "savedmodel")
    assert list(tmp_path.iterdir()) == []


def test_one_batch_size(tmp_path):
    export.export(source(), tmp_path / "out", "savedmodel", batch_size=3)
    loaded = saved_model.load(tmp_path / "out")
    given = example.inputs(WHOLE, 4)
    three = {name: value[:3] for name, value in given.items()}
    assert loaded["encode_text"](three)["text_embedding"].shape == (3, 16)
    with pytest.raises(Exception, match="(?i)shape|signature"):
        loaded["encode_text"](given)


@pytest.mark.parametrize("module", ["tensorflow", "jax.experimental.jax2tf"])
def test_what_is_lacking_is_said_and_nothing_stays(module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    # It has imported TensorFlow already, and would hand it on.
    monkeypatch.delitem(sys.modules, "input_pipeline.tensorflow_on_cpu", raising=False)
    if "." in module:
        monkeypatch.delattr("jax.experimental.jax2tf", raising=False)
    with pytest.raises(ValueError, match="needs TensorFlow, and a JAX that has jax2tf .this is"):
        export.export(source(), tmp_path / "out", "savedmodel")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_is_broken_is_named(tmp_path):
    export.export(source(), tmp_path / "out", "savedmodel", batch_size=2)
    path = tmp_path / "out" / "variables" / "variables.data-00000-of-00001"
    raw = bytearray(path.read_bytes())
    raw[99] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="variables.data.*: changed since it was written"):
        saved_model.load(tmp_path / "out")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="variables.data.*: no such file"):
        saved_model.load(tmp_path / "out")
