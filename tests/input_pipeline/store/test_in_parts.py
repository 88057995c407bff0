"""A store that is prepared in parts is the one that is prepared at once."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from input_pipeline.media.parts import Part
from input_pipeline.store import in_parts
from input_pipeline.store.making import Effort, Item, Original, Work, prepare_store
from input_pipeline.store.partial import Encoded
from tests.in_process import InProcess

EFFORT = Effort(engine=InProcess())
NAMES = [*(f"{n}" for n in range(8)), "bad"]


def encode(name: str) -> Encoded:
    if name == "bad":
        raise ValueError("broken")
    return Encoded([name.encode(), b"x"], 2, 1)


def work(*names: str, **more: Any) -> Work:
    items = [Item(name, [f"about {name}"]) for name in names]
    given: dict[str, Any] = {"settings": {"size": 1}, "missing": {"gone": "not there"}} | more
    return Work("test", "thing", items, lambda n: Original(names[n], 1), encode, **given)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a store of three parts will be; the parts are there."""
    for number in (3, 1, 2):
        in_parts.prepare_part(work(*NAMES), tmp_path / "out", EFFORT, Part(number, 3))
    return tmp_path / "out"


def merge(out: Path, number: int = 3, given: Work | None = None, **effort: Any) -> dict[str, Any]:
    how = dataclasses.replace(EFFORT, **effort)
    return in_parts.merge_parts(given or work(*NAMES), out, how, number)


def test_parts_make_the_same_store(out: Path) -> None:
    prepare_store(work(*NAMES), out.with_name("at once"), EFFORT)
    summary = merge(out)
    assert contents(out) == contents(out.with_name("at once"))
    assert summary["num_quarantined"] == 2
    assert sorted(path.name for path in out.parent.iterdir()) == ["at once", "out"]
    with pytest.raises(FileExistsError, match="already there"):
        merge(out)


def test_a_part_that_is_there_costs_nothing(out: Path) -> None:
    asked = []

    def watched(name: str) -> Encoded:
        asked.append(name)
        return encode(name)

    again = dataclasses.replace(work(*NAMES), encode=watched)
    for number in (1, 2, 3):
        in_parts.prepare_part(again, out, EFFORT, Part(number, 3))
    assert asked == ["bad"], "which may be read by now"


def test_more_parts_than_items_make_a_store(tmp_path: Path) -> None:
    for number in range(1, 6):
        in_parts.prepare_part(work("a", "b"), tmp_path / "out", EFFORT, Part(number, 5))
    assert merge(tmp_path / "out", 5, work("a", "b"))["num_items"] == 2


def test_an_unfinished_part_is_told(out: Path) -> None:
    (Part(2, 3).place(out) / in_parts.DONE).unlink()
    with pytest.raises(FileNotFoundError, match=r"part-2-of-3: missing or not finished.*=2/3"):
        merge(out)
    assert not out.exists() and Part(1, 3).place(out).exists()


def test_parts_of_other_files_or_settings_are_told(out: Path) -> None:
    with pytest.raises(ValueError, match=r"part-1-of-3: a part of other files, captions"):
        merge(out, given=work(*NAMES, "more"))
    with pytest.raises(ValueError, match=r"part-1-of-3: a part of other files, captions"):
        merge(out, given=work(*NAMES, settings={"size": 2}))
    assert not out.exists() and Part(1, 3).place(out).exists()


def test_an_item_in_two_parts_is_told(out: Path) -> None:
    first, second = Part(1, 3).place(out), Part(2, 3).place(out)
    shutil.rmtree(second)
    shutil.copytree(first, second)
    with pytest.raises(ValueError, match=r"part-2-of-3: holds \d, which is in .*part-1-of-3"):
        merge(out)
    assert not out.exists()


def test_a_part_that_lost_its_items_is_told(out: Path) -> None:
    (Part(3, 3).place(out) / "log.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"part-3-of-3: lacks \d; remove it"):
        merge(out)


def test_too_many_bad_ones_are_judged_together(out: Path) -> None:
    with pytest.raises(ValueError, match="2 of 10 things can't be used"):
        merge(out, max_bad=0.1)
    assert not out.exists() and Part(1, 3).place(out).exists()
    merge(out, max_bad=0.2)
