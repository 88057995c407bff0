"""Tests of input_pipeline.store.records."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from input_pipeline.store import records

ITEMS = [
    ("first", [b"\xff\xd8one"], ["a caption", "another: ä"]),
    ("second", [b"a", b"", b"ccc" * 50_000], ["x"]),
    ("third", [b"last"], ["y"]),
]


def write(directory: Path) -> list[dict]:
    with records.StoreWriter(directory, "test") as writer:
        for name, frames, captions in ITEMS:
            writer.add(name, frames, captions, 20, 10)
    return records.read_index(directory)


def test_what_is_written_is_read_back_at_random(tmp_path: Path) -> None:
    index = write(tmp_path / "s")
    assert [line["id"] for line in index] == ["first", "second", "third"]
    assert [line["captions"] for line in index] == [captions for _, _, captions in ITEMS]
    assert [line["num_frames"] for line in index] == [1, 3, 1]
    assert (index[0]["width"], index[0]["height"]) == (20, 10)
    fetch = records.fetch_record(tmp_path / "s")
    for n in (2, 0, 1, 1):
        assert fetch(tf.constant(index[n]["offset"], tf.int64)).numpy().tolist() == ITEMS[n][1]


def test_fetching_is_tensorflow_ops_alone(tmp_path: Path) -> None:
    index = write(tmp_path / "s")
    offsets = [index[n]["offset"] for n in (1, 2, 0)]
    dataset = tf.data.Dataset.from_tensor_slices(tf.constant(offsets, tf.int64))
    dataset = dataset.map(records.fetch_record(tmp_path / "s"), num_parallel_calls=2)
    assert [x.tolist() for x in dataset.as_numpy_iterator()] == [ITEMS[n][1] for n in (1, 2, 0)]
    signature = tf.TensorSpec([], tf.int64)
    graph = tf.function(records.fetch_record(tmp_path / "s")).get_concrete_function(signature).graph
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    operations = {node.op for node in nodes}
    assert "TFRecordDatasetV2" in operations
    assert not {"PyFunc", "EagerPyFunc", "PyFuncStateless"} & operations


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), records.StoreWriter(tmp_path / "s", "t") as w:
        w.add("a", [b"a"], [], 1, 1)
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    with records.StoreWriter(tmp_path / "s", "t") as writer:
        writer.add("a", [b"a"], [], 1, 1)
        assert not (tmp_path / "s").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_an_existing_store_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "s")
    with pytest.raises(FileExistsError, match="already there"):
        write(tmp_path / "s")
    assert len(records.read_index(tmp_path / "s")) == 3


def test_an_item_without_frames_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="'empty' has no frames"),
        records.StoreWriter(tmp_path / "s", "t") as writer,
    ):
        writer.add("empty", [], [], 1, 1)


def test_an_empty_store_is_readable(tmp_path: Path) -> None:
    with records.StoreWriter(tmp_path / "s", "t"):
        pass
    assert records.read_index(tmp_path / "s") == []


@pytest.mark.parametrize("name", [records.RECORDS, records.INDEX, records.SUMMARY])
def test_a_missing_part_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "s")
    (tmp_path / "s" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: missing"):
        records.read_index(tmp_path / "s")


def test_records_cut_short_are_found_at_once(tmp_path: Path) -> None:
    write(tmp_path / "s")
    path = tmp_path / "s" / records.RECORDS
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="cut short"):
        records.read_index(tmp_path / "s")


def test_an_index_cut_short_is_found(tmp_path: Path) -> None:
    write(tmp_path / "s")
    path = tmp_path / "s" / records.INDEX
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match="2 items, but store.json says 3"):
        records.read_index(tmp_path / "s")
    path.write_text("".join(lines[:-1]) + '{"id": ', encoding="utf-8")
    with pytest.raises(ValueError, match="index.jsonl line 3: not JSON"):
        records.read_index(tmp_path / "s")


@pytest.mark.parametrize(
    ("number", "changed"),
    [
        *((1, {"offset": offset}) for offset in (-1, 5, 10**30)),
        *((2, {"offset": offset}) for offset in (0, 10**30, -(10**30), True, "21", None)),
        *((2, {name: size}) for name in ("num_frames", "width", "height") for size in (0, -3)),
        (2, {"num_frames": 10**30}),
        *((3, {"captions": captions}) for captions in ("x", [3], [None], [["x"]])),
        (3, {"id": 7}),
    ],
)
def test_a_line_of_an_index_that_can_not_be_so_is_named(
    tmp_path: Path, number: int, changed: dict
) -> None:
    """Before anything is read by it: TensorFlow would tell of bytes, not of the file and line."""
    write(tmp_path / "s")
    path = tmp_path / "s" / records.INDEX
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[number - 1] |= changed
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (name,) = changed
    with pytest.raises(ValueError) as raised:
        records.read_index(tmp_path / "s")
    said = str(raised.value)
    assert said.startswith(f"{path} line {number}: found ") and f"{name!r}, wanted " in said
    assert said.endswith(records.AGAIN) and len(said) < 400


def test_lines_of_an_index_in_another_order_or_twice_are_found(tmp_path: Path) -> None:
    write(tmp_path / "s")
    path = tmp_path / "s" / records.INDEX
    first, second, third = path.read_text().splitlines(keepends=True)
    for text in (second + first + third, first + first + third, first + third + second):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"{records.INDEX} line \d: found \d+ as 'offset'"):
            records.read_index(tmp_path / "s")


@pytest.mark.parametrize("text", [b"", b"[]\n", b"{\n", b"\xff\n", b"\n", b'"a"\n', b"{}\n"])
def test_a_line_of_an_index_that_is_no_item_is_named(tmp_path: Path, text: bytes) -> None:
    write(tmp_path / "s")
    path = tmp_path / "s" / records.INDEX
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + text + lines[2])
    match = f"{records.INDEX} line 2: |{records.INDEX}: 2 items, but store.json says 3"
    with pytest.raises(ValueError, match=match) as raised:
        records.read_index(tmp_path / "s")
    assert str(raised.value).endswith(records.AGAIN)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"version": 1}', '{"version": 1, "source": 2, "num_items": 3}']
)
def test_a_summary_that_is_damaged_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path / "s")
    (tmp_path / "s" / records.SUMMARY).write_text(text)
    with pytest.raises(ValueError, match=f"{records.SUMMARY}: .*{records.AGAIN}"):
        records.read_index(tmp_path / "s")


def test_another_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "s")
    path = tmp_path / "s" / records.SUMMARY
    path.write_text(json.dumps({"version": 99, "source": "t", "num_items": 3}))
    with pytest.raises(ValueError, match="version 99, wanted 1"):
        records.read_index(tmp_path / "s")


def test_damaged_bytes_are_an_error_not_a_picture(tmp_path: Path) -> None:
    index = write(tmp_path / "s")
    path = tmp_path / "s" / records.RECORDS
    data = bytearray(path.read_bytes())
    data[index[1]["offset"] + 500] ^= 0xFF
    path.write_bytes(bytes(data))
    fetch = records.fetch_record(tmp_path / "s")
    with pytest.raises(tf.errors.DataLossError):
        fetch(tf.constant(index[1]["offset"], tf.int64))
    assert fetch(tf.constant(index[2]["offset"], tf.int64)).numpy().tolist() == [b"last"]


def test_reading_an_index_needs_no_tensorflow(tmp_path: Path) -> None:
    write(tmp_path / "s")
    program = (
        "import sys; from input_pipeline.store import records; "
        f"assert len(records.read_index({str(tmp_path / 's')!r})) == 3; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
