"""Tests of input_pipeline.sources.stand_ins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from input_pipeline.examples import Examples
from input_pipeline.media import quarantine
from input_pipeline.sources.stand_ins import StandIns


def examples(count: int, listed: Path | None = None) -> Examples:
    ids, captions = [f"e{n}" for n in range(count)], [["x"]] * count
    sizes, upright = np.ones((count, 2), np.int32), np.ones(count, np.uint8)
    return Examples("test", ids, captions, tf.identity, False, sizes, upright, listed)


def table(group_size: int, *found: list[int]) -> list[int]:
    """Who stands in for each of 12 examples when those are found, a list at a time."""
    stand_ins = StandIns(examples(12), group_size)
    for bad in found:
        stand_ins.replace(dict.fromkeys(bad, "cut"), 12)
    instead = dict(zip(*(column.tolist() for column in stand_ins.table), strict=True))
    assert list(instead) == sorted(instead)
    return [instead.get(index, index) for index in range(12)]


def test_the_next_of_its_place_in_a_group_stands_in() -> None:
    assert table(1, [3, 4, 11]) == [0, 1, 2, 5, 5, 5, 6, 7, 8, 9, 10, 0]
    assert table(3, [3, 6, 10]) == [0, 1, 2, 9, 4, 5, 9, 7, 8, 9, 1, 11]
    # Where all of that place are broken, any other will do.
    assert table(6, [1, 7])[1] == 2 and table(6, [1, 7])[7] == 8


def test_the_order_in_which_they_are_found_does_not_matter() -> None:
    wanted = table(2, [3, 5, 7, 8])
    for found in ([[3], [5], [7], [8]], [[8, 7], [5, 3]], [[5], [3, 5, 8], [7]]):
        assert table(2, *found) == wanted


def test_they_are_listed_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "quarantine.jsonl"
    stand_ins = StandIns(examples(12, listed), 1)
    stand_ins.replace({3: "cut", 5: "gone"}, 4)
    assert quarantine.read(listed) == {
        "e3": "can't be decoded: cut",
        "e5": "can't be decoded: gone",
    }
    told = f"test: 'e3' can't be decoded: cut; and 1 more; others stand in, see {listed}\n"
    assert capsys.readouterr().err == told


def test_too_many_stop_the_run() -> None:
    StandIns(examples(12), 1).replace({0: "cut", 1: "cut"}, 4)
    with pytest.raises(ValueError, match="over half of a batch, 3 of 4: test: 'e0' .* and 2 more"):
        StandIns(examples(12), 1).replace(dict.fromkeys(range(3), "cut"), 4)
    # One of a batch of one may be broken.
    stand_ins = StandIns(examples(12), 1)
    for index in range(6):
        stand_ins.replace({index: "cut"}, 1)
    with pytest.raises(ValueError, match="over half of the source, 7 of 12"):
        stand_ins.replace({6: "cut"}, 1)
