"""What is said, searched: every word in any order, phrases, and nothing that is an operator."""

import gc
import sqlite3

import pytest

from animclip_jax.video_index import spoken
from animclip_jax.video_index.query import Part, Query, parsed
from animclip_jax.video_index.spoken import Spoken

TEXTS = [
    "we bake bread in the oven",
    "",
    "the oven is cold; the cat is not",
    "Ein Käsebrot, s'il vous plaît",
    "bread and cheese and bread",
]


@pytest.fixture
def found(tmp_path):
    (tmp_path / "it's 100% ü?#.sqlite").write_bytes(spoken.pack(TEXTS))
    base = Spoken(tmp_path / "it's 100% ü?#.sqlite", len(TEXTS))

    def find(line, allowed=lambda row: True, count=9):
        expression = spoken.expression(Query(parsed(line)))
        return (
            [] if expression is None else [one.row for one in base.find(expression, allowed, count)]
        )

    assert list(base) == TEXTS
    return find


@pytest.mark.parametrize(
    "line, rows",
    [
        ("the oven", [0, 2]),
        ("Bake a BREAD", [0]),
        ("bread", [4, 0]),
        ("breads baking", [0]),
        ('"bread in the"', [0]),
        ('"the bread"', []),
        ("oven -cat", [0]),
        ('oven -"the cat"', [0]),
        ('oven -"cat oven"', [0, 2]),
        ("cat +bread", [4, 0, 2]),
        ("kasebrot plait", [3]),
        ("Ka\N{COMBINING DIAERESIS}sebrot", [3]),
        ("the", [2, 0]),
        ("-bread", []),
        ("... !?", []),
    ],
)
def test_every_word_is_said_in_any_order(found, line, rows):
    assert sorted(found(line)) == sorted(rows)


def test_the_best_come_first_and_those_that_may_alone(found):
    assert found("bread") == [4, 0]
    assert found("bread", count=1) == [4]
    assert found("bread", lambda row: row == 0) == [0]


@pytest.mark.parametrize(
    "line",
    [
        '"', '""', '"bread', "bread OR cat", "NOT bread", "NEAR(bread cat)", "text:bread", "bread*",
        "^bread", "{said} : bread", "bread'; DROP TABLE said; --", "a\0b", "(((((", ")", "\\", "+",
        " ".join(f"w{number}" for number in range(190)), "\ud800 bread", "𝔟read 麺", "said MATCH x",
    ],
)  # fmt: skip
def test_no_line_is_an_error_or_an_operator(found, line):
    assert isinstance(found(line), list)


def test_words_between_operators_must_be_said(found):
    assert found("bread OR cat") == found("bread NEAR cat") == []
    assert found("bread AND cheese") == [4], "and is said there, too"


def test_a_query_without_words_asks_for_none():
    for parts in ((Part("a", -1.0),), (Part("..."),)):
        assert spoken.expression(Query(parts)) is None


def test_a_damaged_file_is_an_error(tmp_path):
    data = spoken.pack(TEXTS)
    for wrong in (b"", data[:50], b"x" * 5000, data):
        (tmp_path / "said.sqlite").write_bytes(wrong)
        with pytest.raises(sqlite3.Error):
            Spoken(tmp_path / "said.sqlite", 2)


def test_a_database_is_closed_with_its_shard_and_after_an_error(tmp_path):
    (tmp_path / "said.sqlite").write_bytes(spoken.pack(TEXTS))
    opened = Spoken(tmp_path / "said.sqlite", len(TEXTS))
    base = opened.base
    del opened
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        base.execute("SELECT 1")
    with pytest.raises(sqlite3.DatabaseError) as error:
        Spoken(tmp_path / "said.sqlite", 1)
    base = error.traceback[-1].frame.f_locals["self"].base
    del error
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        base.execute("SELECT 1")
