"""Orderings of literal scores."""

import numpy as np
import pytest

from benchmarks import codes


def test_orderings_are_counted_by_pairs_of_a_rows_candidates():
    reference = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    swapped = np.array([[2.0, 3.0, 1.0], [1.0, 2.0, 3.0]])  # one pair of six
    assert codes.changed_orderings(swapped, reference) == pytest.approx(100 / 6)
    assert codes.changed_orderings(2 * reference + 1, reference) == 0
    assert codes.changed_orderings(-reference, reference) == 100
