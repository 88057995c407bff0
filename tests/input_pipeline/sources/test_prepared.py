"""Tests of input_pipeline.sources.prepared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from input_pipeline.sources import prepared
from input_pipeline.sources.opening import open_source
from input_pipeline.sources.prepared import open_prepared
from input_pipeline.store import records
from input_pipeline.store.told import coverage

SPLITS = {
    "hgr-test": [{"id": "c", "captions": ["as a test"]}, {"id": "gone", "captions": ["x"]}],
    "hgr-train": [{"id": id, "captions": [f"of {id}", "x"]} for id in ("b", "a")],
}


BAD = [
    {"file": "gone", "reason": "no file", "count": 1},
    {"file": "of another split", "reason": "no file", "count": 1},
]


def write(directory: Path, splits: Mapping[str, Any], bad: list[dict] | None = None) -> Path:
    with records.StoreWriter(directory, "test") as writer:
        for n, id in enumerate("abc"):
            fields = {"pool": n > 0, "n": n, "kind": id}
            writer.add(id, [id.encode()] * 2, [f"all of {id}"], 2, 2, fields)
        for name, lines in splits.items():
            writer.write_lines(f"splits/{name}.jsonl", lines)
        if bad is not None:
            writer.write_lines("quarantine.jsonl", bad)
    return directory


def test_a_store_is_a_source(tmp_path: Path) -> None:
    directory = write(tmp_path / "s", {})
    examples = open_source(f"folder:{directory}", str(tmp_path))
    assert examples.ids == ["a", "b", "c"] and examples.is_video
    assert examples.captions == [["all of a"], ["all of b"], ["all of c"]]
    assert examples.fetch(1).numpy().tolist() == [b"b", b"b"]


def test_a_filter_chooses_by_the_fields_that_were_kept(tmp_path: Path) -> None:
    directory = write(tmp_path / "s", {})
    for condition, ids in (("pool=true", ["b", "c"]), ("kind=b", ["b"]), ("n=2", ["c"])):
        assert open_source(f"folder:{directory}@{condition}", str(tmp_path)).ids == ids
    with pytest.raises(ValueError, match="s: a: no field 'split' to choose by"):
        open_prepared(f"{directory}@split=train", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="no item of it is kept"):
        open_prepared(f"{directory}@n=7", str(tmp_path / "cache"))


def test_a_split_has_its_own_captions_and_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write(tmp_path / "s", SPLITS, BAD)
    examples = open_source(f"folder:{directory}@split=hgr-train", str(tmp_path))
    assert examples.ids == ["b", "a"] and examples.captions == [["of b", "x"], ["of a", "x"]]
    assert examples.fetch(0).numpy().tolist() == [b"b", b"b"]
    assert capsys.readouterr().err == ""
    examples = open_source(f"folder:{directory}@split=hgr-test", str(tmp_path))
    assert examples.ids == ["c"] and examples.captions == [["as a test"]]
    assert "@split=hgr-test: 1 of 2 (50.0%), see" in capsys.readouterr().err
    assert examples.missing == {"gone": "no file"}
    assert (len(examples.ids), len(examples.missing)) == (1, 1)
    train = open_source(f"folder:{directory}@split=hgr-train", str(tmp_path))
    assert train.missing == {} and (len(train.ids), len(train.missing)) == (2, 0)
    assert coverage(1500, 1380) == "1,380 of 1,500 (92.0%)" and coverage(0, 0) == "0 of 0 (0.0%)"


def test_missing_items_are_chosen_by_their_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"file": "d", "reason": "cut", "count": 1, "fields": {"pool": True, "n": 7, "kind": "d"}},
        {"file": "e", "reason": "cut", "count": 1, "fields": {"pool": False, "n": 8, "kind": "e"}},
        {"file": "captions.jsonl line 9", "reason": "not JSON", "count": 1},
    ]
    directory = write(tmp_path / "s", {}, lines)
    for condition, wanted, found in (("", 6, 3), ("@pool=true", 4, 2), ("@pool=false", 3, 1)):
        examples = open_source(f"folder:{directory}{condition}", str(tmp_path))
        assert (len(examples.ids), len(examples.missing)) == (found, wanted - found)
        told = capsys.readouterr().err
        assert f"{found} of {wanted} ({found / wanted:.1%}), see {directory}" in told


def test_a_video_set_is_never_taken_as_a_whole(tmp_path: Path) -> None:
    directory = write(tmp_path / "s", SPLITS)
    for location in (f"{directory}", f"{directory}@split=test", f"{directory}@n=1"):
        with pytest.raises(ValueError, match="wanted one of its splits.*hgr-test, hgr-train"):
            open_prepared(location, str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "text", ["\n", "[]\n", '{"id": "a"}\n', '{"id": 3, "captions": []}\n', '{"id": "a", "capt']
)
def test_a_line_of_a_split_that_is_damaged_is_named(tmp_path: Path, text: str) -> None:
    directory = write(tmp_path / "s", SPLITS)
    path = directory / "splits" / "hgr-train.jsonl"
    path.write_text(path.read_text() + text)
    with pytest.raises(ValueError, match=f"hgr-train.jsonl line 3: .*{records.AGAIN}"):
        open_prepared(f"{directory}@split=hgr-train", str(tmp_path / "cache"))


def test_a_list_of_what_is_bad_may_be_damaged_too(tmp_path: Path) -> None:
    directory = write(tmp_path / "s", {}, BAD)
    (directory / "quarantine.jsonl").write_text('{"file": "gone"}\n')
    with pytest.raises(ValueError, match="quarantine.jsonl line 1: found nothing as 'reason'"):
        open_prepared(str(directory), str(tmp_path / "cache"))


def test_other_folders_are_not_stores(tmp_path: Path) -> None:
    assert open_prepared(str(tmp_path), str(tmp_path / "cache")) is None
    with pytest.raises(FileNotFoundError, match="no such directory"):
        open_prepared(str(tmp_path / "gone"), str(tmp_path / "cache"))
    directory = write(tmp_path / "s", {})
    (directory / records.INDEX).unlink()
    with pytest.raises(FileNotFoundError, match="not a complete store"):
        open_prepared(str(directory), str(tmp_path / "cache"))


def test_the_index_of_a_large_store_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of it; and again when it has changed."""
    directory, cache = write(tmp_path / "s", {}), str(tmp_path / "cache")
    small = {at: open_source(f"folder:{directory}{at}", cache) for at in ("", "@pool=true", "@n=2")}
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(prepared, "MANY", 3)
    for at, wanted in small.items():
        for again in range(2):
            with monkeypatch.context() as patched:
                if again:
                    patched.setattr(records, "each_item", lambda _: pytest.fail("read again"))
                found = open_source(f"folder:{directory}{at}", cache)
            assert found.ids == wanted.ids and found.captions == wanted.captions
            assert found.digest == wanted.digest and found.sizes.tolist() == wanted.sizes.tolist()
            for n in range(len(found.ids)):
                assert found.fetch(n).numpy().tolist() == wanted.fetch(n).numpy().tolist()
    path = directory / records.INDEX
    path.write_text(path.read_text().replace("all of b", "some of b"))
    assert open_source(f"folder:{directory}", cache).captions[1] == ["some of b"]
    data = (directory / records.RECORDS).read_bytes()
    (directory / records.RECORDS).write_bytes(data[:-1])
    with pytest.raises(ValueError, match="cut short"):
        open_source(f"folder:{directory}", cache)
    (directory / records.RECORDS).write_bytes(data)
    with pytest.raises(ValueError, match="no item of it is kept"):
        open_prepared(f"{directory}@n=7", cache)
    # What was wrong has left nothing that would be opened.
    assert len([*(tmp_path / "cache").glob("*/columns-*/columns.json")]) == 4


def test_a_split_of_a_large_store_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "MANY", 3)
    directory, cache = write(tmp_path / "s", SPLITS, BAD), str(tmp_path / "cache")
    for captions in (["of b", "x"], ["of b", "y"]):
        path = directory / "splits" / "hgr-train.jsonl"
        path.write_text(path.read_text().replace('"of b", "x"', json.dumps(captions)[1:-1]))
        for _ in range(2):
            examples = open_source(f"folder:{directory}@split=hgr-train", cache)
            assert examples.ids == ["b", "a"] and examples.captions[0] == captions
    test = open_source(f"folder:{directory}@split=hgr-test", cache)
    assert test.captions == [["as a test"]] and test.missing == {"gone": "no file"}
    path = directory / "splits" / "hgr-test.jsonl"
    path.write_text(path.read_text().replace('"as a test"', "7"))
    with pytest.raises(ValueError, match="hgr-test.jsonl: captions of 'c' are .7., wanted texts"):
        open_prepared(f"{directory}@split=hgr-test", cache)
