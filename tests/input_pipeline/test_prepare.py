"""Tests of input_pipeline.prepare."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from input_pipeline import prepare, store, workers
from input_pipeline.partial import Encoded
from input_pipeline.prepare import Collection, Effort, FrameSettings, Video
from input_pipeline.video import write_video

ROOT = Path(__file__).resolve().parents[2]
LENIENT = Effort(max_bad=1.0)


def frames(count: int, height: int, width: int) -> np.ndarray:
    levels = np.arange(count, dtype=np.uint8)[:, None, None, None] * 10
    return np.broadcast_to(levels, (count, height, width, 3)).copy()


def encode_or_crash(path: Path, settings: FrameSettings) -> Encoded:
    if "crash" in path.name:
        os.abort()
    # Later ones are ready first.
    time.sleep(0.2 / (1 + int("".join(filter(str.isdecimal, path.name)) or 0)))
    return Encoded([path.name.encode()], 1, 1)


def named(*names: str) -> Collection:
    return Collection("test", [Video(name, Path(name), [f"about {name}"]) for name in names])


def bad_files(directory: Path) -> dict[str, str]:
    lines = store.read_lines(directory / prepare.QUARANTINE)
    return {line["file"]: line["reason"] for line in lines}


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_videos_become_evenly_spaced_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", frames(24, 64, 96), 25)
    write_video(tmp_path / "large.mp4", frames(3, 320, 640), 25)
    (tmp_path / "bad.mp4").write_bytes((tmp_path / "long.mp4").read_bytes()[:600])
    videos = [
        Video(f"{name}.mp4", tmp_path / f"{name}.mp4", [name], {"length": len(name)})
        for name in ("large", "bad", "gone", "long")
    ]
    summary = prepare.prepare_videos(Collection("folder:x", videos), tmp_path / "store")
    index = store.read_index(tmp_path / "store")
    assert [line["id"] for line in index] == ["large.mp4", "long.mp4"]
    assert [line["captions"] for line in index] == [["large"], ["long"]]
    assert [line["fields"] for line in index] == [{"length": 5}, {"length": 4}]
    assert [(line["num_frames"], line["width"], line["height"]) for line in index] == [
        (prepare.NUM_FRAMES, 512, 256),
        (prepare.NUM_FRAMES, 96, 64),
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

    fetched = store.fetch_record(tmp_path / "store")(np.int64(index[1]["offset"]))
    pictures = [Image.open(io.BytesIO(frame)) for frame in fetched.numpy()]
    assert all((picture.format, picture.size) == ("JPEG", (96, 64)) for picture in pictures)
    found = [round(float(np.asarray(picture).mean()) / 10) for picture in pictures]
    assert found == [(2 * n + 1) * 24 // 32 for n in range(16)]


def test_frames_are_as_they_are_asked_for(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames(8, 64, 96), 25)
    path = tmp_path / "a.mp4"
    small, large = (
        prepare.encode_video(path, FrameSettings(5, 32, quality)) for quality in (20, 95)
    )
    assert len(small.frames) == 5 and (small.width, small.height) == (48, 32)
    assert sum(map(len, small.frames)) < sum(map(len, large.frames))
    for wrong in ({"num_frames": 0}, {"short_side": 0}, {"quality": 101}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: found"):
            FrameSettings(**wrong)


def test_a_crash_of_the_decoder_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "encode_video", encode_or_crash)
    names = [f"{n}{'crash' if n in (0, 7) else ''}" for n in range(10)]
    prepare.prepare_videos(named(*names), tmp_path / "store")
    kept = [line["id"] for line in store.read_index(tmp_path / "store")]
    assert kept == [name for name in names if "crash" not in name]
    assert bad_files(tmp_path / "store") == {
        name: "the decoder crashed (exit code -6)" for name in names if "crash" in name
    }


def test_a_stop_keeps_what_is_done_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "encode_video", encode_or_crash)
    names = [f"{n}{'crash' if n == 3 else ''}" for n in range(8)]
    prepare.prepare_videos(named(*names), tmp_path / "straight")

    real, asked = workers.run, []

    def run(function: Any, arguments: list[Path], *rest: Any) -> Any:
        asked.append(len(arguments))
        for count, result in enumerate(real(function, arguments, *rest)):
            if len(asked) == 1 and count == 5:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(workers, "run", run)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare_videos(named(*names), tmp_path / "store")
    assert not (tmp_path / "store").exists()
    prepare.prepare_videos(named(*names), tmp_path / "store")
    assert asked == [8, 3]
    assert contents(tmp_path / "store") == contents(tmp_path / "straight")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "straight"]

    assert prepare.prepare_videos(named(*names), tmp_path / "store")["num_items"] == 7
    assert asked == [8, 3], "what is there is whole"


KILLED = """
import sys
from pathlib import Path
from input_pipeline.prepare import Collection, Effort, Video, prepare_videos
if __name__ == "__main__":
    source, out = map(Path, sys.argv[1:])
    videos = [Video(path.name, path, ["x"]) for path in sorted(source.iterdir())]
    prepare_videos(Collection("killed", videos), out)
