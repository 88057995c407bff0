"""Tests of input_pipeline.director.told: what is said is seen, and what can't be seen is not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import Cut, Framing, Pan, Shake, Speed, Tilt, Zoom
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.render import render_frames
from animclip_jax.animation.told import Told
from input_pipeline import director
from input_pipeline.director import told
from input_pipeline.director.moves import Moves
from input_pipeline.filming.canvas import film_pictures
from input_pipeline.tokenizers.clip import ClipTokenizer
from tests.input_pipeline.director.clauses import facts
from tests.input_pipeline.director.plans import CLIPS, draws, only, sizes
from tests.input_pipeline.pictures import gradient
from tests.repository import ROOT

ALWAYS = Told(1.0)
PAGE = (ROOT / "docs" / "motion.md").read_text()


def said(moves: Moves, config: Told = ALWAYS) -> tuple[list[str], list[str]]:
    """Of each clip, forwards and backwards."""
    numbers = told.draw(0, tf.constant(0, tf.int64), len(moves.right))
    forwards, backwards = told.phrase(numbers, moves, config)
    return [one.decode() for one in forwards.numpy()], [one.decode() for one in backwards.numpy()]


def still(count: int, **amounts: Any) -> Moves:
    """Moves of `count` clips in which nothing moves but what is named."""
    none = dict.fromkeys(Moves._fields, 0.0) | dict.fromkeys(
        ("zoom", "closer", "thing_growth"), 1.0
    )
    moves = Moves(**{name: tf.zeros([count]) + amounts.get(name, value)
                     for name, value in none.items()})  # fmt: skip
    return moves._replace(thing=tf.cast(moves.thing, tf.int32))


def test_what_is_said_is_seen() -> None:
    config = only(
        framing=Framing(1.0, (0.3, 1.0)), pan=Pan(0.8, (0.0, 1.0)), tilt=Tilt(0.6, (0.0, 1.0)),
        zoom=Zoom(0.6, (1.0, 1.8)), shake=Shake(0.3, (0.0, 0.1)), cut=Cut(0.3), speed=Speed(0.5),
    )  # fmt: skip
    *_, moves = director.direct(draws(CLIPS), tf.constant(sizes(CLIPS)[:, None]), config)
    amounts = {name: part.numpy() for name, part in moves._asdict().items()}
    least = {"right": ALWAYS.travel, "down": ALWAYS.travel}
    kinds = set()
    for n, (clause, backwards) in enumerate(zip(*said(moves), strict=True)):
        for name, sign in facts(clause):
            kinds.add((name, sign))
            found = amounts[name][n]
            if name in least:
                assert sign * found >= least[name], clause
                other = amounts["down" if name == "right" else "right"][n]
                # The other direction is said as well, or it is half of this one at most.
                both = {"right", "down"} <= {name for name, _ in facts(clause)}
                assert abs(other) <= (2 if both else 0.5) * abs(found) + 1e-6
            else:
                assert found**sign >= getattr(ALWAYS, name) - 1e-5, clause
        assert facts(backwards) == {(name, -sign) for name, sign in facts(clause)}
    camera = ("right", "down", "zoom", "closer")
    assert kinds == {(name, sign) for name in camera for sign in (-1, 1)}


@pytest.mark.parametrize(
    "amounts",
    [
        {},
        {"right": 0.19},
        {"down": -0.19},
        {"right": 0.3, "down": 0.19},  # between two directions, one of which can't be seen
        {"zoom": 1.19},
        {"zoom": 1 / 1.19},
        {"closer": 1.4},
        {"closer": 1 / 1.4},
    ],
)
def test_what_can_hardly_be_seen_is_not_said(amounts: dict[str, float]) -> None:
    assert set(said(still(50, **amounts))[0]) == {""}


@pytest.mark.parametrize(
    ("amounts", "wanted"),
    [
        ({"right": -0.21}, {("right", -1)}),
        ({"right": 0.6, "down": 0.29}, {("right", 1)}),
        ({"right": 0.6, "down": 0.31}, {("right", 1), ("down", 1)}),
        ({"right": 0.3, "down": -0.5}, {("right", 1), ("down", -1)}),
        ({"down": 0.3, "right": 0.1}, {("down", 1)}),
        ({"zoom": 1.3}, {("zoom", 1)}),
        ({"zoom": 0.7}, {("zoom", -1)}),
        ({"closer": 2.0}, {("closer", 1)}),
        ({"closer": 0.5}, {("closer", -1)}),
    ],
)
def test_every_wording_says_what_is_seen(amounts: Any, wanted: Any) -> None:
    forwards, backwards = said(still(300, **amounts))
    assert all(facts(clause) == wanted for clause in forwards)
    assert all(facts(clause) == {(name, -sign) for name, sign in wanted} for clause in backwards)
    verbs = {re.sub(" slowly| quickly", "", clause) for clause in forwards}
    assert len(verbs) == told.VARIANTS * len(set(told.SUBJECTS))


def test_of_two_things_one_is_said_or_both() -> None:
    found = [facts(clause) for clause in said(still(400, right=0.5, zoom=1.4))[0]]
    right, zoom = ("right", 1), ("zoom", 1)
    shares = [np.mean([one == wanted for one in found])
              for wanted in ({right}, {zoom}, {right, zoom})]  # fmt: skip
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.5], atol=0.08)
    assert all(" and " in clause for clause in said(still(400, right=0.5, zoom=1.4))[0]
               if len(facts(clause)) == 2)  # fmt: skip


@pytest.mark.parametrize(("right", "pace"), [(0.25, "slowly"), (0.45, None), (-0.7, "quickly")])
def test_the_pace_is_said_of_what_is_slow_or_quick(right: float, pace: str | None) -> None:
    forwards, backwards = said(still(200, right=right))
    paces = [set(re.findall("slowly|quickly", clause)) for clause in forwards]
    assert 0.4 < np.mean([bool(one) for one in paces]) < 0.6 if pace else not any(paces)
    assert set.union(*paces) == ({pace} if pace else set())
    assert paces == [set(re.findall("slowly|quickly", clause)) for clause in backwards]


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_motion_is_named_as_often_as_the_configuration_says(probability: float) -> None:
    found = said(still(2000, zoom=1.5), Told(probability))[0]
    assert abs(np.mean([clause != "" for clause in found]) - probability) < 0.04


def test_what_is_said_does_not_depend_on_the_rest_of_the_batch() -> None:
    config = AnimationConfig("camera")
    size = tf.constant(sizes(40)[:, None])

    def some(first: int, count: int) -> list[bytes]:
        noise = director.noise(0, tf.constant(first, tf.int64), count)
        *_, moves = director.direct(noise, size[first : first + count], config)
        numbers = told.draw(0, tf.constant(first, tf.int64), count)
        return list(told.phrase(numbers, moves, ALWAYS).forwards.numpy())

    whole = some(0, 40)
    assert len(set(whole)) > 5
    assert [some(n, 1)[0] for n in range(40)] == whole == [*some(0, 7), *some(7, 33)]


def test_every_kind_has_an_opposite_and_as_many_wordings() -> None:
    assert set(told.OPPOSITES) == set(told.VERBS)
    assert all(told.OPPOSITES[told.OPPOSITES[kind]] == kind for kind in told.VERBS)
    assert [kind for kind in told.VERBS if told.OPPOSITES[kind] == kind] == [told.NOTHING]
    assert {len(verbs) for verbs in told.VERBS.values()} == {told.VARIANTS}


def shift(first: np.ndarray, last: np.ndarray) -> tuple[int, int]:
    """By how many pixels (down, right) the picture moves in the frame: the least difference."""
    size = len(first)
    ways = [(y, x) for y in range(-20, 21) for x in range(-20, 21) if not y or not x]

    def difference(way: tuple[int, int]) -> float:
        y, x = way
        before = first[max(-y, 0) : size - max(y, 0), max(-x, 0) : size - max(x, 0)]
        after = last[max(y, 0) : size + min(y, 0), max(x, 0) : size + min(x, 0)]
        return float(np.abs(before - after).mean())

    return min(ways, key=difference)


def test_frames_show_what_is_said() -> None:
    """The picture moves against the camera, in the pixels of the frames themselves."""
    photo = np.kron(np.random.default_rng(0).integers(0, 256, (24, 24, 3)), np.ones((8, 8, 1)))
    config = only(4, framing=Framing(1.0, (0.4, 0.4)), pan=Pan(0.5, (0.25, 0.5)), told=ALWAYS,
                  tilt=Tilt(0.5, (0.25, 0.5)))  # fmt: skip
    found = set()
    for seed in range(24):
        filmed = film_pictures([photo.astype(np.uint8)], config, seed, 96)
        named = facts(filmed.told.forwards.decode())
        if len(named) == 1:
            frames = render_frames(filmed.canvas, filmed.plan, 40).astype(float)
            (name, sign), (y, x) = named.pop(), shift(frames[0], frames[-1])
            assert np.sign(x if name == "right" else y) == -sign
            assert abs(y + x) >= 8 and not y * x
            found.add((name, sign))
    assert len(found) == 4


def test_a_photo_that_is_held_still_has_nothing_to_say() -> None:
    assert film_pictures([gradient(40, 60)], AnimationConfig("still", 4, 32), 0, 64).told == (
        b"",
        b"",
    )


@pytest.mark.parametrize(("preset", "share"), [("full", "32%"), ("camera", "67%")])
def test_motion_is_named_of_as_many_clips_as_the_page_says(preset: str, share: str) -> None:
    size = tf.constant(np.tile(np.array([375, 500], np.int32), (4 * CLIPS, 1, 1)))
    *_, moves = director.direct(draws(4 * CLIPS), size, AnimationConfig(preset))
    named = np.mean([clause != "" for clause in said(moves)[0]])
    assert named == pytest.approx(float(share.rstrip("%")) / 100, abs=0.02)
    assert share in PAGE


def test_the_page_says_what_is_told_and_from_which_amounts_on() -> None:
    rows = re.findall(r"^\|.*\| `(travel|zoom|closer)`, ([0-9.]+)", PAGE, re.MULTILINE)
    assert {(name, float(least)) for name, least in rows} == {
        (name, getattr(ALWAYS, name)) for name in ("travel", "zoom", "closer")
    }
    assert "under {} or over {}".format(*ALWAYS.pace) in PAGE
    verbs = {verb for verbs in told.VERBS.values() for verb in verbs if verb}
    table = PAGE.partition("## What is told")[2].partition("\n\n**")[0]
    words = set(re.findall(r"\*([a-z ]+)\*", table)) - {"slowly", "quickly"}
    assert len(words) == 15 and words <= verbs
    assert f"one of {told.VARIANTS} verbs".replace("6", "six") in " ".join(PAGE.split())


def test_captions_grow_by_as_many_tokens_as_the_page_says() -> None:
    tokenizer, most = ClipTokenizer(), 0
    for amounts in ({"right": 0.25, "down": 0.2, "zoom": 1.3}, {"right": -0.7}, {"closer": 0.5}):
        spoken = [f"a dog, and {clause}" for clause in said(still(500, **amounts))[0]]
        spoken += [f"while {clause}, a dog" for clause in said(still(500, **amounts))[0]]
        most = max(most, (tokenizer(spoken) != 0).sum(axis=1).max() - 4)
    assert f"by up to {most} of CLIP's tokens" in PAGE
