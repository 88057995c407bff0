"""Files of a folder that change after it was opened or prepared."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from animclip_jax import prepare
from input_pipeline.examples import Examples
from input_pipeline.media import engines
from input_pipeline.media.video import write_video
from input_pipeline.sources.opening import open_source
from input_pipeline.store import records
from tests.in_process import InProcess


def put(path: Path, content: bytes, time: int) -> None:
    """Writes a file that says it was changed at that time, in ns."""
    path.write_bytes(content)
    os.utime(path, ns=(time, time))


def jpeg(width: int, height: int, orientation: int = 1) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def listed(directory: Path, kind: str, *names: str) -> str:
    lines = [json.dumps({kind: name, "captions": ["x"]}) + "\n" for name in names]
    (directory / "captions.jsonl").write_text("".join(lines))
    return f"folder:{directory}"


def film(path: Path, level: int, time: int) -> None:
    write_video(path, np.full((4, 32, 48, 3), level, np.uint8), 8)
    os.utime(path, ns=(time, time))


def test_pictures_that_change_are_checked_again(tmp_path: Path) -> None:
    source, cache = listed(tmp_path, "image", "a.jpg", "b.jpg", "c.jpg"), str(tmp_path / "cache")
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / name, jpeg(40, 30), 1)
    before = open_source(source, cache)
    assert before.sizes.tolist() == [[30, 40]] * 2 and [*before.missing] == ["c.jpg"]
    put(tmp_path / "a.jpg", jpeg(60, 20), 1)
    put(tmp_path / "c.jpg", jpeg(10, 20), 1)
    again = open_source(source, cache)
    assert again.sizes.tolist() == [[20, 60], [30, 40], [20, 10]] and not again.missing
    assert len(jpeg(40, 30, 6)) == len(jpeg(40, 30))
    put(tmp_path / "b.jpg", jpeg(40, 30, 6), 2)
    turned = open_source(source, cache)
    assert turned.orientations.tolist() == [1, 6, 1] and turned.sizes[1].tolist() == [40, 30]


def brightness(examples: Examples) -> float:
    frame = examples.fetch(tf.constant(0, tf.int64)).numpy()[0]
    return float(tf.image.decode_jpeg(frame).numpy().mean())


def test_a_video_that_changes_is_decoded_again(tmp_path: Path) -> None:
    source, cache = listed(tmp_path, "video", "a.mp4"), str(tmp_path / "cache")
    film(tmp_path / "a.mp4", 0, 1)
    assert brightness(open_source(source, cache)) < 3
    film(tmp_path / "a.mp4", 255, 2)
    assert brightness(open_source(source, cache)) > 252


def test_other_files_are_not_taken_for_those_of_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    source, store = listed(tmp_path, "video", "a.mp4"), tmp_path / "store"
    film(tmp_path / "a.mp4", 0, 1)
    assert prepare.main([source, f"--out={store}"]) == 0
    assert prepare.main([source, f"--out={store}"]) == 0
    film(tmp_path / "a.mp4", 255, 2)
    assert prepare.main([source, f"--out={store}"]) == 1
    assert "a store is already there, of " in capsys.readouterr().err
    # A store that an earlier version wrote does not say of which state of the files it is.
    summary = records.read_summary(store)
    del summary["files"]
    (store / records.SUMMARY).write_text(json.dumps(summary))
    assert prepare.main([source, f"--out={store}"]) == 0
    assert brightness(open_source(f"folder:{store}", str(tmp_path / "cache"))) < 3


def test_other_pictures_are_not_taken_for_those_of_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    source, store = listed(tmp_path, "image", "a.jpg"), tmp_path / "store"
    put(tmp_path / "a.jpg", jpeg(40, 30), 1)
    arguments = [source, f"--out={store}", f"--cache-dir={tmp_path / 'cache'}"]
    assert prepare.main(arguments) == prepare.main(arguments) == 0
    put(tmp_path / "a.jpg", jpeg(40, 30), 2)
    assert prepare.main(arguments) == 1
    assert "a store is already there, of " in capsys.readouterr().err