"""


@pytest.mark.parametrize("log_lines", [1, 6])
def test_kill_9_leaves_no_store_and_what_is_done(tmp_path: Path, log_lines: int) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "00.mp4", frames(24, 128, 128), 25)
    for n in range(1, 12):
        os.link(tmp_path / "in" / "00.mp4", tmp_path / "in" / f"{n:02}.mp4")
    (tmp_path / "script.py").write_text(KILLED)
    out = tmp_path / "store"
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "in"), str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    log = tmp_path / "store.partial" / "log.jsonl"
    while not (log.exists() and log.read_bytes().count(b"\n") >= log_lines):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done = {json.loads(line)["id"] for line in log.read_bytes().splitlines(keepends=True)[:-1]}
    assert len(done) >= log_lines - 1

    videos = [Video(path.name, path, ["x"]) for path in sorted((tmp_path / "in").iterdir())]
    asked: list[Path] = []
    real = workers.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "run", lambda f, a, *rest: (asked.extend(a), real(f, a, *rest))[1])
        prepare.prepare_videos(Collection("killed", videos), out)
    assert not done & {path.name for path in asked}
    assert len(store.read_index(out)) == 12
    assert not list(tmp_path.glob("*partial*")) and not list(tmp_path.glob(".*"))


def test_a_store_of_other_videos_or_settings_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "encode_video", encode_or_crash)
    prepare.prepare_videos(named("1", "2"), tmp_path / "store")
    before = contents(tmp_path / "store")
    with pytest.raises(FileExistsError, match="a store is already there, of test with other"):
        prepare.prepare_videos(named("1", "3"), tmp_path / "store")
    with pytest.raises(FileExistsError, match="frames: found .*16.*, wanted .*8"):
        prepare.prepare_videos(named("1", "2"), tmp_path / "store", FrameSettings(8))
    assert contents(tmp_path / "store") == before
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="already there, and no store"):
        prepare.prepare_videos(named("1"), tmp_path / "mine")


def test_a_file_that_changed_is_decoded_again(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames(4, 32, 32), 25)
    collection = Collection("test", [Video("a", tmp_path / "a.mp4", ["x"])])
    (tmp_path / "a.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:500])
    with pytest.raises(ValueError, match="1 of 1 videos can't be used"):
        prepare.prepare_videos(collection, tmp_path / "store")
    write_video(tmp_path / "a.mp4", frames(4, 32, 32), 25)
    assert prepare.prepare_videos(collection, tmp_path / "store")["num_items"] == 1


def test_too_many_bad_videos_stop_the_run_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "encode_video", encode_or_crash)
    names = [f"crash{n}" for n in range(4)] + [str(n) for n in range(16)]
    effort = Effort(processes=1, max_bad=0.1)
    with pytest.raises(ValueError, match="3 of 20 videos can't be used, wanted 10% at most") as e:
        prepare.prepare_videos(named(*names), tmp_path / "store", effort=effort)
    assert str(tmp_path / "store.partial" / "quarantine.jsonl") in str(e.value)
    assert list(bad_files(tmp_path / "store.partial")) == ["crash0", "crash1", "crash2"]
    assert not (tmp_path / "store").exists()
    with pytest.raises(ValueError, match="3 of 20"):
        prepare.prepare_videos(named(*names), tmp_path / "store", effort=effort)
    assert prepare.prepare_videos(named(*names), tmp_path / "store")["num_quarantined"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_missing_videos_count_as_bad_and_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "encode_video", encode_or_crash)
    missing = {"9": "no file"}
    splits = {"train": {"1": ["a", "b"], "9": ["c"]}, "test": {"2": ["d"]}}
    collection = Collection("set", named("1", "2").videos, missing, splits)
    with pytest.raises(ValueError, match="1 of 3 videos can't be used.*such as 9: no file"):
        prepare.prepare_videos(collection, tmp_path / "store", effort=Effort(max_bad=0.3))
    prepare.prepare_videos(collection, tmp_path / "store", effort=Effort(max_bad=0.34))
    assert bad_files(tmp_path / "store") == missing
    assert store.read_lines(tmp_path / "store" / "splits" / "train.jsonl") == [
        {"id": "1", "captions": ["a", "b"]},
        {"id": "9", "captions": ["c"]},
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_workers_that_cannot_start_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't start")

    monkeypatch.setattr(workers, "run", fail)
    with pytest.raises(RuntimeError, match="can't start"):
        prepare.prepare_videos(named("1"), tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_odd_videos_are_used_or_quarantined(tmp_path: Path, shared_data: Path) -> None:
    odd = shared_data / "oddvideos"
    entries = store.read_lines(odd / "manifest.jsonl")
    videos = [Video(entry["file"], odd / entry["file"], [entry["odd"]]) for entry in entries]
    out = tmp_path / "store"
    prepare.prepare_videos(Collection("odd", videos), out)
    good = [entry["file"] for entry in entries if entry["outcome_pyav"] == "decodes"]
    assert [line["id"] for line in store.read_index(out)] == good
    bad = bad_files(out)
    assert [*bad] == [entry["file"] for entry in entries if entry["file"] not in good]
    assert len(good) + len(bad) == 29
    assert all(file in reason for file, reason in bad.items())
