"""Tests of input_pipeline.sources.opening."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from animclip_jax import prepare
from animclip_jax.animation.config import AnimationConfig
from input_pipeline.batches import train_batches
from input_pipeline.examples import BatchConfig, Examples, Told
from input_pipeline.media.video import write_video
from input_pipeline.sources import opening
from input_pipeline.store import records
from tests import memory
from tests.input_pipeline.pictures import BROKEN, GOOD
from tests.input_pipeline.shard_files import encoded, write_tar, write_tfrecord


def fetched(examples: Examples, index: int) -> list[bytes]:
    return examples.fetch(tf.constant(index, tf.int64)).numpy().tolist()


@pytest.mark.parametrize("source", ["/some/dir", "folder:", "tar:x", "drawn", ""])
def test_unknown_kinds_are_refused_naming_the_kinds_there_are(source: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanted one of folder:DIR.*drawn:SPLIT"):
        opening.open_source(source, str(tmp_path))


def test_pictures_are_fetched_as_they_are(tmp_path: Path) -> None:
    lines = []
    for n, name in enumerate(("b.jpg", "gone.jpg", "a.png")):
        if name != "gone.jpg":
            Image.new("RGB", (20 + n, 10)).save(tmp_path / name)
        lines.append(json.dumps({"image": name, "captions": [name, "x"]}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    source = f"folder:{tmp_path}"
    examples = opening.open_source(source, str(tmp_path / "cache"))
    assert (examples.name, examples.is_video) == (source, False)
    assert examples.ids == ["b.jpg", "a.png"]
    assert examples.captions == [["b.jpg", "x"], ["a.png", "x"]]
    for n, name in enumerate(examples.ids):
        assert fetched(examples, n) == [(tmp_path / name).read_bytes()]
    dataset = tf.data.Dataset.range(2).map(examples.fetch, num_parallel_calls=2)
    assert [frames.shape for frames in dataset.as_numpy_iterator()] == [(1,), (1,)]


def test_an_at_sign_may_be_part_of_a_folder_and_of_a_value(tmp_path: Path) -> None:
    folder = tmp_path / "run@lr=3"
    folder.mkdir()
    lines = []
    for user in ("a@b.com", "c@d.com"):
        Image.new("RGB", (20, 10)).save(folder / f"{user}.jpg")
        lines.append(json.dumps({"image": f"{user}.jpg", "captions": ["x"], "user": user}))
    (folder / "captions.jsonl").write_text("\n".join(lines))
    whole = opening.open_source(f"folder:{folder}", str(tmp_path / "cache"))
    assert whole.ids == ["a@b.com.jpg", "c@d.com.jpg"]
    one = opening.open_source(f"folder:{folder}@user=a@b.com", str(tmp_path / "cache"))
    assert one.ids == ["a@b.com.jpg"]
    for wrong, said in (("@user", "'user' after @, wanted"), ("@=a", "no field before =")):
        with pytest.raises(ValueError, match=said):
            opening.open_source(f"folder:{tmp_path}{wrong}", str(tmp_path / "cache"))


def test_videos_are_fetched_from_their_store(tmp_path: Path) -> None:
    lines = []
    for n in range(3):
        write_video(tmp_path / f"{n}.mp4", np.full((5, 32, 48, 3), 60 * n, np.uint8), 8)
        lines.append(json.dumps({"video": f"{n}.mp4", "captions": [f"v{n}"], "keep": n != 1}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    examples = opening.open_source(f"folder:{tmp_path}@keep=true", str(tmp_path / "cache"))
    assert examples.is_video
    assert examples.ids == ["0.mp4", "2.mp4"] and examples.captions == [["v0"], ["v2"]]
    for n, level in enumerate((0, 120)):
        frames = fetched(examples, n)
        assert len(frames) == 16
        assert abs(float(tf.image.decode_jpeg(frames[3]).numpy().mean()) - level) < 3


def test_a_line_may_name_the_sibling_that_its_captions_are_false_of(tmp_path: Path) -> None:
    """Of a folder, of pictures, of a filtered folder, and of a store that was prepared from one."""
    for name in ("left.mp4", "right.mp4", "other.mp4"):
        write_video(tmp_path / name, np.zeros((2, 32, 48, 3), np.uint8), 8)
    slide = {"sibling": "./right.mp4", "differs": "slide"}
    lines: list[dict] = [
        {"video": "left.mp4", "n": 1, "caption": "a"} | slide,
        {"video": "left.mp4", "n": 2, "captions": ["b"]},
        {"video": "right.mp4", "n": 3, "captions": ["c", "d"], "sibling": "left.mp4"},
        {"video": "other.mp4", "n": 4, "captions": ["e"]},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    wanted = [
        [Told(True, "right.mp4", "slide"), Told()],
        [Told(True, "left.mp4", "motion")] * 2,
        [Told()],
    ]
    cache = str(tmp_path / "cache")
    assert opening.open_source(f"folder:{tmp_path}", cache).told == wanted
    assert prepare.main([f"folder:{tmp_path}", f"--out={tmp_path / 'store'}"]) == 0
    assert opening.open_source(f"folder:{tmp_path / 'store'}", cache).told == wanted
    filtered = opening.open_source(f"folder:{tmp_path}@n=3", cache)
    assert filtered.ids == ["right.mp4"] and filtered.told == [wanted[1]]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("left.jpg", "right.jpg"):
        Image.new("RGB", (20, 10)).save(pictures / name)
    told_of = [{"image": "left.jpg", "caption": "a", "sibling": "right.jpg"}]
    told_of.append({"image": "right.jpg", "caption": "b"})
    (pictures / "captions.jsonl").write_text("\n".join(map(json.dumps, told_of)))
    examples = opening.open_source(f"folder:{pictures}", cache)
    assert examples.told == [[Told(True, "right.jpg", "motion")], [Told()]]


@pytest.mark.parametrize(
    "line, said",
    [
        ({"sibling": "gone.jpg"}, "found 'gone.jpg' as the sibling of 'a.jpg', wanted the path of"),
        ({"sibling": "./a.jpg"}, "found './a.jpg' as the sibling of 'a.jpg', wanted the path of"),
        ({"sibling": 3}, "found 3 and 'motion', wanted \"sibling\", the path of another file"),
        ({"sibling": "b.jpg", "differs": 3}, "found 'b.jpg' and 3, wanted \"sibling\", the path"),
    ],
)
def test_a_sibling_that_is_no_other_file_of_the_folder_is_named(
    line: dict, said: str, tmp_path: Path
) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg")
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": "a.jpg", "caption": "x"} | line))
    with pytest.raises(ValueError, match=re.escape(said)):
        opening.open_source(f"folder:{tmp_path}", str(tmp_path / "cache"))


def test_drawn_sources_are_stores_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def prepared(split: str, count: int | None, cache_dir: str) -> Path:
        asked.append((split, count, cache_dir))
        directory = tmp_path / f"{split}-{count}"
        with records.StoreWriter(directory, "drawn") as writer:
            frames = [b"one", b"two"] if split == "videos" else [b"one"]
            writer.add("0", frames, ["x"], 64, 64)
        return directory

    module = ModuleType("input_pipeline.drawn.cache")
    monkeypatch.setattr(module, "prepared", prepared, raising=False)
    package = ModuleType("input_pipeline.drawn")
    monkeypatch.setattr(package, "cache", module, raising=False)
    monkeypatch.setitem(sys.modules, "input_pipeline.drawn", package)
    monkeypatch.setitem(sys.modules, "input_pipeline.drawn.cache", module)
    stills = opening.open_source("drawn:stills:100", "cache")
    videos = opening.open_source("drawn:videos", "cache")
    assert asked == [("stills", 100, "cache"), ("videos", None, "cache")]
    assert (stills.is_video, fetched(stills, 0)) == (False, [b"one"])
    assert (videos.is_video, fetched(videos, 0)) == (True, [b"one", b"two"])
    for source in ("drawn:stills:", "drawn:stills:many", "drawn:stills:0", "drawn:stills:-1"):
        with pytest.raises(ValueError, match="wanted a whole number above 0"):
            opening.open_source(source, "cache")


ODD_CAPTIONS = {
    "long": "word " * 10_000,
    "empty": "  ",
    "one letter": "x",
    "strange": "\u0000é\u202e🎉",
}


def write_source(
    kind: str, directory: Path, samples: Sequence[tuple[str, str | None, bytes]]
) -> str:
    """The samples (name, caption, picture) as a source of that kind."""
    if kind == "folder":
        lines = []
        for name, caption, picture in samples:
            (directory / name).write_bytes(picture)
            lines.append(json.dumps({"image": name, "captions": [caption]}))
        lines[3:3] = ["{", "7", '{"image": "../x", "captions": ["x"]}', lines[0]]
        (directory / "captions.jsonl").write_text("\n".join(lines))
        return f"folder:{directory}"
    write, suffix = {"tfrecord": (write_tfrecord, "tfrecord"), "webdataset": (write_tar, "tar")}[
        kind
    ]
    write(directory / f"0.{suffix}", [*samples, samples[0]])
    return f"{kind}:{directory}/*.{suffix}"


@pytest.mark.parametrize("kind", ["folder", "tfrecord", "webdataset"])
def test_every_odd_picture_and_caption_is_used_or_quarantined(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = [(name.replace(" ", "_"), "x", picture) for name, picture in GOOD.items()]
    samples += [(f"plain{n}", "x", encoded(10 * n)) for n in range(8)]
    samples += [(name.replace(" ", "_"), text, encoded(5)) for name, text in ODD_CAPTIONS.items()]
    good = [name for name, _, _ in samples if name != "empty"]
    samples += [(f"bad_{name.replace(' ', '_')}", "x", b) for name, (b, _) in BROKEN.items()]
    memory.forget()
    before = memory.peak()
    examples = opening.open_source(write_source(kind, tmp_path, samples), str(tmp_path / "cache"))
    # One batch is an epoch, of folders without what was found before.
    animation = AnimationConfig(num_frames=2, image_size=16)
    config = BatchConfig(animation, len(examples.ids), seed=0, canvas_size=32)
    run = train_batches(examples, config, start_step=0)
    for batch, _ in zip(run, range(2), strict=False):
        assert {examples.ids[n] for n in batch.index} == set(good)
        assert (batch.tokens.max(axis=1) == 49407).all()
    assert memory.peak() - before < 400_000
    assert examples.quarantine is not None
    lines = [json.loads(line) for line in examples.quarantine.read_text().splitlines()]
    assert all(line["count"] == 1 and len(line["reason"]) > 9 for line in lines)
    bad = {line["file"] for line in lines}
    assert bad >= {name for name, _, _ in samples if name.startswith("bad_")}
    assert not bad & set(good)
    others = {"folder": 3, "tfrecord": 1, "webdataset": 1}[kind]
    # The empty caption has a line of its own in a folder, by its number.
    assert len(bad) == len(BROKEN) + 1 + others
    assert str(examples.quarantine) in capsys.readouterr().err


@pytest.mark.parametrize("num_frames", [1, 3])
def test_what_breaks_of_a_store_is_quarantined_in_the_cache(
    num_frames: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "store"
    with records.StoreWriter(directory, "test") as writer:
        for n in range(8):
            writer.add(f"item {n}", [encoded(20 * n)] * num_frames, ["x"], 40, 30)
    data = bytearray((directory / records.RECORDS).read_bytes())
    data[records.read_index(directory)[3]["offset"] + 300] ^= 0xFF
    (directory / records.RECORDS).write_bytes(data)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    examples = opening.open_source(f"folder:{directory}", str(tmp_path / "cache"))
    animation = AnimationConfig(num_frames=2, image_size=16)
    run = train_batches(examples, BatchConfig(animation, 8, seed=0, canvas_size=32), start_step=0)
    assert sorted(next(run).index) == [0, 1, 2, 4, 4, 5, 6, 7]
    listed = examples.quarantine
    assert listed is not None and listed.is_relative_to(tmp_path / "cache")
    (line,) = map(json.loads, listed.read_text().splitlines())
    assert line["file"] == "item 3" and "can't be decoded" in line["reason"]
    assert f"'item 3' can't be decoded: {line['reason'][18:]}; others stand in, see {listed}" in (
        capsys.readouterr().err
    )
    # A store may be shared, or on a disk that can't be written.
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_real_pictures(tmp_path: Path, shared_data: Path) -> None:
    examples = opening.open_source(f"folder:{shared_data / 'imgcap'}@split=dev", str(tmp_path))
    assert len(examples.ids) == 1000 and all(len(some) == 5 for some in examples.captions)
    (encoded,) = fetched(examples, 999)
    assert tf.image.decode_jpeg(encoded).shape[-1] == 3


def test_real_videos(tmp_path: Path, shared_data: Path) -> None:
    text = (shared_data / "vidcap" / "captions.jsonl").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if json.loads(line)["seconds"] < 4]
    pool = [line for line in lines if json.loads(line)["retrieval_pool"]]
    chosen = pool[:5] + [line for line in lines if line not in pool][:1]
    assert len(chosen) == 6
    (tmp_path / "videos").mkdir()
    for line in chosen:
        file = json.loads(line)["video"]
        (tmp_path / file).write_bytes((shared_data / "vidcap" / file).read_bytes())
    (tmp_path / "captions.jsonl").write_text("\n".join(chosen), encoding="utf-8")
    source = f"folder:{tmp_path}@retrieval_pool=true"
    examples = opening.open_source(source, str(tmp_path / "cache"))
    assert examples.is_video
    assert examples.ids == [json.loads(line)["video"] for line in pool[:5]]
    assert examples.captions == [json.loads(line)["captions"] for line in pool[:5]]
    assert all(len(fetched(examples, n)) == 16 for n in range(5))


def test_what_must_be_on_a_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cache_dir gs://bucket/x: wanted a folder on a disk"):
        opening.open_source("drawn:val:2", "gs://bucket/x")


def test_the_cache_is_kept_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    opening.open_source("drawn:val:2", "~/cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["drawn-v4-val-2"]
    assert not (tmp_path / "~").exists()
