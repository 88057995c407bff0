"""Differences of literal losses."""

import pytest

from benchmarks import overlay


def test_the_greatest_difference_up_to_a_step():
    one = {1: 2.0, 2: 4.0, 3: 1.0}
    other = {1: 2.0, 2: 4.4, 3: 0.95}
    found = overlay.differences(other, one, [1, 2, 3])
    assert found == pytest.approx({"to step 1": 0.0, "to step 2": 0.1, "to step 3": 0.1})


def test_every_mesh_has_as_many_devices():
    sizes = {name: place[0] * place[1] for name, (place, _) in overlay.RUNS.items()}
    assert {size for name, size in sizes.items() if not name.startswith("one device")} == {8}
