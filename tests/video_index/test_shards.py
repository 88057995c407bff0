"""Shards: what is written is read back, in every dtype of the codes."""

import errno
import io
import os
import resource
import sqlite3
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from animclip_jax.models.reranker import CODE_DTYPES
from animclip_jax.video_index import shards
from tests.random_rows import rows


@pytest.mark.parametrize("dtype", [*CODE_DTYPES, None])
def test_parts_are_read_back_as_one(tmp_path, dtype):
    parts = rows(3, 0, dtype), rows(1, 1, dtype), rows(4, 2, dtype)
    shards.write(tmp_path, "00000007", 8, iter(parts))
    found = shards.read(tmp_path, "00000007", dtype)
    assert list(found.thumbnails) == [one for part in parts for one in part.thumbnails]
    for name in ("embedding", "times"):
        wanted = np.concatenate([getattr(part, name) for part in parts])
        assert isinstance(getattr(found, name), np.memmap)
        np.testing.assert_array_equal(getattr(found, name), wanted)
    taken = found.take(np.array([6, 0]))
    assert taken.thumbnails == [parts[2].thumbnails[2], parts[0].thumbnails[0]]
    np.testing.assert_array_equal(taken.embedding[0], parts[2].embedding[2])
    if dtype is None:
        assert found.code is None and taken.code is None
        return
    third = parts[2].code
    assert taken.code is not None and third is not None
    assert taken.code.values.dtype == jnp.dtype(dtype)
    assert (taken.code.scales is None) == (dtype != "int8")
    np.testing.assert_array_equal(taken.code.values[0], third.values[2])
    first = parts[0].code
    if first is not None and first.scales is not None and taken.code.scales is not None:
        np.testing.assert_array_equal(taken.code.scales[1], first.scales[0])


def test_numbers_whose_sum_is_not_finite_are_finite(tmp_path):
    large = rows(3, 0, None)._replace(embedding=np.full((3, 4), np.finfo(np.float32).max))
    shards.require_finite(tmp_path, "00000007", large)
    for bad in (np.inf, -np.inf, np.nan):
        large.embedding[1, 2] = bad
        with pytest.raises(ValueError, match="embedding.npy: holds numbers that are not finite"):
            shards.require_finite(tmp_path, "00000007", large)


def test_names_rise(tmp_path):
    assert shards.next_name(tmp_path) == "00000000"
    for number in range(3):
        shards.write(tmp_path, shards.next_name(tmp_path), 2, [rows(2, number, None)])
    assert shards.next_name(tmp_path) == "00000003"
    shards.remove_unused(tmp_path, None)
    assert not list((tmp_path / shards.SHARDS).iterdir())


def test_more_shards_are_open_than_the_usual_limit_of_files_allows(tmp_path):
    """Each mapped file is open; a run of hours leaves hundreds of shards, and 1,024 is usual."""
    names = [f"{number:08d}" for number in range(30)]
    for name in names:
        shards.write(tmp_path, name, 1, [rows(1, 0, None)])
    catalogue: Any = SimpleNamespace(shards=names, videos={}, reranks=False, code_dtype="int8")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 20, hard))
        assert len(shards.read_all(tmp_path, catalogue)) == 30
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_fault_of_the_machine_is_no_damage(tmp_path, monkeypatch, number):
    """The advice of damage, to remove the index, would cost hours."""
    shards.write(tmp_path, "00000000", 1, [rows(1, 0, None)])

    def failing(*_, **__):
        raise OSError(number, os.strerror(number))

    for reads in ("load", "memmap"):
        with monkeypatch.context() as patched:
            patched.setattr(f"animclip_jax.video_index.shards.np.{reads}", failing)
            with pytest.raises(OSError) as raised:
                shards.read(tmp_path, "00000000", None)
        assert raised.value.errno == number and "shards/00000000/" in raised.value.filename
        assert "remove" not in str(raised.value)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR | 1 << 8, sqlite3.SQLITE_CANTOPEN])
def test_a_fault_of_the_machine_that_sqlite_meets_is_no_damage(tmp_path, monkeypatch, code):
    shards.write(tmp_path, "00000000", 1, [rows(1, 0, None)._replace(said=["a word"])])
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code

    def failing(*_, **__):
        raise error

    monkeypatch.setattr("animclip_jax.video_index.spoken._empty", lambda: io.BytesIO())
    monkeypatch.setattr("animclip_jax.video_index.spoken.sqlite3.connect", failing)
    with pytest.raises(OSError, match="said.sqlite: disk I/O error$"):
        shards.read(tmp_path, "00000000", None)


def test_what_is_no_shard_is_left_alone(tmp_path):
    shards.write(tmp_path, "00000003", 1, [rows(1, 0, None)])
    strangers = [tmp_path / "shards" / name for name in (".DS_Store", "Thumbs.db", "@eaDir/a")]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("a file manager's")
    assert shards.next_name(tmp_path) == "00000004"
    shards.remove_unused(tmp_path, None)
    assert all(path.is_file() for path in strangers)
    assert not (tmp_path / "shards" / "00000003").exists()


def test_a_shard_that_can_not_be_removed_now_keeps_its_name(tmp_path, monkeypatch):
    """A network drive keeps a file that a server has mapped, under another name."""
    for name in ("00000003", "00000004"):
        shards.write(tmp_path, name, 1, [rows(1, 0, None)])
    kept = tmp_path / "shards" / "00000004" / ".nfs0001"
    kept.touch()
    remove = os.unlink

    def busy(path, **given):
        if os.fspath(path) == kept.name:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        remove(path, **given)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", busy)
        shards.remove_unused(tmp_path, None)
    assert [*(tmp_path / "shards").rglob("*")] == [kept.parent, kept]
    assert shards.next_name(tmp_path) == "00000005"
    shards.remove_unused(tmp_path, None)
    assert not kept.parent.exists() and shards.next_name(tmp_path) == "00000000"
