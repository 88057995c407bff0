"""Safetensors files: every dtype, as the package `safetensors` has it, and no copy in memory."""

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from animclip_jax.weights import safetensors_file

VALUES = np.arange(-3, 3).reshape(2, 3)
DTYPES = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.int32, np.uint8)
TENSORS = {f"a.{i}": VALUES.astype(dtype) for i, dtype in enumerate((*DTYPES, np.bool_))}
TENSORS |= {"scalar": np.array(2.5, np.float32), "none": np.zeros((0, 3), np.float32)}
TENSORS |= {"turned": VALUES.astype(np.float32).T}


def assert_same(found: dict[str, np.ndarray]) -> None:
    assert set(found) == set(TENSORS)
    for name, value in TENSORS.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_reads_what_the_package_writes_as_views_of_the_file(tmp_path):
    whole = {name: np.ascontiguousarray(value) for name, value in TENSORS.items()}
    whole["scalar"] = TENSORS["scalar"]
    safetensors.numpy.save_file(whole, tmp_path / "a.safetensors")
    found = safetensors_file.read(tmp_path / "a.safetensors")
    assert_same(found)
    assert not any(value.flags.owndata or value.flags.writeable for value in found.values())


def test_the_package_reads_what_it_writes(tmp_path):
    safetensors_file.write(tmp_path / "a.safetensors", TENSORS)
    assert_same(safetensors.numpy.load_file(tmp_path / "a.safetensors"))
    assert_same(safetensors_file.read(tmp_path / "a.safetensors"))
    with safetensors.safe_open(tmp_path / "a.safetensors", framework="np") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_file_that_was_cut_off_or_is_another_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_file.write(path, TENSORS)
    for damaged in (path.read_bytes()[:-1], b"not this", b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="a.safetensors: not a safetensors file"):
            safetensors_file.read(path)
    with pytest.raises(FileNotFoundError, match="b.safetensors: no such file"):
        safetensors_file.read(tmp_path / "b.safetensors")
