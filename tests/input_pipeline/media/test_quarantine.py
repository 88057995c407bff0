"""Tests of input_pipeline.media.quarantine."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from input_pipeline.media import quarantine


def add_many(path: Path, name: str) -> None:
    for n in range(40):
        quarantine.add(path, [(f"{name}{n}", "broken")])


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_a_file_with_its_reason_and_how_often(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "quarantine.jsonl"
    quarantine.add(path, [("a", "cut"), ("b", "gone"), ("a", "cut")])
    assert lines(path) == [
        {"file": "a", "reason": "cut", "count": 2},
        {"file": "b", "reason": "gone", "count": 1},
    ]
    quarantine.add(path, [("b", "otherwise"), ("ä", "new")])
    assert quarantine.read(path) == {"a": "cut", "b": "gone", "ä": "new"}
    there = {entry.name for entry in path.parent.iterdir()}
    assert there == {path.name, f".{path.name}.lock"}


def test_none_bad_is_an_empty_file(tmp_path: Path) -> None:
    quarantine.add(tmp_path / "q", [])
    assert quarantine.read(tmp_path / "q") == {}


def test_what_else_is_known_is_beside_it() -> None:
    made = quarantine.lines([("a", "cut"), ("b", "cut")], {"a": {"split": "test"}, "b": {}})
    assert made == [
        {"file": "a", "reason": "cut", "count": 1, "fields": {"split": "test"}},
        {"file": "b", "reason": "cut", "count": 1},
    ]


def test_processes_that_share_a_cache_lose_no_line(tmp_path: Path) -> None:
    context, path = multiprocessing.get_context("spawn"), tmp_path / "q"
    processes = [context.Process(target=add_many, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(quarantine.read(path)) == sorted(
        f"{name}{n}" for name in "abc" for n in range(40)
    )


def test_shares_are_told_and_limited(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("q.jsonl")
    quarantine.report("set", {}, 4, path, "do this")
    assert capsys.readouterr().err == ""
    bad = {"a": "cut", "b": "empty"}
    quarantine.report("set", bad, 4, path, "do this")
    assert capsys.readouterr().err == (
        "set: 2 of 4 files can't be used, such as a: cut; b: empty; all are listed in q.jsonl; "
        "do this\n"
    )
    quarantine.report("set", {f"{n}": "cut" for n in range(10)} | bad, 40, path, "do this")
    assert "such as 0: cut; b: empty; all" in capsys.readouterr().err, "each reason once"
    with pytest.raises(ValueError, match="over half of the files are bad: set: 3 of 4"):
        quarantine.report("set", bad | {"c": "cut"}, 4, path, "do this")
    quarantine.check_share("set", {"a": "cut"}, 4, 0.25)
    with pytest.raises(ValueError, match="set: 1 of 4 clips can't .* 24% at most; such as a: cut"):
        quarantine.check_share("set", {"a": "cut"}, 4, 0.24, "clip")
