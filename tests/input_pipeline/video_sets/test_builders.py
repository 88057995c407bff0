"""Tests of input_pipeline.video_sets.builders."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from input_pipeline.media.video import write_video
from input_pipeline.store import records
from input_pipeline.store import videos as prepare_videos

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow_datasets as tfds

    from input_pipeline.video_sets import builders

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def download(write, **videos: int) -> Path:
    directory = write(
        {
            "train_list.txt": "v0\nv1\ngone\n",
            "val_list.txt": "v2\n",
            "test_list.txt": "v3\n",
            "captions_msvd.json": {f"v{n}": [f"caption {n}", "x"] for n in range(4)}
            | {"gone": ["y"]},
        }
    )
    for name, level in videos.items():
        write_video(directory / f"{name}.mp4", np.full((8, 32, 48, 3), level, np.uint8), 10)
    return directory


def build(builder: tfds.core.DatasetBuilder, directory: Path) -> None:
    config = tfds.download.DownloadConfig(manual_dir=str(directory))
    builder.download_and_prepare(download_config=config)


def test_msvd_is_built_and_loaded(write, tmp_path: Path) -> None:
    directory = download(write, v0=40, v1=80, v2=120, v3=160)
    (directory / "v1.mp4").write_bytes((directory / "v1.mp4").read_bytes()[:300])
    build(builders.Msvd(data_dir=tmp_path), directory)
    read = {"frames": tfds.decode.SkipDecoding()}
    data = {
        part: list(
            tfds.load("msvd", split=part, data_dir=tmp_path, decoders=read).as_numpy_iterator()
        )
        for part in ("train", "val", "test")
    }
    assert {part: [e["video_id"] for e in examples] for part, examples in data.items()} == {
        "train": [b"v0"],
        "val": [b"v2"],
        "test": [b"v3"],
    }
    (example,) = data["test"]
    assert example["captions"].tolist() == [b"caption 3", b"x"]
    settings = prepare_videos.FrameSettings()
    encoded = prepare_videos.encode_video(directory / "v3.mp4", settings)
    assert example["frames"].tolist() == encoded.frames
    decoded = next(builders.Msvd(data_dir=tmp_path).as_dataset(split="val").as_numpy_iterator())
    assert decoded["frames"].shape == (16, 32, 48, 3)
    assert abs(int(decoded["frames"].mean()) - 120) < 4
    (path,) = tmp_path.glob("msvd/*/quarantine.jsonl")
    bad = {line["file"]: line["reason"] for line in records.read_lines(path)}
    assert [*bad] == ["gone", "v1"] and "can't be decoded" in bad["v1"]


def test_too_many_missing_videos_stop_it(write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 of 5 videos can't be used, wanted 50% at most"):
        build(builders.Msvd(data_dir=tmp_path), download(write, v0=1, v1=2))
    directory = download(write, v0=1, v1=2, v2=3, v3=4)
    for name in ("v0", "v1"):
        (directory / f"{name}.mp4").write_text("<html>")
    with pytest.raises(ValueError, match="3 of 5 videos can't be used, wanted 50% at most"):
        build(builders.Msvd(data_dir=tmp_path), directory)
    assert not list(tmp_path.glob("msvd/*/*.tfrecord*"))


def test_every_protocol_is_a_configuration() -> None:
    assert [*builders.Msrvtt.builder_configs] == ["1k-A-9k", "1k-A-7k", "full"]
    assert [*builders.Vatex.builder_configs] == ["hgr", "test1k5"]
    assert {"msrvtt", "msvd", "vatex"} <= set(tfds.list_builders(with_community_datasets=False))
