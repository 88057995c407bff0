"""Tests of input_pipeline.sources.tfds, on a small set that TFDS itself prepares."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from input_pipeline.sources import tfds as tfds_source
from input_pipeline.sources.opening import open_source
from tests.input_pipeline.shard_files import encoded


class TinyCaptions(tfds.core.GeneratorBasedBuilder):
    """Pictures with captions, laid out as coco_captions."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        captions = tfds.features.Sequence({"id": np.int64, "text": tfds.features.Text()})
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "image/filename": tfds.features.Text(),
            "image/id": np.int64,
            "captions": captions,
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: object) -> dict[str, Any]:
        return {"train": self._generate_examples(0, 8), "val": self._generate_examples(8, 11)}

    def _generate_examples(self, start: int, stop: int) -> Any:
        import io

        for n in range(start, stop):
            captions = [{"id": k, "text": f"picture {n} caption {k}"} for k in range(2)]
            image = io.BytesIO(encoded(10 * n))
            names = {"image/filename": f"{n}.jpg", "image/id": n}
            yield n, {"image": image, "captions": captions} | names


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("tfds")
    TinyCaptions(data_dir=str(data_dir), file_format="tfrecord").download_and_prepare()
    return data_dir


@pytest.fixture(autouse=True)
def looked_for_there(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))


@pytest.mark.parametrize(("location", "numbers"), [
    ("tiny_captions", range(8)), ("tiny_captions:val", range(8, 11)),
    ("tiny_captions/1.0.0:train", range(8)),
])  # fmt: skip
def test_a_prepared_set_is_read_at_random(location: str, numbers: range, tmp_path: Path) -> None:
    examples = open_source(f"tfds:{location}", str(tmp_path))
    # TFDS has an order of its own.
    assert sorted(examples.ids) == sorted(f"{n}.jpg" for n in numbers)
    for index in reversed(range(len(numbers))):
        n = int(examples.ids[index].removesuffix(".jpg"))
        assert examples.captions[index] == [f"picture {n} caption {k}" for k in range(2)]
        assert examples.fetch(tf.constant(index, tf.int64)).numpy().tolist() == [encoded(10 * n)]


def test_an_unprepared_set_is_refused_without_asking_anybody(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=AssertionError))
    with pytest.raises(FileNotFoundError, match="not prepared in .*: tfds build coco_captions"):
        tfds_source.files("coco_captions")


def test_what_a_set_has_not_is_named(data_dir: Path) -> None:
    with pytest.raises(ValueError, match="no split 'test', it has train, val"):
        tfds_source.files("tiny_captions:test")


def test_files_that_are_not_there_are_counted(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data_dir, tmp_path / "copy")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "copy"))
    (path,) = (tmp_path / "copy").glob("*/*/*-val.tfrecord-*")
    path.rename(path.with_name(path.name.replace("00000-of-00001", "00000-of-00002")))
    info = path.with_name("dataset_info.json")
    text = info.read_text()
    assert text.count('"3"') == 1
    info.write_text(text.replace('"3"', '"2", "1"'))
    with pytest.raises(FileNotFoundError, match="1 file of the split 'val', wanted 2"):
        tfds_source.files("tiny_captions:val")
    assert len(tfds_source.files("tiny_captions")) == 1


def test_the_newest_version_is_taken_and_configurations_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    info = '{"fileFormat": "%s", "splits": [{"name": "train"}]}'
    for folder, kind in [("a/1.9.0", "tfrecord"), ("a/1.10.0", "tfrecord"),
                         ("b/x/1.0.0", "tfrecord"), ("b/y/1.0.0", "array_record")]:  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "dataset_info.json").write_text(info % kind)
        (tmp_path / folder / "n-train.tfrecord-00000-of-00001").touch()
    assert "1.10.0" in tfds_source.files("a")[0]
    assert "/b/x/1.0.0/" in tfds_source.files("b/x")[0]
    with pytest.raises(ValueError, match="several configurations, name one of b/x, b/y"):
        tfds_source.files("b")
    with pytest.raises(ValueError, match="prepared as array_record .*, wanted tfrecord"):
        tfds_source.files("b/y")
