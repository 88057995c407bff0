"""Tests of animclip_jax.prepare."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from animclip_jax import prepare
from input_pipeline.media import engines
from input_pipeline.media.video import write_video
from input_pipeline.sources.opening import open_source
from input_pipeline.store import making
from tests.in_process import InProcess
from tests.input_pipeline.shard_files import encoded, write_tar


def folder(directory: Path, *good: str, bad: tuple[str, ...] = ()) -> Path:
    directory.mkdir(exist_ok=True)
    for n, name in enumerate(good):
        write_video(directory / name, np.full((6, 32, 48, 3), 40 * n, np.uint8), 10)
    for name in bad:
        (directory / name).write_text("<html>404</html>")
    lines = [{"video": name, "captions": [f"of {name}"], "n": len(name)} for name in (*good, *bad)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "captions.jsonl").write_text(text)
    return directory


def test_a_folder_becomes_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = folder(tmp_path / "in", "a.mp4", "bb.mp4", bad=("bad.mp4",))
    out = tmp_path / "out"
    arguments = [f"folder:{videos}", "--out", str(out)]
    assert prepare.main([*arguments, "--num-frames", "4", "--short-side", "16"]) == 0
    told = capsys.readouterr().out
    assert f"{out}: 2 videos of folder:{videos}" in told
    assert f"1 can't be used, listed in {out / 'quarantine.jsonl'}" in told
    examples = open_source(f"folder:{out}", str(tmp_path))
    assert examples.ids == ["a.mp4", "bb.mp4"] and examples.captions[1] == ["of bb.mp4"]
    assert len(examples.fetch(0).numpy()) == 4
    assert open_source(f"folder:{out}@n=6", str(tmp_path)).ids == ["bb.mp4"]

    # The same again has nothing to do; other settings don't touch what is there.
    assert prepare.main([*arguments, "--num-frames", "4", "--short-side", "16"]) == 0
    assert prepare.main([*arguments, "--num-frames", "5", "--short-side", "16"]) == 1
    assert "a store is already there" in capsys.readouterr().err


def test_a_video_set_becomes_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = folder(tmp_path / "in", "v0.mp4", "v1.mp4", "v2.mp4", "v3.mp4")
    captions = {f"v{n}": [f"one {n}", f"two {n}"] for n in range(5)}
    (videos / "captions_msvd.json").write_text(json.dumps(captions))
    for part, ids in (("train", "v0\nv1\nv4"), ("val", "v2"), ("test", "v3")):
        (videos / f"{part}_list.txt").write_text(ids)
    out = tmp_path / "out"
    assert prepare.main([f"msvd:{videos}", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "train: 2 of 3 (66.7%) videos" in told and "test: 1 of 1 (100.0%) videos" in told
    examples = open_source(f"folder:{out}@split=train", str(tmp_path))
    assert examples.ids == ["v0", "v1"] and examples.captions[0] == ["one 0", "two 0"]
    assert examples.missing.keys() == {"v4"}

    alone = tmp_path / "part"
    assert prepare.main([f"msvd:{videos}", "--out", str(alone), "--split", "test"]) == 0
    assert open_source(f"folder:{alone}@split=test", str(tmp_path)).ids == ["v3"]
    arguments = [f"msvd:{videos}", "--out", str(tmp_path / "strict"), "--max-bad", "0.1"]
    assert prepare.main(arguments) == 1
    assert "1 of 5 videos can't be used, wanted 10% at most" in capsys.readouterr().err


def test_parts_become_a_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    videos = folder(tmp_path / "in", "a.mp4", "bb.mp4", bad=("bad.mp4",))
    out = tmp_path / "out"
    arguments = [f"folder:{videos}", f"--out={out}", "--num-frames=2", "--short-side=16"]
    for number in (1, 2):
        assert prepare.main([*arguments, f"--part={number}/2"]) == 0
        assert f"{out}.part-{number}-of-2: " in capsys.readouterr().out
    assert prepare.main([*arguments, "--merge=3"]) == 1
    told = capsys.readouterr().err
    assert f"{out}.part-1-of-2: not one of 3 parts" in told and told.count("\n") == 1
    assert prepare.main([*arguments, "--merge=2"]) == 0
    told = capsys.readouterr().out
    assert f"{out}: 2 videos of folder:{videos}" in told and "1 can't be used" in told
    assert open_source(f"folder:{out}", str(tmp_path)).ids == ["a.mp4", "bb.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    videos = folder(tmp_path / "in", "a.mp4", "bb.mp4")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "captions.jsonl").write_text('{"image": "a.jpg", "captions": ["x"]}')
    cases = [
        ("folder", [], "can't be prepared, wanted one of folder:DIR, msrvtt:DIR"),
        ("x:y", ["z:w"], "found ['x:y', 'z:w'], wanted one, kind:location"),
        ("drawn:train", [], "can't be prepared"),
        (f"folder:{tmp_path}/gone", [], "no such directory"),
        (f"msrvtt:{videos}", [], "no train_val_videodatainfo.json"),
        (f"folder:{videos}", ["--split", "x"], "a folder has no splits"),
        (f"folder:{videos}@n=5", [], "prepare all of"),
        (f"folder:{pictures}", [], "over half of the files are bad"),
        (f"folder:{pictures}", ["--split", "x"], "--split: not for pictures, which take --out, "),
        (f"folder:{videos}", ["--cache-dir", "x"], "--cache-dir: not for videos"),
        (f"folder:{videos}", ["--config=configs/quickstart.py"], "--config: not for videos"),
        ("webdataset:/gone/*.tar", [], "/gone/*.tar: no such file"),
        (f"folder:{videos}", ["--num-frames", "5000"], "num_frames: found 5000"),
        (f"folder:{videos}", ["--engine=spark"], "--engine=spark: wanted ray or ray:HOST:PORT"),
        (f"folder:{videos}", ["--part=1/2", "--merge=2"], "--part and --merge: wanted one"),
        (f"folder:{videos}", ["--merge=2"], "out.part-1-of-2: missing or not finished"),
    ]
    out = ["--out", str(tmp_path / "out")]
    for source, more, message in cases:
        assert prepare.main([source, *out, *more]) == 1, source
        assert message in capsys.readouterr().err
    assert prepare.main(out) == 1
    assert "found no source, wanted one" in capsys.readouterr().err
    numbers = {
        "short-side": "0",
        "num-frames": "0",
        "processes": "0",
        "max-bad": "2",
        "part": "3/2",
    }
    for name, number in numbers.items():
        with pytest.raises(SystemExit) as stop:
            prepare.main([f"folder:{videos}", *out, f"--{name}={number}"])
        assert stop.value.code == 2 and f"--{name}={number}" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_limits_are_handed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = folder(tmp_path / "in", "a.mp4")
    arguments = [f"folder:{videos}", "--out", str(tmp_path / "out"), "--time-limit", "1e-9"]
    assert prepare.main(arguments) == 1
    assert "not decoded after 1e-09 seconds" in capsys.readouterr().err


def test_pictures_are_shrunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tar(tmp_path / "0.tar", [(f"{n}", f"picture {n}", encoded(9, (500, 400))) for n in "abc"])
    out = tmp_path / "out"
    paths = ["--out", str(out), "--cache-dir", str(tmp_path / "cache")]
    assert prepare.main([f"webdataset:{tmp_path}/*.tar", *paths, "--short-side", "100"]) == 0
    assert f"{out}: 3 pictures of webdataset:" in capsys.readouterr().out
    examples = open_source(f"folder:{out}", str(tmp_path))
    assert examples.ids == ["a", "b", "c"] and (examples.sizes == [100, 125]).all()


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "prepare_store", Mock(side_effect=KeyboardInterrupt))
    videos = folder(tmp_path / "in", "a.mp4")
    assert prepare.main([f"folder:{videos}", "--out", str(tmp_path / "out")]) == 130
    assert "stopped by Ctrl-C; run the same command again to resume" in capsys.readouterr().err


def test_stores_are_written_to_a_disk(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(["folder:x", "--out=gs://bucket/store"]) == 1
    assert "--out=gs://bucket/store: wanted a folder on a disk" in capsys.readouterr().err
    assert not Path("gs:").exists()
