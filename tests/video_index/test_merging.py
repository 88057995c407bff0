"""An index that is made in parts is the one that is made at once."""

import dataclasses
import errno
import json
import os
import shutil

import pytest

from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import merging, shards, update
from input_pipeline.media.parts import Part
from tests import network_drive, searchable
from tests.in_process import InProcess

EFFORT = dataclasses.replace(searchable.EFFORT, engine=InProcess())


@pytest.fixture
def make(indexed, search_model, search_model_path, tmp_path):
    """Makes a part of an index, or merges so many parts."""

    def make(part=None, merge=None, **changed):
        given = {"model": search_model, "settings": searchable.settings_of(search_model)} | changed
        where = tmp_path / "index", indexed.parent / "videos", given["model"], search_model_path
        return update.update(*where, given["settings"], EFFORT, part=part, merge=merge)

    return make


@pytest.fixture
def out(make, tmp_path):
    """Where an index of three parts will be; the parts are there."""
    for number in (2, 3, 1):
        make(Part(number, 3))
    return tmp_path / "index"


def test_parts_make_the_same_index(out, make, indexed):
    done = make(merge=3)
    assert searchable.bytes_of(out) == searchable.bytes_of(indexed)
    assert (done.indexed, done.unchanged, done.videos) == (0, 5, 5)
    assert [path.name for path in out.parent.glob("index*")] == ["index"]
    with pytest.raises(FileExistsError, match="already there; without --merge"):
        make(merge=3)


def test_a_file_that_can_not_be_removed_now_is_no_fault_of_the_merged_index(
    out, make, indexed, monkeypatch
):
    """A network drive keeps a file that another process has mapped, and its folder with it."""
    remove = os.unlink

    def kept(path, **given):
        if os.fspath(path) == "times.npy":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        remove(path, **given)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", kept)
        assert make(merge=3).videos == 5
    assert searchable.bytes_of(out) == searchable.bytes_of(indexed)
    left = [path.name for path in out.parent.glob("index.*/**/*") if path.is_file()]
    assert {"lock", "times.npy"} <= set(left) <= {"lock", "times.npy", "quarantine.jsonl"}
    make(Part(1, 3))
    shutil.rmtree(out)
    with pytest.raises(FileNotFoundError, match="part-2-of-3: missing or not finished"):
        make(merge=3)


def test_nothing_is_left_of_parts_on_a_network_drive(out, make, indexed, monkeypatch):
    with monkeypatch.context() as patched:
        network_drive.like_nfs(patched)
        make(merge=3)
    assert searchable.bytes_of(out) == searchable.bytes_of(indexed)
    assert [path.name for path in out.parent.glob("index*")] == ["index"]


def test_a_part_that_is_being_made_again_is_not_merged_meanwhile(out, make, indexed):
    """As by a scheduler that starts a job again: what it writes would be removed under it."""
    with catalogues.locked(Part(2, 3).place(out)):
        with pytest.raises(BlockingIOError, match="part-2-of-3: another animclip index is writing"):
            make(merge=3)
        assert not (out / catalogues.CATALOGUE).exists()
    make(merge=3)
    assert searchable.bytes_of(out) == searchable.bytes_of(indexed)
    assert [path.name for path in out.parent.glob("index*")] == ["index"]


def test_what_a_killed_merge_wrote_takes_no_room_beside_the_next(out, make, indexed):
    half = out / shards.SHARDS / "00000000"
    half.mkdir(parents=True)
    (out / catalogues.LOCK).touch()
    (half / "embedding.npy").write_bytes(b"half")
    make(merge=3)
    assert searchable.bytes_of(out) == searchable.bytes_of(indexed)


def test_what_does_not_fit_is_told(out, make, search_model):
    def refused(told, merge=3, **changed):
        with pytest.raises((ValueError, FileNotFoundError), match=told):
            make(merge=merge, **changed)
        assert not (out / "catalogue.json").exists() and Part(1, 3).place(out).exists()

    refused("part-1-of-3: not one of 2 parts", merge=2)
    refused("part 1/3 and merge 3: wanted one of them", part=Part(1, 3))
    other = dataclasses.replace(search_model, fingerprint="f" * 64)
    refused("part-1-of-3: an index with another model", model=other)
    settings = dataclasses.replace(searchable.settings_of(search_model), window=7.0)
    refused("part-1-of-3: an index with another settings", settings=settings)
    second = Part(2, 3).place(out)
    (second / merging.DONE).unlink()
    refused("part-2-of-3: missing or not finished")
    holder = next(
        Part(number, 3).place(out)
        for number in (1, 3)
        if json.loads((Part(number, 3).place(out) / "catalogue.json").read_text())["videos"]
    )
    shutil.rmtree(second)
    shutil.copytree(holder, second)
    refused("part-2-of-3: holds .*, which belongs to another part")
    shutil.rmtree(second)
    refused("part-2-of-3: missing or not finished")
