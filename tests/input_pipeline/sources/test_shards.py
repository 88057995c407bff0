"""Tests of input_pipeline.sources.shards, over both formats that it serves."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from animclip_jax.animation.batch import Filmed
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.training import data
from input_pipeline import batches
from input_pipeline.examples import BatchConfig, Examples
from input_pipeline.media import picture
from input_pipeline.sources import shards, tfrecord, webdataset
from input_pipeline.sources.opening import open_source
from tests.input_pipeline import shard_files
from tests.input_pipeline.shard_files import encoded, write_tar, write_tfrecord

FORMATS = {"tfrecord": (write_tfrecord, "tfrecord"), "webdataset": (write_tar, "tar")}
ANIMATION = AnimationConfig(num_frames=3, image_size=16)


def sample(n: int) -> tuple[str, str, bytes]:
    return f"{n:09d}", f"picture {n}", encoded(10 * n)


@pytest.fixture(params=FORMATS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def write(kind: str, path: Path, samples: list) -> None:
    FORMATS[kind][0](path.with_suffix("." + FORMATS[kind][1]), samples)


def opened(kind: str, tmp_path: Path, pattern: str = "*") -> Examples:
    location = f"{tmp_path}/{pattern}.{FORMATS[kind][1]}"
    return open_source(f"{kind}:{location}", str(tmp_path / "cache"))


def levels(batch: Filmed) -> np.ndarray:
    return (batch.canvas[:, :8, :8].mean(axis=(1, 2, 3)) / 10).round().astype(int)


def run(
    examples: Examples, steps: int, start_step: int = 0, batch_size: int = 4, **process: Any
) -> list[Any]:
    config = BatchConfig(ANIMATION, batch_size=batch_size, seed=3, canvas_size=32)
    made = batches.train_batches(examples, config, start_step=start_step, **process)
    return list(itertools.islice(made, steps))


def test_pictures_are_read_at_random(kind: str, tmp_path: Path) -> None:
    for shard in range(3):
        write(kind, tmp_path / f"{shard:05d}", [sample(4 * shard + n) for n in range(4)])
    examples = opened(kind, tmp_path)
    assert examples.ids == [f"{n:09d}" for n in range(12)]
    assert examples.captions == [[f"picture {n}"] for n in range(12)]
    assert (examples.sizes == [30, 40]).all() and not examples.is_video
    for n in (11, 0, 5, 4, 3):
        assert examples.fetch(tf.constant(n, tf.int64)).numpy().tolist() == [encoded(10 * n)]
    dataset = tf.data.Dataset.range(12).map(examples.fetch, num_parallel_calls=3)
    assert [list(some) for some in dataset.as_numpy_iterator()] == [
        [encoded(10 * n)] for n in range(12)
    ]


def test_batches_depend_on_their_step_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shard in range(2):
        write(kind, tmp_path / f"{shard:05d}", [sample(8 * shard + n) for n in range(8)])
    examples = opened(kind, tmp_path)
    whole = run(examples, 4, batch_size=8)
    index = np.concatenate([batch.index for batch in whole])
    assert sorted(index[:16]) == sorted(index[16:]) == list(range(16))
    assert (index[:16] != index[16:]).any()
    assert all((levels(batch) == batch.index).all() for batch in whole)
    # Processes, and threads of each.
    for process_count, process_index in ((1, 0), (2, 1), (8, 0), (8, 7)):
        monkeypatch.setattr(batches, "FILMED_AT_ONCE", process_count)
        process = {"process_index": process_index, "process_count": process_count}
        part = 8 // process_count
        rows = slice(process_index * part, (process_index + 1) * part)
        for batch, piece in zip(
            whole[2:], run(examples, 2, 2, batch_size=8, **process), strict=True
        ):
            for array, fragment in zip(tf.nest.flatten(batch), tf.nest.flatten(piece), strict=True):
                assert array[rows].tobytes() == fragment.tobytes()


def test_what_can_be_seen_at_once_is_quarantined(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = [*map(sample, range(6)), ("text", "x", b"<html>"), ("mute", None, encoded(1))]
    samples += [("empty", " ", encoded(1)), sample(3), ("tiff", "x", encoded(1, kind="TIFF"))]
    write(kind, tmp_path / "0", samples)
    examples = opened(kind, tmp_path)
    assert len(examples.ids) == 6 and examples.quarantine is not None
    lines = map(json.loads, examples.quarantine.read_text().splitlines())
    reasons = {line["file"]: line["reason"] for line in lines}
    assert list(reasons) == ["text", "mute", "empty", "000000003 again", "tiff"]
    assert examples.missing == reasons and len(examples.ids) == 6
    for name, part in [("text", "identify"), ("mute", "no caption"), ("empty", "no caption"),
                       ("000000003 again", "this name already"), ("tiff", "a TIFF")]:  # fmt: skip
        assert part in reasons[name], reasons[name]
    assert "5 of 11 files can't be used" in capsys.readouterr().err


def test_two_downloads_that_number_their_keys_alike_are_both_used(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for number, name in enumerate(("cc12m", "cc3m")):
        (tmp_path / name).mkdir()
        mute = ("000000009", None if number == 0 else "seen", encoded(90 + number))
        pictures = [(f"{n:09d}", f"{name} {n}", encoded(20 * n + number)) for n in range(4)]
        write(kind, tmp_path / name / "00000", [*pictures, mute])
        paths.append(f"{tmp_path}/{name}/00000.{FORMATS[kind][1]}")
    examples = open_source(f"{kind}:{','.join(paths)}", str(tmp_path / "cache"))
    assert len(set(examples.ids)) == len(examples.ids) == 9
    assert examples.ids[:4] == [f"{n:09d}" for n in range(4)]
    name = f"cc3m/00000.{FORMATS[kind][1]}"
    assert examples.ids[4:] == [f"{name} {n:09d}" for n in (0, 1, 2, 3, 9)]
    wanted = [[f"{name} {n}"] for name in ("cc12m", "cc3m") for n in range(4)] + [["seen"]]
    assert examples.captions == wanted
    assert examples.fetch(tf.constant(6, tf.int64)).numpy()[0] == encoded(41)
    # What can't be used of the one is not excused by its namesake in the other.
    assert [*examples.missing] == ["000000009"] and len(examples.ids) == 9
    assert "1 of 10 files can't be used" in capsys.readouterr().err


def test_files_that_moved_hold_the_same_items(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a relative pattern; keys of two files are alike, as those of two downloads."""
    for number in range(2):
        (tmp_path / "here" / f"{number}").mkdir(parents=True)
        write(kind, tmp_path / "here" / f"{number}" / "00000", [sample(n) for n in range(3)])
    before = opened(kind, tmp_path, "here/*/*")
    monkeypatch.chdir(tmp_path)
    relative = open_source(f"{kind}:here/*/*.{FORMATS[kind][1]}", str(tmp_path / "cache"))
    (tmp_path / "here").rename(tmp_path / "there")
    after = opened(kind, tmp_path, "there/*/*")
    assert data.digest(before) == data.digest(relative) == data.digest(after)
    assert after.ids[3] == f"1/00000.{FORMATS[kind][1]} 000000000"


