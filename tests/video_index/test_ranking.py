"""Two lists as one, by reciprocal rank."""

import numpy as np
import pytest

from animclip_jax.video_index import ranking
from animclip_jax.video_index.ranking import Hit


def seen(*segments):
    scores = np.linspace(1, 0.5, len(segments))
    return ranking.ranked(np.array(segments, int), scores, None)


def said(*segments):
    return [Hit(one, 0.1, None, None, n, f"words of {one}") for n, one in enumerate(segments, 1)]


def test_points_of_both_lists_are_added():
    hits = ranking.fused(seen(4, 5, 6, 7), said(7, 9, 5), 4)
    points = {4: 1 / 61, 5: 1 / 62 + 1 / 63, 6: 1 / 63, 7: 1 / 64 + 1 / 61, 9: 1 / 62}
    assert [hit.segment for hit in hits] == sorted(points, key=lambda one: -points[one])
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]


def test_each_says_why_it_came():
    hits = {hit.segment: hit for hit in ranking.fused(seen(4, 5), said(5, 9), 2)}
    assert (hits[4].coarse_rank, hits[4].said) == (1, None)
    assert (hits[5].coarse_rank, hits[5].said) == (2, "words of 5")
    assert (hits[9].coarse_rank, hits[9].said) == (None, "words of 9")
    assert hits[5].coarse == pytest.approx(0.5), "what sight knows of it stays"


def test_without_words_nothing_changes():
    assert ranking.fused(seen(4, 5, 6), [], 2) == seen(4, 5, 6)


def test_more_results_leave_the_first_ones_in_place():
    """What stands far down in one list, and first in the other, gains nothing by being found."""
    few = ranking.fused(seen(0, 1, 2), said(7, 8, 9), 3)
    many = ranking.fused(seen(0, 1, 2, 3, 8, 7), said(7, 8, 9, 5, 6), 3)
    order = [hit.segment for hit in many]
    assert order == [hit.segment for hit in few] + [3, 5, 6]
    assert [hit.rank for hit in many] == [*range(1, 10)]
    assert many[order.index(8)].coarse_rank == 5, "that it was seen is known, too"
