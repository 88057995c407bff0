"""Tests of input_pipeline.sources."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline import sources, store
from input_pipeline.video import write_video

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ANIMCLIP_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def fetched(examples: sources.Examples, index: int) -> list[bytes]:
    return examples.fetch(tf.constant(index, tf.int64)).numpy().tolist()


@pytest.mark.parametrize("source", ["/some/dir", "folder:", "tar:x", "drawn", ""])
def test_unknown_kinds_are_refused_naming_the_kinds_there_are(source: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanted one of folder:DIR.*drawn:SPLIT"):
        sources.open_source(source, str(tmp_path))


def test_pictures_are_fetched_as_they_are(tmp_path: Path) -> None:
    lines = []
    for n, name in enumerate(("b.jpg", "gone.jpg", "a.png")):
        if name != "gone.jpg":
            Image.new("RGB", (20 + n, 10)).save(tmp_path / name)
        lines.append(json.dumps({"image": name, "captions": [name, "x"]}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    source = f"folder:{tmp_path}"
    examples = sources.open_source(source, str(tmp_path / "cache"))
    assert (examples.name, examples.is_video) == (source, False)
    assert examples.ids == ["b.jpg", "a.png"]
    assert examples.captions == [["b.jpg", "x"], ["a.png", "x"]]
    for n, name in enumerate(examples.ids):
        assert fetched(examples, n) == [(tmp_path / name).read_bytes()]
    dataset = tf.data.Dataset.range(2).map(examples.fetch, num_parallel_calls=2)
    assert [frames.shape for frames in dataset.as_numpy_iterator()] == [(1,), (1,)]


def test_videos_are_fetched_from_their_store(tmp_path: Path) -> None:
    lines = []
    for n in range(3):
        write_video(tmp_path / f"{n}.mp4", np.full((5, 32, 48, 3), 60 * n, np.uint8), 8)
        lines.append(json.dumps({"video": f"{n}.mp4", "captions": [f"v{n}"], "keep": n != 1}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    examples = sources.open_source(f"folder:{tmp_path}@keep=true", str(tmp_path / "cache"))
    assert examples.is_video
    assert examples.ids == ["0.mp4", "2.mp4"] and examples.captions == [["v0"], ["v2"]]
    for n, level in enumerate((0, 120)):
        frames = fetched(examples, n)
        assert len(frames) == 16
        assert abs(float(tf.image.decode_jpeg(frames[3]).numpy().mean()) - level) < 3


def test_drawn_sources_are_stores_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def prepared(split: str, count: int | None, cache_dir: str) -> Path:
        asked.append((split, count, cache_dir))
        directory = tmp_path / f"{split}-{count}"
        with store.StoreWriter(directory, "drawn") as writer:
            frames = [b"one", b"two"] if split == "videos" else [b"one"]
            writer.add("0", frames, ["x"], 64, 64)
        return directory

    module = ModuleType("input_pipeline.drawn.cache")
    monkeypatch.setattr(module, "prepared", prepared, raising=False)
    package = ModuleType("input_pipeline.drawn")
    monkeypatch.setattr(package, "cache", module, raising=False)
    monkeypatch.setitem(sys.modules, "input_pipeline.drawn", package)
    monkeypatch.setitem(sys.modules, "input_pipeline.drawn.cache", module)
    stills = sources.open_source("drawn:stills:100", "cache")
    videos = sources.open_source("drawn:videos", "cache")
    assert asked == [("stills", 100, "cache"), ("videos", None, "cache")]
    assert (stills.is_video, fetched(stills, 0)) == (False, [b"one"])
    assert (videos.is_video, fetched(videos, 0)) == (True, [b"one", b"two"])
    for source in ("drawn:stills:", "drawn:stills:many", "drawn:stills:0", "drawn:stills:-1"):
        with pytest.raises(ValueError, match="wanted a whole number above 0"):
            sources.open_source(source, "cache")


@pytest.mark.skipif(not (DATA / "imgcap").is_dir(), reason=f"no {DATA / 'imgcap'}")
def test_real_pictures(tmp_path: Path) -> None:
    examples = sources.open_source(f"folder:{DATA / 'imgcap'}@split=dev", str(tmp_path))
    assert len(examples.ids) == 1000 and all(len(some) == 5 for some in examples.captions)
    (encoded,) = fetched(examples, 999)
    assert tf.image.decode_jpeg(encoded).shape[-1] == 3


@pytest.mark.skipif(not (DATA / "vidcap").is_dir(), reason=f"no {DATA / 'vidcap'}")
def test_real_videos(tmp_path: Path) -> None:
    text = (DATA / "vidcap" / "captions.jsonl").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if json.loads(line)["seconds"] < 4]
    pool = [line for line in lines if json.loads(line)["retrieval_pool"]]
    chosen = pool[:5] + [line for line in lines if line not in pool][:1]
    assert len(chosen) == 6
    (tmp_path / "videos").mkdir()
    for line in chosen:
        file = json.loads(line)["video"]
        (tmp_path / file).write_bytes((DATA / "vidcap" / file).read_bytes())
    (tmp_path / "captions.jsonl").write_text("\n".join(chosen), encoding="utf-8")
    source = f"folder:{tmp_path}@retrieval_pool=true"
    examples = sources.open_source(source, str(tmp_path / "cache"))
    assert examples.is_video
    assert examples.ids == [json.loads(line)["video"] for line in pool[:5]]
    assert examples.captions == [json.loads(line)["captions"] for line in pool[:5]]
    assert all(len(fetched(examples, n)) == 16 for n in range(5))


def test_the_cache_is_kept_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sources.open_source("drawn:val:2", "~/cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["drawn-v2-val-2"]
    assert not (tmp_path / "~").exists()
