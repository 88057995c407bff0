"""Tests of input_pipeline.prepare."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline import prepare, store
from input_pipeline.video import write_video


def frames(count: int, height: int, width: int) -> np.ndarray:
    levels = np.arange(count, dtype=np.uint8)[:, None, None, None] * 10
    return np.broadcast_to(levels, (count, height, width, 3)).copy()


def crash_where_told(path: str) -> prepare.Encoded:
    if "crash" in path:
        os.abort()
    return prepare.Encoded([path.encode()], 1, 1)


def crash_at_once(pipe: object, encode: object) -> None:
    os._exit(3)


def test_videos_become_evenly_spaced_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", frames(24, 64, 96), 25)
    write_video(tmp_path / "large.mp4", frames(3, 320, 640), 25)
    (tmp_path / "bad.mp4").write_bytes((tmp_path / "long.mp4").read_bytes()[:600])
    videos = [
        prepare.Video(f"{name}.mp4", tmp_path / f"{name}.mp4", [name])
        for name in ("large", "bad", "gone", "long")
    ]
    quarantine = tmp_path / "quarantine.jsonl"
    prepare.prepare_videos(videos, tmp_path / "store", quarantine, "folder:x")
    index = store.read_index(tmp_path / "store")
    assert [line["id"] for line in index] == ["large.mp4", "long.mp4"]
    assert [line["captions"] for line in index] == [["large"], ["long"]]
    assert [(line["num_frames"], line["width"], line["height"]) for line in index] == [
        (prepare.NUM_FRAMES, 512, 256),
        (prepare.NUM_FRAMES, 96, 64),
    ]
    bad = [json.loads(line) for line in quarantine.read_text().splitlines()]
    assert [line["file"] for line in bad] == ["bad.mp4", "gone.mp4"]
    assert "can't be decoded" in bad[0]["reason"] and "no such file" in bad[1]["reason"]

    fetched = store.fetch_record(tmp_path / "store")(np.int64(index[1]["offset"]))
    pictures = [Image.open(io.BytesIO(frame)) for frame in fetched.numpy()]
    assert all((picture.format, picture.size) == ("JPEG", (96, 64)) for picture in pictures)
    found = [round(float(np.asarray(picture).mean()) / 10) for picture in pictures]
    assert found == [(2 * n + 1) * 24 // 32 for n in range(16)]


def test_a_crash_of_the_decoder_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "encode_video", crash_where_told)
    names = [f"{n}{'crash' if n in (0, 7) else ''}" for n in range(10)]
    videos = [prepare.Video(name, Path(name), ["x"]) for name in names]
    quarantine = tmp_path / "quarantine.jsonl"
    prepare.prepare_videos(videos, tmp_path / "store", quarantine, "test")
    kept = [line["id"] for line in store.read_index(tmp_path / "store")]
    assert kept == [name for name in names if "crash" not in name]
    bad = [json.loads(line) for line in quarantine.read_text().splitlines()]
    assert [line["file"] for line in bad] == [name for name in names if "crash" in name]
    assert all("the decoder crashed (exit code -6)" in line["reason"] for line in bad)


def test_workers_that_cannot_start_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_work", crash_at_once)
    videos = [prepare.Video("a", Path("a"), ["x"])]
    with pytest.raises(RuntimeError, match="ended at its start"):
        prepare.prepare_videos(videos, tmp_path / "store", tmp_path / "quarantine.jsonl", "test")
    assert list(tmp_path.iterdir()) == []


def test_a_stop_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "encode_video", crash_where_told)
    monkeypatch.setattr(store.StoreWriter, "add", stop)
    videos = [prepare.Video(str(n), Path(str(n)), ["x"]) for n in range(5)]
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare_videos(videos, tmp_path / "store", tmp_path / "quarantine.jsonl", "test")
    assert list(tmp_path.iterdir()) == []
