"""Arrays of an .npz: mapped where they are stored, unpacked one by one where compressed."""

import struct
import tracemalloc
import zipfile
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.lib import format as npy

from animclip_jax import files
from animclip_jax.weights import npz_file
from animclip_jax.weights.deferred import Deferred

ARRAYS: dict[str, Any] = {
    "by_rows": np.arange(12, dtype=np.float32).reshape(3, 4),
    "by_columns": np.asfortranarray(np.arange(12, dtype=np.float16).reshape(3, 4)),
    "one": np.array(7.5, np.float64),
    "none": np.zeros((0, 3), np.float32),
    "params/img/b": np.array([1.5, -2.25], ml_dtypes.bfloat16),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_array_is_what_was_saved(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    found = npz_file.read(tmp_path / "a.npz")
    assert set(found) == set(ARRAYS)
    for name, value in ARRAYS.items():
        assert (found[name].shape, found[name].dtype) == (value.shape, value.dtype)
        np.testing.assert_array_equal(np.asarray(found[name]), value)


def test_stored_arrays_are_views_of_the_file_and_compressed_ones_are_not_read_before_use(tmp_path):
    value = np.random.default_rng(0).standard_normal(1 << 18)
    np.savez(tmp_path / "a.npz", x=value)
    np.savez_compressed(tmp_path / "b.npz", x=value)
    tracemalloc.start()
    stored, packed = (npz_file.read(tmp_path / name)["x"] for name in ("a.npz", "b.npz"))
    assert tracemalloc.get_traced_memory()[0] < value.nbytes / 4
    tracemalloc.stop()
    assert isinstance(stored, np.ndarray) and not stored.flags.writeable
    assert isinstance(packed, Deferred)
    np.testing.assert_array_equal(stored, packed)


def test_a_header_of_the_second_version_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("x.npy", "w") as member:
        npy.write_array(member, ARRAYS["by_rows"], (2, 0))
    np.testing.assert_array_equal(npz_file.read(tmp_path / "a.npz")["x"], ARRAYS["by_rows"])


def test_a_compressed_array_that_is_damaged_is_named_when_it_is_used(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).standard_normal(1 << 12))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    array = npz_file.read(path)["x"]
    with pytest.raises(ValueError, match="a.npz: can't be read: "):
        np.asarray(array)


def test_a_stored_array_that_is_damaged_is_named_at_once(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.ones(1 << 12))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match="a.npz: can't be read: Bad CRC-32"):
        npz_file.read(path)


@pytest.mark.parametrize("shape", [(1 << 40,), (9,), (-4, -2)], ids=str)
def test_a_header_that_lies_about_the_shape_is_named(tmp_path, shape):
    header = str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode() + b"\n"
    lying = npy.magic(1, 0) + struct.pack("<H", len(header)) + header + bytes(32)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", lying)
    with pytest.raises(ValueError, match="a.npz: can't be read: "):
        npz_file.read(tmp_path / "a.npz")


def test_far_more_than_it_holds_is_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(10**6))
    monkeypatch.setattr(files, "MOST_UNPACKED", 0)
    with pytest.raises(ValueError, match=r"a.npz: can't be read: 8000\d+ bytes, unpacked"):
        npz_file.read(tmp_path / "a.npz")
