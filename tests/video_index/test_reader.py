"""An index that is opened while an update exchanges and removes shards."""

import errno
import os

import pytest

from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import joining, shards
from animclip_jax.video_index.reader import Index
from tests import said, searchable


@pytest.fixture
def own(indexed, search_model, search_model_path, tmp_path):
    """An index of two videos, one of which has subtitles."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("red.mp4", "long.mp4"):
        (videos / name).write_bytes((indexed.parent / "videos" / name).read_bytes())
    (videos / "red.srt").write_text(said.srt([(0, 1, "a red kettle")]))
    searchable.index(videos, tmp_path / "index", search_model, search_model_path)
    return tmp_path / "index"


def join(own):
    """What an update does of shards: writes one of them, then begins to remove the others."""
    catalogue = catalogues.read(own)
    (before,) = catalogue.shards
    joining.rewrite(own, catalogue, list(catalogue.videos), "00000009")
    return own / shards.SHARDS / before


def test_what_is_said_is_found_though_its_file_was_removed_meanwhile(own, monkeypatch):
    """Of a shard's files it may be the only one that is gone already."""
    read = shards.read_all
    reads: list[list[str]] = []

    def late(directory, catalogue):
        if not reads:
            (join(own) / "said.sqlite").unlink()
        reads.append(catalogue.shards)
        return read(directory, catalogue)

    monkeypatch.setattr(shards, "read_all", late)
    assert Index(own).speaks
    assert reads == [["00000000"], ["00000009"]]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE])
def test_a_file_that_was_removed_meanwhile_is_looked_for_in_the_new_shard(own, monkeypatch, number):
    """A network drive says ESTALE of a file that another machine has removed."""
    read = shards.read_all
    reads: list[list[str]] = []

    def late(directory, catalogue):
        reads.append(catalogue.shards)
        if len(reads) == 1:
            path = join(own) / "times.npy"
            raise OSError(number, os.strerror(number), os.fspath(path))
        return read(directory, catalogue)

    monkeypatch.setattr(shards, "read_all", late)
    assert len(Index(own).videos) == 2
    assert reads == [["00000000"], ["00000009"]]


def test_a_file_that_stays_away_is_named(own):
    (own / shards.SHARDS / "00000000" / "times.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"times\.npy"):
        Index(own)
