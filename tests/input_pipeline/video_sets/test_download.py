"""Tests of input_pipeline.video_sets.download."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from input_pipeline.video_sets.download import Download


def test_files_are_found_wherever_they_lie(write, tmp_path: Path) -> None:
    directory = write(
        {
            "lists/train.txt": " a \r\n\r\nb\n",
            "x/y.csv": '\ufeffid,text\r\n1,"a, b"\r\n',
            "z.json.gz": gzip.compress(b'{"a": 1}'),
            "videos/a/v1.mp4": "",
            "videos/b/v2.AVI": "",
            "videos/b/v3.ts": "",
        }
    )
    download = Download(directory)
    assert download.lines("train.txt") == ["a", "b"]
    assert download.rows("y.csv", "id", "text") == [{"id": "1", "text": "a, b"}]
    assert download.json("z.json") == {"a": 1}
    assert download.video("v1") == directory / "videos/a/v1.mp4"
    assert download.video("v2") == directory / "videos/b/v2.AVI"
    assert download.video("v3") == directory / "videos/b/v3.ts"
    assert "no video file of that name" in str(download.video("train"))
    assert download.has("z.json") and not download.has("v1.mp4")
    assert download.names("t", ".txt") == ["train.txt"]


def test_what_is_wrong_is_named(write) -> None:
    download = Download(
        write(
            {
                "a/list.txt": "",
                "b/list.txt": "",
                "half.json": '{"a"',
                "cut.json.gz": gzip.compress(b"[1, 2, 3]" * 50)[:-9],
                "rows.csv": "id,text\n1\n",
                "1/v.mp4": "",
                "2/v.avi": "",
            }
        )
    )
    with pytest.raises(FileNotFoundError, match=r"no gone.json in it \(nor gone.json.gz\)"):
        download.json("gone.json")
    with pytest.raises(ValueError, match="2 files of the name list.txt.*a/list.txt, b/list.txt"):
        download.lines("list.txt")
    with pytest.raises(ValueError, match="2 files of the name v, wanted one: 1/v.mp4, 2/v.avi"):
        download.video("v")
    with pytest.raises(ValueError, match="half.json: not JSON"):
        download.json("half.json")
    with pytest.raises(ValueError, match="cut.json.gz: can't be read"):
        download.json("cut.json")
    with pytest.raises(ValueError, match="rows.csv line 2: .*wanted columns"):
        download.rows("rows.csv", "id", "text")
    with pytest.raises(FileNotFoundError, match="gone: no such directory"):
        Download(download.directory / "gone")


def test_links_cannot_leave_the_folder(write, tmp_path: Path) -> None:
    write({"v1.mp4": "", "secret.json": "[]", "v4.mp4": ""}, "elsewhere")
    directory = write({"v2.mp4": ""})
    (directory / "v1.mp4").symlink_to(tmp_path / "elsewhere" / "v1.mp4")
    (directory / "secret.json").symlink_to(tmp_path / "elsewhere" / "secret.json")
    (directory / "v3.mp4").symlink_to("v2.mp4")
    (directory / "more").symlink_to(tmp_path / "elsewhere")
    (directory / "loop").symlink_to(directory)
    (directory / "itself.mp4").symlink_to("itself.mp4")
    download = Download(directory)
    assert re.search("a link that leads out of .*download", str(download.video("v1")))
    assert download.video("v3") == directory / "v3.mp4"
    assert "no video file" in str(download.video("v4"))
    assert download.has("secret.json"), "so that nothing is left out silently"
    with pytest.raises(FileNotFoundError, match="secret.json is a link that leads out of it"):
        download.json("secret.json")


def test_an_object_with_a_name_twice_is_not_cut_to_the_last(write) -> None:
    text = '{"vid1": ["a"], "vid2": ["b"], "vid1": ["c"]}'
    with pytest.raises(
        ValueError, match=r"x\.json: found 'vid1' twice in one object, wanted it once"
    ):
        Download(write({"x.json": text})).json("x.json")
