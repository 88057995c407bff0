"""How a line is read, and what a weighted sum of parts is."""

import numpy as np
import pytest

from animclip_jax.video_index import query
from animclip_jax.video_index.query import Part, Query, QueryError


@pytest.mark.parametrize(
    "line, wanted",
    [
        ("a dog on a beach", [("a dog on a beach", 1)]),
        ("beach -people", [("beach", 1), ("people", -1)]),
        ('beach  -"blue cars" at night', [("beach at night", 1), ("blue cars", -1)]),
        ("beach^2 -people^0.5", [("beach", 2), ("people", -0.5)]),
        ('beach +"a sunset"^3', [("beach", 1), ("a sunset", 3)]),
        ("-people", [("people", -1)]),
        ("a T-shirt - and 3-4 men", [("a T-shirt - and 3-4 men", 1)]),
        ("wait -- what", [("wait -- what", 1)]),
        ('he says "hello there"', [('he says "hello there"', 1)]),
        ("a --b -\"\" -''", [("a --b", 1), ("''", -1)]),
    ],
)
def test_a_line_is_read_as_in_search_engines(line, wanted):
    assert list(query.parsed(line)) == [Part(*one) for one in wanted]


@pytest.mark.parametrize(
    "line, told",
    [
        (" ", "blank"),
        ('-"" ""', None),
        ('-""', "blank"),
        ("a" * 1001, "1001 characters"),
        ("beach^0", r"\^0: wanted a weight above 0, 100 at most"),
        ("beach -people^101", r"\^101: wanted"),
    ],
)
def test_a_line_that_says_nothing_or_too_much_is_an_error(line, told):
    if told is None:
        assert query.parsed(line) == (Part('""'),)
        return
    with pytest.raises(QueryError, match=told):
        query.parsed(line)


def test_the_sum_is_that_of_unit_embeddings():
    one, other = np.eye(3, dtype=np.float32)[:2]
    total = Query((Part("a", 2.0), Part("b", -1.0))).total([one, other])
    np.testing.assert_allclose(total, np.array([2, -1, 0]) / np.sqrt(5), rtol=1e-6)
    assert total.dtype == np.float32


def test_parts_that_cancel_each_other_out_are_an_error():
    one = np.eye(3, dtype=np.float32)[0]
    with pytest.raises(QueryError, match="cancel each other out"):
        Query((Part("a"), Part("a", -1.0))).total([one, one])


@pytest.mark.parametrize("parts", [(), (Part("a"),) * 9, (Part("a", 0.0),), (Part("a", 1e9),)])
def test_a_query_is_bounded(parts):
    with pytest.raises(QueryError, match="wanted"):
        Query(parts)
