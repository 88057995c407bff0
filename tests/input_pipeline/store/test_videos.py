"""Tests of input_pipeline.store.videos."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import quarantine, workers
from input_pipeline.media.video import write_video
from input_pipeline.store import records
from input_pipeline.store import videos as prepare_videos
from input_pipeline.store.making import Effort
from input_pipeline.store.videos import Collection, FrameSettings, Video


def frames(count: int, height: int, width: int) -> np.ndarray:
    levels = np.arange(count, dtype=np.uint8)[:, None, None, None] * 10
    return np.broadcast_to(levels, (count, height, width, 3)).copy()


def bad_files(directory: Path) -> dict[str, str]:
    lines = records.read_lines(directory / quarantine.NAME)
    return {line["file"]: line["reason"] for line in lines}


def test_videos_become_evenly_spaced_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", frames(24, 64, 96), 25)
    write_video(tmp_path / "large.mp4", frames(3, 320, 640), 25)
    (tmp_path / "bad.mp4").write_bytes((tmp_path / "long.mp4").read_bytes()[:600])
    videos = [
        Video(f"{name}.mp4", tmp_path / f"{name}.mp4", [name], {"length": len(name)})
        for name in ("large", "bad", "gone", "long")
    ]
    summary = prepare_videos.prepare_videos(Collection("folder:x", videos), tmp_path / "store")
    index = records.read_index(tmp_path / "store")
    assert [line["id"] for line in index] == ["large.mp4", "long.mp4"]
    assert [line["captions"] for line in index] == [["large"], ["long"]]
    assert [line["fields"] for line in index] == [{"length": 5}, {"length": 4}]
    assert [(line["num_frames"], line["width"], line["height"]) for line in index] == [
        (prepare_videos.NUM_FRAMES, 512, 256),
        (prepare_videos.NUM_FRAMES, 96, 64),
    ]
    bad = bad_files(tmp_path / "store")
    assert list(bad) == ["bad.mp4", "gone.mp4"]
    assert "can't be decoded" in bad["bad.mp4"] and "no such file" in bad["gone.mp4"]
    assert (summary["source"], summary["num_items"], summary["num_quarantined"]) == (
        "folder:x",
        2,
        2,
    )
    assert not list(tmp_path.glob("*partial*"))

    fetched = records.fetch_record(tmp_path / "store")(np.int64(index[1]["offset"]))
    pictures = [Image.open(io.BytesIO(frame)) for frame in fetched.numpy()]
    assert all((picture.format, picture.size) == ("JPEG", (96, 64)) for picture in pictures)
    found = [round(float(np.asarray(picture).mean()) / 10) for picture in pictures]
    assert found == [(2 * n + 1) * 24 // 32 for n in range(16)]


def test_frames_are_as_they_are_asked_for(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames(8, 64, 96), 25)
    path = tmp_path / "a.mp4"
    small, large = (
        prepare_videos.encode_video(path, FrameSettings(5, 32, quality)) for quality in (20, 95)
    )
    assert len(small.frames) == 5 and (small.width, small.height) == (48, 32)
    assert sum(map(len, small.frames)) < sum(map(len, large.frames))
    for wrong in ({"num_frames": 0}, {"short_side": 0}, {"quality": 101}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: found"):
            FrameSettings(**wrong)


def test_a_file_that_changed_is_decoded_again(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames(4, 32, 32), 25)
    collection = Collection("test", [Video("a", tmp_path / "a.mp4", ["x"])])
    (tmp_path / "a.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:500])
    with pytest.raises(ValueError, match="1 of 1 video can't be used"):
        prepare_videos.prepare_videos(collection, tmp_path / "store")
    write_video(tmp_path / "a.mp4", frames(4, 32, 32), 25)
    assert prepare_videos.prepare_videos(collection, tmp_path / "store")["num_items"] == 1


def test_what_passed_a_limit_is_tried_again_with_another(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, frames(4, 32, 32), 25)
    collection = Collection("test", [Video(n, tmp_path / n, ["x"]) for n in ("a.mp4", "b.mp4")])
    hasty = Effort(limits=workers.Limits(1e-9), max_bad=0.5)
    with pytest.raises(ValueError, match="2 of 2 .* not decoded after 1e-09 seconds"):
        prepare_videos.prepare_videos(collection, tmp_path / "store", effort=hasty)
    assert prepare_videos.prepare_videos(collection, tmp_path / "store")["num_quarantined"] == 0


def test_odd_videos_are_used_or_quarantined(tmp_path: Path, shared_data: Path) -> None:
    odd = shared_data / "oddvideos"
    entries = records.read_lines(odd / "manifest.jsonl")
    videos = [Video(entry["file"], odd / entry["file"], [entry["odd"]]) for entry in entries]
    out = tmp_path / "store"
    prepare_videos.prepare_videos(Collection("odd", videos), out)
    good = [entry["file"] for entry in entries if entry["outcome_pyav"] == "decodes"]
    assert [line["id"] for line in records.read_index(out)] == good
    bad = bad_files(out)
    assert [*bad] == [entry["file"] for entry in entries if entry["file"] not in good]
    assert len(good) + len(bad) == 29
    assert all(file in reason for file, reason in bad.items())
