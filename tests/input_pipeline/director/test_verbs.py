"""Tests of input_pipeline.director.verbs: opposites, signs and participles of every wording."""

from __future__ import annotations

import pytest

from animclip_jax.animation.config import MOTIONS
from animclip_jax.animation.told import AXES
from input_pipeline.director import verbs
from tests.input_pipeline.director.clauses import AXIS_NAMES, facts


def test_every_kind_has_an_opposite_and_as_many_wordings() -> None:
    assert set(verbs.OPPOSITES) == set(verbs.VERBS)
    assert all(verbs.OPPOSITES[verbs.OPPOSITES[kind]] == kind for kind in verbs.VERBS)
    assert [kind for kind in verbs.VERBS if verbs.OPPOSITES[kind] == kind] == [verbs.NOTHING]
    assert {len(ways) for ways in verbs.VERBS.values()} == {verbs.VARIANTS}
    assert all(len(set(ways)) == verbs.VARIANTS for ways in verbs.VERBS.values() if any(ways))


def test_every_kind_has_the_signs_of_its_words() -> None:
    for kind, ways in verbs.VERBS.items():
        who = "something" if kind.split()[0] in (*MOTIONS, "shrink") else "the camera"
        said = {
            (AXIS_NAMES[a], int(sign))
            for a, sign in zip(AXES, verbs.signs(kind), strict=True)
            if sign
        }
        assert said or kind == verbs.NOTHING
        for verb in filter(None, ways):
            named = {("zoom" if name == "closer" else name, sign)
                     for name, sign in facts(f"{who} {verb}")}  # fmt: skip
            assert said == {fact for fact in named if fact[0] in AXIS_NAMES.values()}, verb


@pytest.mark.parametrize(
    ("verb", "wanted"),
    [
        ("pans left and tilts up", "panning left and tilting up"),
        ("comes in from the right", "coming in from the right"),
        ("goes out of view to the left", "going out of view to the left"),
        ("gets smaller", "getting smaller"),
        ("first shows a wider view, then a closer one",
         "first showing a wider view, then a closer one"),
    ],
)  # fmt: skip
def test_a_participle_says_the_same(verb: str, wanted: str) -> None:
    assert verbs.participle(verb) == wanted


def test_every_verb_has_a_participle() -> None:
    for ways in verbs.VERBS.values():
        assert all(verbs.participle(verb).split()[0].endswith("ing") or verb.startswith("first")
                   for verb in ways if verb)  # fmt: skip
        assert not any(verbs._FINITE.search(verbs.participle(verb)) for verb in ways)
