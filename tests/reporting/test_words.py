"""What the report claims: no more than its numbers."""

import numpy as np
import pytest

from animclip_jax.reporting import words as report_words
from tests.reported import arms_with


@pytest.mark.parametrize(
    ("first_places", "words"),
    [
        ([(10.0, 20.0), (8.0, 9.0)], "raised that from 10.0%; it is above “arm1” (9.0%)."),
        ([(10.0, 20.0), (8.0, 20.0)], "it is not above “arm1” (20.0%)."),
        (
            [(10.0, 20.0), (8.0, 9.0), (8.0, 30.0)],
            "it is above “arm1” (9.0%), but not above “arm2” (30.0%).",
        ),
        ([(10.0, 20.0), (9.0, 19.5)], "above “arm1” (19.5%, not a significant difference)."),
        ([(10.0, 9.0)], "re-ranking the best 20 candidates did not help: it lowered that from 10"),
        ([(10.0, 10.0)], "re-ranking the best 20 candidates did not change that."),
        ([(10.0, 11.0)], "raised that from 10.0%, not a significant difference."),
    ],
)
def test_the_summary_claims_no_more_than_the_numbers(first_places, words):
    summary = report_words.summary(arms_with(*first_places))
    assert words in summary
    assert summary.count(". ") == 0  # one sentence


def test_findings():
    arms = arms_with((10.0, 20.0), (9.0, 8.0), (12.0, 20.0))
    verdicts = [finding.verdict for finding in report_words.findings(arms)]
    assert verdicts == ["above", "above", "unclear", "above", "not above", "not above"]
    # The same difference counts for more where it was seen on more queries.
    assert report_words.findings(arms_with((0.2, 20.0)))[0].verdict == "not above"
    more = report_words.findings(arms_with((10.0, 20.0), (9.0, 8.0), count=50_000))
    assert [finding.verdict for finding in more] == ["above"] * 4


def test_arms_that_kept_their_ranks_are_compared_query_by_query():
    """A gain on 1 query of 50 is within the margin; where nothing else was lost it is a gain."""
    arms = arms_with((10.0, 12.0), (10.0, 10.0))
    before = np.where(np.arange(512) < 51, 1, 9)
    ahead = np.where(np.arange(512) < 61, 1, 9)
    shuffled = np.random.default_rng(0).permutation(ahead)
    assert [found.verdict for found in report_words.findings(arms)][1::2] == ["unclear"] * 2
    for after, verdict in ((ahead, "above"), (shuffled, "unclear")):
        ranks = {"text_to_video/coarse": before, "text_to_video/reranked": before}
        ranks["owner"] = np.arange(512)
        kept = [arms[0]._replace(ranks=ranks | {"text_to_video/reranked": after})]
        kept.append(arms[1]._replace(ranks=ranks))
        assert [found.verdict for found in report_words.findings(kept)][1::2] == [verdict] * 2
        doubts = report_words.summary(kept).count("not a significant difference")
        assert doubts == 2 * (verdict == "unclear")


def test_margin():
    assert report_words.margin(50.0, 50.0, 200) == pytest.approx(9.8)
