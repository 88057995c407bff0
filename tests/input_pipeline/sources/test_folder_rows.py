"""Rows of a folder whose values need care: how a file is named, and what else a row says."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from animclip_jax import prepare
from input_pipeline.examples import Told
from input_pipeline.media import engines
from input_pipeline.media.video import write_video
from input_pipeline.sources.opening import open_source
from input_pipeline.store import records
from tests.in_process import InProcess
from tests.input_pipeline.shard_files import encoded


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one short video, a.mp4."""
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4", np.zeros((4, 32, 48, 3), np.uint8), 8)
    return tmp_path / "videos"


def test_numbers_that_are_not_finite_are_null(video: Path, tmp_path: Path) -> None:
    row = '{"video": "a.mp4", "caption": "x", "a": NaN, "b": 1e999, "c": -Infinity, "d": 2.5}'
    (video / "captions.jsonl").write_text(row)
    cache, store = str(tmp_path / "cache"), tmp_path / "store"
    assert open_source(f"folder:{video}@b=null", cache).captions == [["x"]]
    assert prepare.main([f"folder:{video}", f"--out={store}"]) == 0
    assert open_source(f"folder:{store}@a=null", cache).captions == [["x"]]
    (line,) = records.read_index(store)
    assert line["fields"] == {"a": None, "b": None, "c": None, "d": 2.5}


@pytest.mark.parametrize("name", ["box", "told"])
@pytest.mark.parametrize("value", ["left of it", 3, None])
def test_names_that_mean_something_else_in_a_store_are_no_fields_of_videos(
    video: Path, tmp_path: Path, name: str, value: object
) -> None:
    row = {"video": "a.mp4", "caption": "x", name: value, "n": 1}
    (video / "captions.jsonl").write_text(json.dumps(row))
    cache, store = str(tmp_path / "cache"), tmp_path / "store"
    examples = open_source(f"folder:{video}@{name}={value}", cache) if value == 3 else None
    examples = examples or open_source(f"folder:{video}", cache)
    assert examples.captions == [["x"]] and not examples.told and examples.boxes is None
    assert prepare.main([f"folder:{video}", f"--out={store}"]) == 0
    assert open_source(f"folder:{store}", cache).captions == [["x"]]
    assert records.read_index(store)[0]["fields"] == {"n": 1}


def test_stores_that_have_such_fields_from_before_are_read(tmp_path: Path) -> None:
    with records.StoreWriter(tmp_path / "store", "test") as writer:
        fields = {"box": "left of it", "told": "abc"}
        writer.add("a", [encoded(9)] * 3, ["x"], 40, 30, fields)
    examples = open_source(f"folder:{tmp_path / 'store'}@told=abc", str(tmp_path / "cache"))
    assert examples.ids == ["a"] and not examples.told and examples.boxes is None


def test_a_file_may_be_named_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "in/b.jpg"):
        Image.new("RGB", (20, 10)).save(tmp_path / name)
    whole = {name: str(tmp_path / name) for name in ("a.jpg", "in/b.jpg")}
    rows = [
        {"image": "a.jpg", "caption": "one", "sibling": whole["in/b.jpg"]},
        {"image": whole["in/b.jpg"], "caption": "two", "sibling": "a.jpg"},
        {"image": whole["a.jpg"], "caption": "three"},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    examples = open_source(f"folder:{tmp_path}", str(tmp_path / "cache"))
    assert examples.ids == ["a.jpg", "in/b.jpg"] and not examples.missing
    assert examples.captions == [["one", "three"], ["two"]]
    told = [[Told(True, "in/b.jpg", "motion"), Told()], [Told(True, "a.jpg", "motion")]]
    assert examples.told == told
    for number, name in enumerate(("a.jpg", "in/b.jpg")):
        (found,) = examples.fetch(tf.constant(number, tf.int64)).numpy()
        assert found == (tmp_path / name).read_bytes()
