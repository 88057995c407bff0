"""Tests of input_pipeline.columns."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from input_pipeline.columns import columns, ops
from input_pipeline.columns.columns import Row
from input_pipeline.columns.texts import Captions, Texts
from input_pipeline.examples import Told

BOX = [0.25, 0.0, 0.5, 1.0]
KNOWN = [Told(True, "a", "slide"), Told()]
# What few rows have comes late, behind rows of other chunks.
ROWS = [
    *(Row(f"{n}", [f"caption {n}"], (30 + n, 40), offset=7 * n) for n in range(6)),
    Row("ä\udc80", ["größer", "", "x\0y"], (1, 2), orientation=6, offset=2**40, length=9),
    Row("boxed", ["b"], (3, 4), file=2, offset=50, box=BOX, is_video=True),
    Row("told", ["one", "two"], (5, 6), told=KNOWN),
    Row("last", ["z"], (7, 8)),
]


@pytest.fixture(autouse=True)
def few_rows_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_ROWS", 4)


def rows(missing: dict[str, str]) -> Iterator[Row]:
    yield from ROWS
    missing["bad"] = "no caption"


@pytest.fixture(params=["held", "kept", "opened again"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> columns.Columns:
    if request.param == "held":
        return columns.held(rows)
    found = columns.kept(tmp_path / "columns", rows)
    if request.param == "kept":
        return found
    return columns.kept(tmp_path / "columns", lambda _: pytest.fail("made again"))


def test_columns_hold_what_the_rows_were(made: columns.Columns) -> None:
    assert made.ids == [row.id for row in ROWS]
    assert made.captions == [row.captions for row in ROWS]
    assert made.sizes.tolist() == [[*row.size] for row in ROWS] and made.sizes.dtype == np.int32
    assert made.orientations.tolist() == [row.orientation for row in ROWS]
    assert made.offsets.tolist() == [row.offset for row in ROWS] and made.offsets.dtype == np.int64
    assert made.lengths.tolist() == [row.length for row in ROWS]
    assert made.files.tolist() == [row.file for row in ROWS]
    assert made.boxes is not None and made.boxes.dtype == np.float32
    assert made.boxes[7].tolist() == BOX
    assert np.isnan(np.delete(made.boxes, 7, 0)).all()
    assert made.told == [list(row.told) or [Told()] * len(row.captions) for row in ROWS]
    assert made.is_video and made.missing == {"bad": "no caption"}


def test_the_digest_is_of_ids_and_captions(made: columns.Columns) -> None:
    """Runs keep it: with another one they could not be resumed."""
    listed = "".join(json.dumps([row.id, row.captions]) for row in ROWS)
    wanted = hashlib.sha256(listed.encode()).hexdigest()
    assert made.digest == columns.digest(made.ids, made.captions) == wanted


def test_tensorflow_takes_the_same(made: columns.Columns) -> None:
    index = tf.constant([8, 6, 0, 6, 9], tf.int64)
    assert ops.rows(made.sizes)(index).numpy().tolist() == made.sizes[index.numpy()].tolist()
    turned = ops.rows(made.orientations)(tf.reshape(index, [5, 1])).numpy()
    assert turned.tolist() == [[1], [6], [1], [6], [1]]
    words = made.captions.texts
    place = tf.constant([8, 6, 7, 0, 8, 12], tf.int64)
    found = [word.decode() for word in ops.texts(words)(place).numpy()]
    assert found == ["x\0y", "größer", "", "caption 0", "x\0y", words[-1]]


def test_what_no_row_has_takes_no_file_and_no_memory(tmp_path: Path) -> None:
    made = columns.kept(tmp_path / "columns", lambda _: ROWS[:6])
    assert {path.name for path in (tmp_path / "columns").iterdir()} == {
        *("columns.json", "captions.ends", "caption.utf8", "caption.ends", "id.utf8", "id.ends"),
        *("size", "offset"),
    }
    assert made.boxes is None and made.told == () and not made.is_video
    assert made.orientations.tolist() == [1] * 6 and made.orientations.strides == (0,)
    both = tf.constant([[0, 1], [2, 3]], tf.int64)
    assert ops.rows(made.orientations)(both).numpy().tolist() == [[1, 1], [1, 1]]
    assert ops.rows(made.files)(tf.constant(5, tf.int64)).numpy() == 0


def test_a_source_may_have_no_rows(tmp_path: Path) -> None:
    for made in (columns.held(lambda _: []), columns.kept(tmp_path / "none", lambda _: [])):
        assert made.ids == [] and made.captions == [] and len(made.sizes) == 0


def test_rows_are_sequences() -> None:
    captions = Captions.of([["a", "b"], ["c"], ["d"]])
    assert captions[-1] == ["d"] and captions[1:] == [["c"], ["d"]]
    assert captions[::-2] == [["d"], ["a", "b"]]
    assert captions != [["a", "b"], ["c"]] and captions != [["a"], ["c"], ["d"]] and captions != 3
    assert captions[np.int64(1)] == ["c"]  # type: ignore[call-overload]
    assert Captions.of(captions) is captions
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} of 3 rows"):
            captions[index]
    assert repr(Texts.of(["a", "b", "c", "d"])) == "<Texts ['a', 'b', 'c'] and 1 more>"


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(_: dict[str, str]) -> Iterator[Row]:
        yield from ROWS
        raise ValueError("line 11")

    with pytest.raises(ValueError, match="line 11"):
        columns.kept(tmp_path / "columns", broken)
    assert [path.name for path in tmp_path.iterdir()] == [".columns.making"]
    assert columns.kept(tmp_path / "columns", rows).ids[0] == "0"


@pytest.mark.parametrize("name", ["size", "caption.utf8", "id.ends", "captions.ends"])
def test_a_column_that_is_cut_short_or_gone_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "index" / "columns"
    columns.kept(folder, rows)
    path = folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    advice = f"; remove {folder.parent}, and it is made again"
    with pytest.raises(ValueError) as raised:
        columns.kept(folder, rows)
    assert str(raised.value) == f"{path}: {len(whole) - 1} bytes, wanted {len(whole)}{advice}"
    path.unlink()
    with pytest.raises(FileNotFoundError) as gone:
        columns.kept(folder, rows)
    assert str(gone.value) == f"{path}: no such file{advice}"


@pytest.mark.parametrize(
    "changed", [{"version": 99}, {"numbers": 3}, {"bytes": {}}, {"num_examples": "x"}, None]
)
def test_a_damaged_description_is_named(tmp_path: Path, changed: dict | None) -> None:
    folder = tmp_path / "index" / "columns"
    columns.kept(folder, rows)
    path = folder / columns.ABOUT
    whole = json.loads(path.read_text())
    path.write_text("{" if changed is None else json.dumps(whole | changed))
    with pytest.raises(ValueError) as raised:
        columns.kept(folder, rows)
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(f"remove {folder.parent}, and it is made again")


def test_who_opens_it_meanwhile_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun, go_on, times = threading.Event(), threading.Event(), []

    def slow(_: dict[str, str]) -> Iterator[Row]:
        times.append(1)
        begun.set()
        assert go_on.wait(60)
        yield from ROWS

    folder = tmp_path / "columns"
    first = threading.Thread(target=columns.kept, args=(folder, slow))
    first.start()
    assert begun.wait(60)
    threading.Timer(0.3, go_on.set).start()
    assert columns.kept(folder, slow).ids == [row.id for row in ROWS]
    first.join()
    assert times == [1]
    assert f"{folder}: waiting for the process that writes it" in capsys.readouterr().err


def test_columns_above_two_gigabytes_are_mapped_and_taken(tmp_path: Path) -> None:
    """More bytes than an int32 counts, of which the disk holds the last alone."""
    start = 3 << 30
    with (tmp_path / "heap").open("wb") as file:
        file.seek(start)
        file.write("ein Bär".encode())
    heap = np.memmap(tmp_path / "heap", np.uint8, "r")
    words = Texts(heap, np.array([0, start, start + 4, len(heap)], np.int64))
    assert words[1:] == ["ein ", "Bär"]
    take = ops.texts(words)
    dataset = tf.data.Dataset.from_tensors(tf.constant([2, 1, 2], tf.int64)).map(take)
    (found,) = dataset.as_numpy_iterator()
    assert [word.decode() for word in found] == ["Bär", "ein ", "Bär"]
    # A part of a column is no file of its own.
    np.testing.assert_array_equal(ops.tensor(heap[start:]), heap[start:])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_pages_behind_those_of_a_row_are_not_read(tmp_path: Path) -> None:
    """They may be megabytes for each row. What is read in longer pieces, as tars are, is."""
    made = columns.kept(tmp_path / "kept", rows)
    taking = [ops.rows(made.sizes), ops.texts(made.ids)]
    whole = ops.tensor(np.memmap(tmp_path / "kept" / "offset", np.uint8, "r"))
    mappings = re.split(r"^(?=[0-9a-f]+-)", Path("/proc/self/smaps").read_text(), flags=re.M)
    ours = [
        one for one in mappings if str(tmp_path) in one and re.search(r"^VmF.* rr\b", one, re.M)
    ]
    found = {Path(one.splitlines()[0].split()[-1]).name for one in ours}
    assert found == {"size", "id.utf8", "id.ends"}
    del taking, whole
