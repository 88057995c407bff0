"""Captions: every stated fact is true, the text states the facts, siblings are told apart."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from input_pipeline.drawn.captions import (
    SETTLING_FRACTION,
    WORDS,
    Caption,
    _related,
    captions,
    holds,
    is_true,
    write,
)
from input_pipeline.drawn.scene import LIGHTS, TEXTURES, Scene, scene
from input_pipeline.drawn.shown import MOTIONS, Fact
from input_pipeline.drawn.things import BACKGROUNDS, COLOURS, KINDS, SIZES
from input_pipeline.drawn.vocabulary import (
    BACKGROUND_PHRASES,
    LIGHT_PHRASES,
    MOTION_PATTERNS,
    MOTION_VERBS,
    NOUNS,
    PACE_WORDS,
    RELATION_PATTERNS,
    SIZE_WORDS,
    TEXTURE_AFTER,
    TEXTURE_WORDS,
)

Written = list[tuple[Scene, list[Caption]]]


@pytest.fixture(scope="module")
def written(drawn: Callable[[str, int], Scene]) -> Written:
    """300 scenes of each split, those of `train` first, each with its captions."""
    scenes = [drawn(split, index) for split in ("train", "val", "test") for index in range(300)]
    return [(at, write(at, 5)) for at in scenes]


def words(text):
    return re.findall(r"[a-z-]+", text)


def nouns(kind):
    return "|".join(noun for names in NOUNS[kind] for noun in names)


# Whoever reads one of these reads of a motion, of the camera or of an order.
MOTION_WORDS = "|".join(
    [
        *(form for forms in MOTION_VERBS.values() for form in forms),
        *("sliding", "moving", "growing", "shrinking", "turning", "zooming", "camera"),
        *("slowly", "quickly", "fast", "first", "then", "followed", "after"),
    ]
)
TO = {
    "left": "(to the )?left",
    "right": "(to the )?right",
    "up": "(up|upwards)",
    "down": "(down|downwards)",
}
MOVING = "A (slides?|sliding|moves?|moving|drifts?|glides?)( slowly| quickly| fast)?"
# Read by hand: what is said of a thing A that moves, or that the camera moves towards.
SAID_OF_ONE = {
    "moves": {
        "left": rf"{MOVING} ((to the )?left|leftwards|from right to left)\b",
        "right": rf"{MOVING} ((to the )?right|rightwards|from left to right)\b",
        "up": rf"{MOVING} (up|upwards|from the bottom up)\b|A rises?\b",
        "down": rf"{MOVING} (down|downwards|from the top down)\b|A sinks?\b",
    },
    "pace": {"slow": r"A [a-z]+ slowly\b", "quick": r"A [a-z]+ (quickly|fast)\b"},
    "scales": {
        "grows": r"A (that )?(grows?\b|growing larger|(gets?|becomes?) (bigger|larger))",
        "shrinks": r"A (that )?(shrinks?\b|shrinking away|(gets?|becomes?) smaller)",
    },
    "turns": {
        "clockwise": r"A (turns?|turning|spins?|rotates?) clockwise\b",
        "counterclockwise": r"A (turns?|turning|spins?|rotates?) (counter|anti)clockwise\b",
    },
    "zoom": {
        "in": r"(zooms|moves|zooming) in on .*A|comes closer to .*A|A, the camera moving closer",
        "out": r"(zooms|moves|zooming) out from .*A|backs away from .*A|A, the camera moving away",
    },
}


def test_every_name_has_words():
    assert set(NOUNS) == set(KINDS)
    assert set(SIZE_WORDS) == set(SIZES) and set(TEXTURE_WORDS) == set(TEXTURES)
    assert set(BACKGROUND_PHRASES) == set(BACKGROUNDS) and set(LIGHT_PHRASES) == set(LIGHTS)


@pytest.mark.long
def test_captions_are_distinct_lower_case_and_of_5_to_18_words(written):
    assert WORDS == (5, 18)
    for at, told in written:
        texts = [caption.text for caption in told]
        assert len(set(texts)) == 5
        assert texts == captions(at, 5) and texts[:3] == captions(at, 3)
        for text in texts:
            assert 5 <= len(text.split()) <= 18
            assert re.fullmatch(r"[a-z-]+(,? [a-z-]+)*", text), text


def test_the_vocabulary_is_small(written):
    seen = {word for _, told in written for caption in told for word in words(caption.text)}
    assert 150 < len(seen) < 330


def test_every_stated_fact_is_true_of_the_scene(written):
    for at, told in written:
        for caption in told:
            assert caption.facts and all(holds(fact, at) for fact in caption.facts), caption


def test_the_text_states_each_fact_of_its_owner(written):
    """Colours stand right before their noun or after its "is"; the other facts have their words."""
    for at, told in written:
        things = {thing.kind: thing for thing in at.things}
        for text, facts in told:
            about: str
            value: Any
            for about, kinds, value in facts:
                noun = rf"\b({nouns(kinds[0])})\b" if kinds else ""
                if about == "there":
                    assert re.search(noun, text), (text, kinds)
                elif about == "colour":
                    after = rf"{noun} (is|are) {value}"
                    assert re.search(rf"\b{value} {noun}|{after}", text), (text, value)
                elif about == "texture":
                    said = [*TEXTURE_WORDS[value], TEXTURE_AFTER.get(value, "-")]
                    assert any(word in text for word in said), (text, value)
                elif about == "size":
                    size = "|".join(SIZE_WORDS[value])
                    assert re.search(rf"\b({size}) ([a-z]+ )*{noun}", text), (text, value)
                elif about == "count" and value > 1:
                    number = {2: "(two|pair of)", 3: "three"}[value]
                    assert re.search(rf"\b{number} ([a-z-]+ )*{noun}", text), (text, value)
                elif about == "count":
                    assert re.search(rf"\b(a|an|the) ([a-z-]+ )*{noun}", text), (text, kinds)
                    assert things[kinds[0]].count == 1
                elif about == "background":
                    assert any(phrase in text for phrase in BACKGROUND_PHRASES[value])
                elif about == "light":
                    assert any(phrase in text for phrase in LIGHT_PHRASES[value])
                elif about in SAID_OF_ONE:
                    pattern = SAID_OF_ONE[about][value].replace("A", rf"{noun}( with [a-z]+)?")
                    assert re.search(pattern, text), (text, about, value)
                elif about == "camera":
                    pattern = rf"the camera (pan|move|tilt)(s|ning|ing) {TO[value]}\b"
                    assert re.search(pattern, text), (text, value)
                elif about == "first":
                    one, other = (rf"\b({nouns(kind)})\b" for kind in kinds)
                    then = rf"{one}.*(, then|, followed by|, and then|, later) .*{other}"
                    assert re.search(rf"{then}|{other}.* after .*{one}", text), (text, kinds)
                else:
                    assert about in RELATION_PATTERNS


def test_the_text_states_nothing_but_its_facts(written):
    textures = {word for said in TEXTURE_WORDS.values() for word in said}
    textures |= {"stripes", "dots", "checks"}
    sizes = {word for said in SIZE_WORDS.values() for word in said}
    backgrounds = [phrase for said in BACKGROUND_PHRASES.values() for phrase in said]
    lights = [phrase for said in LIGHT_PHRASES.values() for phrase in said]
    for _, told in written:
        for text, facts in told:
            bare = text
            stated = [fact.about for fact in facts]
            moving = {fact.about for fact in facts if fact.about in MOTIONS}
            assert moving in ({"moves", "pace"}, *({about} for about in MOTIONS), set())
            assert bool(moving) == bool(re.search(rf"\b({MOTION_WORDS})\b", text)), text
            for name, phrases in (("background", backgrounds), ("light", lights)):
                found = [phrase for phrase in phrases if phrase in bare]
                assert len(found) == stated.count(name), (text, found)
                for phrase in found:
                    bare = bare.replace(phrase, "")
            used = words(bare)
            assert sum(word in COLOURS for word in used) == stated.count("colour")
            assert sum(word in textures for word in used) == stated.count("texture")
            assert sum(word in sizes for word in used) == stated.count("size")
            numbers = sum(word in ("two", "pair", "three") for word in used)
            plural = sum(fact.about == "count" and fact.value != 1 for fact in facts)
            assert numbers == plural, text
            for kind in KINDS:
                named = re.search(rf"\b({nouns(kind)})\b", bare)
                assert bool(named) == (Fact("there", (kind,)) in facts), (text, kind)


def test_captions_of_pictures_name_no_motion_and_many_of_videos_do(written):
    named = {
        split: [
            caption.names_motion for at, told in written if at.split == split for caption in told
        ]
        for split in ("train", "test")
    }
    assert not any(named["train"])
    assert 0.25 < sum(named["test"]) / len(named["test"]) < 0.45
    words_said = {word for at, told in written[:300] for one in told for word in words(one.text)}
    assert not words_said & set(MOTION_WORDS.split("|"))


def test_captions_of_pictures_are_those_of_world_3(written):
    told = ["\n".join(one.text for one in said) + "\n" for _, said in written[:300]]
    digest = hashlib.sha256("".join(told).encode()).hexdigest()
    assert digest == "4b08fe1d5e0a4417b9ed83f4b42663a7d140bc54fe7ab443bc41fb9fa66f2842"


def test_most_captions_of_siblings_in_motion_name_it_and_are_false_of_the_sibling(written, drawn):
    settled, values = [], set()
    for at, told in written:
        if at.sibling is None or at.act is None:
            continue
        sibling = drawn(at.split, at.sibling)
        for caption in told:
            false = [fact for fact in caption.facts if not holds(fact, sibling)]
            settled.append(bool(false))
            assert bool(false) == caption.names_motion == (not is_true(caption, sibling))
            assert {fact.about for fact in false} <= set(MOTIONS)
            values |= {(fact.about, fact.value) for fact in false}
    assert len(settled) > 500
    assert abs(sum(settled) / len(settled) - SETTLING_FRACTION) < 0.05
    wanted = {(about, value) for about, said in MOTION_PATTERNS.items() for value in said}
    assert values == wanted | {("pace", value) for value in PACE_WORDS}


def test_most_captions_of_siblings_settle_which_is_meant(written, drawn):
    settled = []
    for at, told in written:
        if at.sibling is None or at.act is not None:
            continue
        sibling = drawn(at.split, at.sibling)
        for caption in told:
            false = [fact for fact in caption.facts if not holds(fact, sibling)]
            settled.append(bool(false))
            swapped = {at.things[slot].kind for slot in at.swapped or ()}
            assert all(swapped & set(fact.kinds) for fact in false)
    assert len(settled) > 900
    assert SETTLING_FRACTION - 0.02 < sum(settled) / len(settled) < 0.98


def test_settling_captions_of_colour_siblings_mostly_use_the_same_words_for_both(written):
    """So that who has which colour matters, not which colours there are."""
    both = total = 0
    for at, told in written:
        if at.differs == "colour":
            kinds = {at.things[slot].kind for slot in at.swapped or ()}
            for caption in told:
                owners = {fact.kinds[0] for fact in caption.facts if fact.about == "colour"}
                both, total = both + (kinds <= owners), total + 1
    assert both / total > 0.6


def test_what_is_told_varies(written):
    """Each relation is told of some of the scenes in which it is true, and left out of others."""
    told = [caption for _, said in written for caption in said]
    for about in ("background", "light"):
        assert 0.1 < sum(tells(caption, about) for caption in told) / len(told) < 0.6, about
    for about in ("left", "above", "front", "bigger", "between"):
        could = [
            caption
            for at, said in written
            for caption in said
            if about in (relation for relation, _ in _related(at))
        ]
        assert len(could) >= 100, about
        assert 0.02 < sum(tells(caption, about) for caption in could) / len(could) < 0.6, about
    named = [sum(fact.about == "there" for fact in caption.facts) for caption in told]
    assert {named.count(count) > 50 for count in (1, 2, 3)} == {True}


def tells(caption, about):
    return any(fact.about == about for fact in caption.facts)


@pytest.mark.parametrize("name", ["left", "above", "front"])
def test_patterns_say_their_relation(name):
    """Read by hand: the words between the two things, in either order."""
    forward = {
        "left": r"A( is)? (to the left of|left of|on the left of) B|B with A to its left"
        r"|(to the right of) A there is B|B( is)? (to the right of|right of) A"
        r"|on the left is A, on the right B",
        "above": r"A( is)? (above|over|higher up than) B|B( is)? (below|under|beneath) A"
        r"|below A there is B|at the top is A, lower down B",
        "front": r"A( is)? (in front of|hiding part of) B|behind A there is B"
        r"|B( is)? (behind|partly hidden by|half covered by) A",
    }[name]
    for pattern in RELATION_PATTERNS[name]:
        said = pattern.format(a="A", b="B", is_a="is", is_b="is", its_b="its")
        assert re.fullmatch(forward, said), said


def test_a_thing_that_grows_is_of_no_size(written):
    checked = 0
    for at, _ in written:
        slot = at.act.slot if at.act is not None and at.act.kind == "grow" else None
        if slot is None:
            continue
        thing = at.things[slot]
        assert not holds(Fact("size", (thing.kind,), thing.size), at)
        assert not any(name == "bigger" and slot in slots for name, slots in _related(at))
        checked += 1
    assert checked > 10


def test_facts_about_other_scenes_are_false():
    at = scene("train", 0)
    thing = at.things[0]
    missing = next(kind for kind in KINDS if all(kind != other.kind for other in at.things))
    assert holds(Fact("colour", (thing.kind,), thing.colour), at)
    assert not holds(Fact("there", (missing,)), at)
    assert not holds(Fact("left", (thing.kind, missing)), at)
    assert not holds(Fact("background", (), "nowhere"), at)
    changed = replace(at, things=(replace(thing, count=thing.count % 3 + 1), *at.things[1:]))
    assert not holds(Fact("count", (thing.kind,), thing.count), changed)