def test_records_without_a_key_have_the_same_ids_elsewhere(tmp_path: Path) -> None:
    digests = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        for number in range(2):
            with tf.io.TFRecordWriter(str(tmp_path / name / f"{number}.tfrecord")) as writer:
                writer.write(record_of(jpg=[encoded(number)], txt=[b"x"]))
        examples = opened("tfrecord", tmp_path / name)
        assert examples.ids == ["record 0", "1.tfrecord record 0"]
        digests.append(data.digest(examples))
    assert digests[0] == digests[1]


def test_pictures_cut_short_are_stood_in_for(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [encoded(10 * n, (160, 120)) for n in range(12)]
    pictures[5] = pictures[5][: len(pictures[5]) * 2 // 3]
    cut = [(f"{n:09d}", "x", picture) for n, picture in enumerate(pictures)]
    write(kind, tmp_path / "0", cut)
    examples = opened(kind, tmp_path)
    assert len(examples.ids) == 12
    for batch in run(examples, 3):
        assert 5 not in batch.index and (levels(batch) == batch.index).all()
    assert "'000000005' can't be decoded" in capsys.readouterr().err
    # It stays in its place when the source is opened again, else the order would be another.
    again = opened(kind, tmp_path)
    assert again.ids == examples.ids and again.missing == {}
    assert all(
        (a.index == b.index).all() for a, b in zip(run(again, 3), run(examples, 3), strict=True)
    )


def test_a_file_cut_short_gives_what_it_still_holds(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path / "0", [*map(sample, range(8))])
    path = tmp_path / f"0.{FORMATS[kind][1]}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 5 // 8])
    examples = opened(kind, tmp_path)
    assert 3 <= len(examples.ids) <= 6 and examples.quarantine is not None
    assert len(examples.quarantine.read_text().splitlines()) == 1
    for n in range(len(examples.ids)):
        assert examples.fetch(tf.constant(n, tf.int64)).numpy()[0] == encoded(10 * n)


def record_of(**features: list[bytes]) -> bytes:
    """A tf.train.Example with those features, "__" standing for "/"."""
    feature = {
        name.replace("__", "/"): tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        for name, values in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def test_records_under_other_names(tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "0.tfrecord")) as writer:
        for record in (
            record_of(image__encoded=[encoded(1)], caption=[b"one", b"two"], image__id=[b"7"]),
            record_of(png=[encoded(2, kind="PNG")], text=[b"\xff latin"]),
            record_of(jpg=[encoded(3)], png=[encoded(3)], txt=[b"x"], key=[b"both"]),
            record_of(webp=[encoded(4, kind="WEBP")], captions__text=[b"of tfds"], key=[b"k"]),
            b"\xff no example",
            record_of(txt=[b"x"]),
        ):
            writer.write(record)
    examples = opened("tfrecord", tmp_path)
    assert examples.ids == ["7", "record 1", "k"]
    assert examples.captions == [["one", "two"], ["\ufffd latin"], ["of tfds"]]
    for n, (level, form) in enumerate([(1, "JPEG"), (2, "PNG"), (4, "WEBP")]):
        assert examples.fetch(tf.constant(n, tf.int64)).numpy()[0] == encoded(level, kind=form)
    reasons = examples.missing
    assert "2 pictures, wanted one" in reasons["record 2"]
    assert "not a tf.train.Example" in reasons["record 4"]
    assert "0 pictures, wanted one" in reasons["record 5"]


def test_records_that_are_too_long_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = ("long", "x" * 5000, encoded(1))
    write("tfrecord", tmp_path / "0", [sample(0), long, sample(2)])
    monkeypatch.setattr(picture, "MAX_BYTES", 4000)
    examples = opened("tfrecord", tmp_path)
    assert examples.ids == ["000000000", "000000002"]
    (reason,) = examples.missing.values()
    assert "bytes, wanted 4000 at most" in reason


def test_pictures_turned_by_exif_keep_their_mark(kind: str, tmp_path: Path) -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(buffer, "JPEG", exif=exif)
    write(kind, tmp_path / "0", [("a", "x", buffer.getvalue()), sample(1)])
    examples = opened(kind, tmp_path)
    assert examples.sizes.tolist() == [[40, 30], [30, 40]]
    assert examples.orientations.tolist() == [6, 1]


@pytest.mark.parametrize("bytes_lacking", range(1, 5))
def test_a_record_without_its_end_is_not_used(tmp_path: Path, bytes_lacking: int) -> None:
    write("tfrecord", tmp_path / "0", [*map(sample, range(3))])
    path = tmp_path / "0.tfrecord"
    path.write_bytes(path.read_bytes()[:-bytes_lacking])
    examples = opened("tfrecord", tmp_path)
    assert examples.ids == ["000000000", "000000001"]
    assert "cut short" in examples.missing["record 2"]


def test_boxes_of_both_formats_are_kept_in_the_index(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [0.1, 0.2, 0.5, 1.0]
    monkeypatch.setattr(
        shard_files, "metadata", lambda key, _: {"box": seen} if key == sample(1)[0] else {}
    )
    write(kind, tmp_path / "a", [sample(0), sample(1)])
    for _ in range(2):  # of the files, then of the index
        boxes = opened(kind, tmp_path).boxes
        assert boxes is not None and boxes.dtype == np.float32
        assert np.isnan(boxes[0]).all()
        np.testing.assert_allclose(boxes[1], seen, atol=1e-7)


def test_no_usable_picture_is_an_error(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path / "0", [("a", None, encoded(1)), ("b", None, encoded(2))])
    with pytest.raises(ValueError, match="over half .* 2 of 2 files can't be used"):
        opened(kind, tmp_path)
    with pytest.raises(FileNotFoundError, match="gone.*no such file"):
        opened(kind, tmp_path, "gone*")


def test_the_index_is_made_once(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(kind, tmp_path / "0", [*map(sample, range(3))])
    first = opened(kind, tmp_path)
    module = {"tfrecord": tfrecord, "webdataset": webdataset}[kind]
    monkeypatch.setattr(module, "read", lambda file: pytest.fail("read again"))
    assert opened(kind, tmp_path).ids == first.ids
    monkeypatch.undo()
    time.sleep(0.01)
    write(kind, tmp_path / "0", [*map(sample, range(5))])
    assert len(opened(kind, tmp_path).ids) == 5
    # Another length, though the time is the same; and the reverse.
    path = tmp_path / f"0.{FORMATS[kind][1]}"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    write(kind, tmp_path / "0", [*map(sample, range(20))])
    os.utime(path, ns=times)
    assert len(opened(kind, tmp_path).ids) == 20
    path.write_bytes(path.read_bytes().replace(b"picture 3", b"picture X"))
    os.utime(path, ns=(times[0], times[1] + 1))
    assert ["picture X"] in opened(kind, tmp_path).captions


def test_a_kept_index_that_is_damaged_is_named(tmp_path: Path) -> None:
    write("tfrecord", tmp_path / "a", [sample(0), sample(1)])
    opened("tfrecord", tmp_path)
    (place,) = (tmp_path / "cache").glob(f"*/{shards.COLUMNS}")
    path = place / "offset"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError) as raised:
        opened("tfrecord", tmp_path)
    advice = f"remove {place.parent}, and it is made again"
    assert str(raised.value) == f"{path}: 8 bytes, wanted 16; {advice}"
    # What the message says to do helps.
    shutil.rmtree(place.parent)
    assert opened("tfrecord", tmp_path).ids == [sample(0)[0], sample(1)[0]]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.tar", ["00.tar", "01.tar", "10.tar"]), ("{00..01}.tar", ["00.tar", "01.tar"]),
        ("{10,00}.tar", ["00.tar", "10.tar"]), ("0?.tar", ["00.tar", "01.tar"]),
        ("[1]*.tar", ["10.tar"]), ("{0{0,1},10}.tar", ["00.tar", "01.tar", "10.tar"]),
    ],
)  # fmt: skip
def test_patterns(tmp_path: Path, pattern: str, names: list[str]) -> None:
    for name in ("00.tar", "01.tar", "10.tar", "x.txt"):
        (tmp_path / name).touch()
    found = shards.expand(f"{tmp_path}/{pattern}")
    assert found == [f"{tmp_path}/{name}" for name in names]
    assert shards.expand(f"{tmp_path}/01.tar,{tmp_path}/{{10..10}}.tar")[1].endswith("10.tar")
    with pytest.raises(FileNotFoundError, match="02.tar: no such file"):
        shards.expand(f"{tmp_path}/{{00..02}}.tar")
    with pytest.raises(FileNotFoundError, match="stands for no name"):
        shards.expand(f"{tmp_path}/{{02..00}}.tar")
    assert shards.expand(f"{tmp_path}/00.tar,{tmp_path}/0*.tar") == shards.expand(
        f"{tmp_path}/0?.tar"
    )


def test_files_need_not_be_on_a_disk(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(kind, tmp_path / "0", [*map(sample, range(5))])
    remote = f"ram://{kind}-files/0.{FORMATS[kind][1]}"
    tf.io.gfile.makedirs(f"ram://{kind}-files")
    tf.io.gfile.copy(str(tmp_path / f"0.{FORMATS[kind][1]}"), remote, overwrite=True)
    examples = open_source(f"{kind}:ram://{kind}-files/*", str(tmp_path / "cache"))
    for n in (4, 0, 2):
        assert examples.fetch(tf.constant(n, tf.int64)).numpy()[0] == encoded(10 * n)
    assert ("is not on a disk" in capsys.readouterr().err) == (kind == "webdataset")


def timed(act: Callable[[], object]) -> float:
    """Seconds of the CPU, of all threads."""
    began = time.process_time()
    act()
    return time.process_time() - began


def test_a_late_step_is_reached_as_fast_as_the_first(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path / "0", [*map(sample, range(12))])
    examples = opened(kind, tmp_path)
    run(examples, 1)
    early = min(timed(lambda: run(examples, 1)) for _ in range(2))
    late = min(timed(lambda: run(examples, 1, start_step=1_000_000)) for _ in range(2))
    # Reading past a million batches would take a thousand times as long.
    assert late < 5 * early + 1


@pytest.mark.parametrize("name", ["[a].tar", "{b,c}.tar", "d,e.tar", "f:g.tar", "*.tar", "?.tar"])
def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path, name):
    for other in ("a.tar", "b.tar", "d", name):
        (tmp_path / other).touch()
    assert shards.expand(f"{tmp_path}/{name}") == [f"{tmp_path}/{name}"]
