"""The catalogue: written and read back; what is refused."""

import json

import pytest

from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.catalogue import Catalogue, Quarantined, Stamp, Video
from input_pipeline.media.segments import SegmentSettings

SETTINGS = SegmentSettings(num_frames=4, image_size=32)


def some() -> Catalogue:
    videos = {
        "b.mp4": Video(Stamp(7, 10**18), "00000002", 3, 2),
        "odd \udcff.mp4": Video(Stamp(1, 2), "00000001", 0, 1),
    }
    bad = {"c.avi": Quarantined(Stamp(0, 5), "no video")}
    return Catalogue("/root", "abc", "/model", True, "int8", SETTINGS, videos, bad)


def test_is_read_back(tmp_path):
    catalogues.write(tmp_path, some())
    assert catalogues.read(tmp_path) == some()
    assert some().shards == ["00000001", "00000002"]
    assert [path.name for path in tmp_path.iterdir()] == [catalogues.CATALOGUE]


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda text: text[:-9], "not JSON"),
        (lambda text: "[1]", "found list, wanted a JSON object"),
        (lambda text: text.replace("animclip-index", "other"), "format 'other' version 2"),
        (lambda text: json.dumps(json.loads(text) | {"version": 3}), "wanted 'animclip-index' 2"),
        (lambda text: json.dumps(json.loads(text) | {"version": 1}), "wrong times and pictures"),
        (lambda text: json.dumps(json.loads(text) | {"more": 2}), "not the catalogue of an index"),
        (lambda text: text.replace('"window"', '"windows"'), "not the catalogue of an index"),
    ],
)
def test_another_format_is_refused(tmp_path, change, told):
    catalogues.write(tmp_path, some())
    path = tmp_path / catalogues.CATALOGUE
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=told) as refused:
        catalogues.read(tmp_path)
    assert str(path) in str(refused.value)


def test_a_folder_without_one_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="animclip index makes an index"):
        catalogues.read(tmp_path)


def test_one_writer_at_a_time(tmp_path):
    told = pytest.raises(BlockingIOError, match="another animclip index is writing it now")
    with catalogues.locked(tmp_path / "index"), told, catalogues.locked(tmp_path / "index"):
        pass
    with catalogues.locked(tmp_path / "index"):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").touch()
    told = pytest.raises(FileExistsError, match="holds something other than an index")
    with told, catalogues.locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
