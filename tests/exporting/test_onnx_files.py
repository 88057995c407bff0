"""ONNX: the dual encoders for any batch, computed by onnxruntime; what is missing is told."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animclip_jax import export
from animclip_jax.exporting import example, onnx_files, stablehlo
from animclip_jax.weights import manifest
from tests.exporting.models import CLIP, WHOLE, source

# jax2onnx 0.17.1 asks flax for values in a way that flax deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:'.value' access is now:DeprecationWarning")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("jax2onnx", "onnxruntime"):
        pytest.importorskip(package, reason="pip install '.[onnx]' in an environment of its own")
    out = tmp_path_factory.mktemp("onnx") / "out"
    export.export(source(CLIP), out, "onnx")
    return out


def test_any_batch_gives_what_the_model_does(written: Path, tmp_path: Path) -> None:
    export.export(source(CLIP), tmp_path / "out", "stablehlo")
    ours, given = stablehlo.load(tmp_path / "out"), example.inputs(WHOLE, 3)
    loaded = onnx_files.load(written)
    assert set(loaded) == {"encode_text", "encode_video"}
    for name, function in loaded.items():
        for rows in ([0], [2, 0, 1, 1, 0]):
            some = {key: value[rows] for key, value in given.items()}
            found, wanted = function(some), ours[name](some)
            assert found.keys() == wanted.keys()
            for key, value in found.items():
                np.testing.assert_allclose(value, wanted[key], rtol=0, atol=1e-6)


def test_the_manifest_says_which_sizes_are_taken(written: Path) -> None:
    found = manifest.check(written, "onnx")
    tokens = found["functions"]["encode_text"]["inputs"]["tokens"]
    assert tokens == {"dtype": "int32", "shape": ["batch", 12], "range": [0, 99]}
    assert found["packages"]["jax2onnx"] and found["packages"]["onnxruntime"]
    for path in written.iterdir():
        assert str(Path(export.__file__).parents[1]).encode() not in path.read_bytes(), path


def test_captions_that_are_cut_are_an_error(written: Path) -> None:
    with pytest.raises(ValueError, match=r"tokens have shape \[1, 7\], wanted \[captions, 12\]"):
        onnx_files.load(written)["encode_text"]({"tokens": np.ones((1, 7), np.int32)})


def test_what_does_not_compute_the_same_is_no_export(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = onnx_files.make

    def other(*given: Any, **named: Any) -> dict:
        def changed(call):
            return lambda params, given: call(
                {key: value * np.float32(1.001) for key, value in params.items()}, given
            )

        made = make(*given, **named)
        return {name: one._replace(call=changed(one.call)) for name, one in made.items()}

    monkeypatch.setattr(onnx_files, "make", other)
    with pytest.raises(ValueError, match="encode_text is not the live model's: text_embedding"):
        export.export(source(CLIP), tmp_path / "out", "onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["jax2onnx", "onnxruntime"])
def test_what_is_missing_is_told_and_nothing_stays(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    wanted = r"--format=onnx needs .*in a new environment, in a clone .*: pip install '\.\[onnx]'$"
    with pytest.raises(ValueError, match=wanted):
        export.export(source(CLIP), tmp_path / "out", "onnx")
    assert list(tmp_path.iterdir()) == []
