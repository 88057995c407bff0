"""What --like and `like` name: files, moments of indexed videos, results."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animclip_jax.video_index import likeness
from animclip_jax.video_index.likeness import At
from animclip_jax.video_index.query import QueryError
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from animclip_jax.words import readable
from input_pipeline.media.video import write_video
from tests import searchable


@pytest.fixture(scope="module")
def searcher(indexed, search_model):
    return Searcher(search_model, Index(indexed))


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("a.jpg", (Path("a.jpg"), 1)),
        ("a.jpg^0.5", (Path("a.jpg"), 0.5)),
        ("a b.mp4@12.5", (At(Path("a b.mp4"), 12.5), 1)),
        ("a.mp4@1:02.5^2", (At(Path("a.mp4"), 62.5), 2)),
        ("a.mp4@1:01:02", (At(Path("a.mp4"), 3662), 1)),
        ("me@home.mp4", (Path("me@home.mp4"), 1)),
        ("a" * 300, (Path("a" * 300), 1)),  # longer than a file's name can be
    ],
)
def test_a_file_a_moment_and_a_weight_are_read(text, wanted):
    assert likeness.written(text) == wanted


@pytest.mark.parametrize("name", ["a@1.mp4", "a^2", "a@3", "b@1:02^3"])
def test_a_file_that_is_called_so_is_that_file(name, tmp_path):
    (tmp_path / name).touch()
    assert likeness.written(str(tmp_path / name)) == (tmp_path / name, 1)


@pytest.mark.parametrize("seconds, number", [(0, 0), (2.4, 0), (2.6, 1), (5.9, 1)])
def test_a_moment_is_the_segment_that_is_shown_then(searcher, indexed, seconds, number):
    index = searcher.index
    for path in (Path("shots.mp4"), indexed.parent / "videos" / "shots.mp4"):
        assert index.id(index.at(path, seconds)) == searchable.moment("shots.mp4", number)


def test_a_linked_video_is_known_by_its_whole_path(tmp_path, search_model, search_model_path):
    """As git-annex and DVC keep them: the file itself is in a hidden folder beside it."""
    (store := tmp_path / "videos" / ".store").mkdir(parents=True)
    write_video(store / "1.mp4", searchable.shot(searchable.RED, 16), 8)
    (linked := tmp_path / "videos" / "red.mp4").symlink_to(store / "1.mp4")
    searchable.index(tmp_path / "videos", tmp_path / "index", search_model, search_model_path)
    index = Index(tmp_path / "index")
    for path in (linked, Path("red.mp4")):
        assert index.names[index.at(path, 0)] == "red.mp4"


def test_a_video_is_known_by_the_name_that_results_show(tmp_path, search_model, search_model_path):
    accents = unicodedata.normalize("NFD", "café.mp4")
    no_text = os.fsdecode(b"caf\xe9.mp4")
    look_alike = [os.fsdecode(b"two\xe8.mp4"), os.fsdecode(b"two\xe9.mp4")]
    (tmp_path / "videos").mkdir()
    for name in (accents, no_text, *look_alike):
        write_video(tmp_path / "videos" / name, searchable.shot(searchable.RED, 16), 8)
    searchable.index(tmp_path / "videos", tmp_path / "index", search_model, search_model_path)
    index = Index(tmp_path / "index")
    for name in (accents, no_text):
        typed = unicodedata.normalize("NFC", readable(name))
        assert typed != name
        for path in (Path(name), Path(typed), tmp_path / "videos" / typed):
            assert index.names[index.at(path, 0)] == name
    for name in look_alike:
        assert index.names[index.at(Path(name), 0)] == name
        with pytest.raises(ValueError, match="not in this index"):
            index.at(Path(readable(name)), 0)


def test_a_moment_finds_itself_and_so_does_a_result(searcher):
    (best, *_) = searcher.search(like="below/blue.gif@1")
    assert best.video == "below/blue.gif" and best.coarse == pytest.approx(1, abs=1e-5)
    (again, *_) = searcher.search(like=best)
    assert again == best
    last = searcher.search(unlike=[best], n=8)[-1]
    assert last.video == "below/blue.gif" and last.coarse == pytest.approx(-1, abs=1e-5)


def test_what_cannot_be_named_is_said(searcher, tmp_path):
    for wrong, told in (
        ("none.mp4@3", "none.mp4: not in this index"),
        ("red.mp4@99", "red.mp4: ends at 0:02.0, before 1:39.0"),
        (np.zeros((4, 4), np.uint8), "wanted uint8"),
    ):
        with pytest.raises(ValueError, match=told):
            searcher.search(like=wrong)
    for id in ("", "x", searchable.moment("none.mp4"), searchable.moment("red.mp4", 1)):
        with pytest.raises(QueryError, match="no such moment"):
            searcher.index.segment(id)
    with pytest.raises(FileNotFoundError, match=r"none\.png: no such file"):
        searcher.search(like=tmp_path / "none.png")


def test_a_picture_and_a_video_are_told_apart_by_their_names(searcher, indexed, tmp_path):
    red = searchable.shot(searchable.RED, 16)[8]
    Image.fromarray(red).save(tmp_path / "red.png")
    assert searcher.search(like=tmp_path / "red.png") == searcher.search(red)
    (best, *_) = searcher.search(indexed.parent / "videos" / "red.mp4")
    assert best.video == "red.mp4" and best.coarse == pytest.approx(1, abs=1e-5)


def test_every_segment_has_an_id_that_outlives_an_update(searcher):
    index = searcher.index
    ids = [index.id(number) for number in range(len(index))]
    assert [index.segment(id) for id in ids] == list(range(len(index)))
    assert searchable.moment("long.mp4", 2) in ids
