"""StableHLO: one artifact for any batch size and three kinds of device; what is broken is named."""

import shutil
from pathlib import Path

import jax
import jax.export
import numpy as np
import pytest

from animclip_jax import export
from animclip_jax.exporting import example, functions, stablehlo
from animclip_jax.weights import folder, manifest
from tests.exporting.models import WHOLE, bfloat16, source


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("stablehlo") / "out"
    export.export(source(), out, "stablehlo")
    return out


def test_other_batch_sizes_and_lengths_give_the_same(written):
    """Batches of 1 and 5; captions that are padded, and cut to what they need."""
    loaded, given = stablehlo.load(written), example.inputs(WHOLE, 2)
    given["tokens"] = np.array([[98, 5, 6, 7, 99, *[0] * 7], [98, 8, 9, 99, *[0] * 8]], np.int32)
    given |= loaded["encode_text"](given) | loaded["video_code"](given)
    wanted = given | loaded["rerank"](given)
    for rows, length in (([0], 12), ([1, 0, 0, 1, 1], 12), ([1, 0, 1], 5)):
        found = {"frames": given["frames"][rows], "tokens": given["tokens"][rows, :length]}
        found |= loaded["encode_text"](found) | loaded["video_code"](found)
        found |= loaded["rerank"](found)
        for name in ("video_embedding", "text_embedding", "scores"):
            np.testing.assert_allclose(
                found[name], wanted[name][rows], rtol=1e-4, atol=1e-5, err_msg=name
            )


def test_captions_beyond_the_context_are_refused(written):
    with pytest.raises(ValueError, match=r"tokens have shape \[1, 13\], wanted .* at most 12"):
        stablehlo.load(written)["encode_text"]({"tokens": np.ones((1, 13), np.int32)})


def test_a_jax_that_is_too_old_is_told_at_once(written, monkeypatch):
    oldest = manifest.check(written, "stablehlo")["oldest_reader"]["jax"]
    assert oldest == ("0.10.2" if jax.__version_info__ < (0, 11) else "0.11.2")
    monkeypatch.setattr(jax, "__version_info__", (0, 9, 1))
    with pytest.raises(ValueError, match=f"need JAX {oldest} or later, .*export the model again"):
        stablehlo.load(written)


def test_programs_are_for_three_platforms_and_hold_no_parameters(written):
    programs = list(written.glob("*.jax_export"))
    assert {path.stem for path in programs} == set(functions.make(WHOLE, 3))
    for path in programs:
        program = jax.export.deserialize(bytearray(path.read_bytes()))
        assert program.platforms == ("cpu", "cuda", "tpu")
        assert program.out_avals[0].shape[0] is not None and not program.disabled_safety_checks
        taken = {str(key) for key in jax.tree.unflatten(program.in_tree, program.in_avals)[0][0]}
        assert taken == set(source().params)
        assert len(path.read_bytes()) < 120_000


def test_export_is_the_same_twice(written, tmp_path):
    (tmp_path / "again").mkdir()
    stablehlo.write(tmp_path / "again", source())
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (written / path.name).read_bytes(), path.name


def test_a_model_of_bfloat16(tmp_path):
    export.export(source(bfloat16()), tmp_path / "out", "stablehlo")
    found = stablehlo.load(tmp_path / "out")["video_code"](example.inputs(WHOLE, 2))
    assert found["video_code"].dtype == "bfloat16" and "video_code_scales" not in found


def test_what_is_broken_is_named(written, tmp_path):
    for name in ("rerank.jax_export", folder.TENSORS, folder.CONFIG):
        bad = shutil.copytree(written, tmp_path / f"bad-{name}")
        raw = bytearray((bad / name).read_bytes())
        raw[-3] ^= 4
        (bad / name).write_bytes(raw)
        with pytest.raises(ValueError, match=f"{name}: changed since it was written"):
            stablehlo.load(bad)
        (bad / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
            stablehlo.load(bad)
    export.export(source(), tmp_path / "other", "safetensors")
    with pytest.raises(ValueError, match="kind 'safetensors' version 1, wanted 'stablehlo' 1"):
        stablehlo.load(tmp_path / "other")
