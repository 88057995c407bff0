"""Tests of groups: consecutive examples that stay together."""

from __future__ import annotations

import dataclasses

import pytest

from input_pipeline.examples import Examples
from tests.input_pipeline.made_batches import train


def test_groups_of_which_some_examples_are_missing_are_an_error(examples: Examples) -> None:
    """An even number of them would shift every group between them, without a word."""
    missing = {f"{number}.jpg": "no such file" for number in range(6)}
    lacking = dataclasses.replace(examples, missing=missing)
    with pytest.raises(ValueError) as error:
        train(lacking, group_size=2)
    assert "6 examples can't be used (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)" in str(error.value)
    assert "so the groups of 2 behind them would be others" in str(error.value)
    assert len(train(lacking, group_size=1)) == 4
