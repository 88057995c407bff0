"""Tests of input_pipeline.director.told: what is said is seen, and what can't be seen is not."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import (
    Cut,
    Framing,
    Pan,
    Shake,
    Speed,
    Thing,
    Tilt,
    Turn,
    Zoom,
)  # fmt: skip
from animclip_jax.animation.config import COMPONENTS, MOTIONS, AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render_frames
from animclip_jax.animation.told import AXES, Told
from input_pipeline import director
from input_pipeline.director import told, verbs
from input_pipeline.director.moves import Moves
from input_pipeline.director.things import CODES
from input_pipeline.filming.canvas import film_pictures
from input_pipeline.tokenizers.clip import ClipTokenizer
from tests.input_pipeline.director.clauses import AXIS_NAMES, facts
from tests.input_pipeline.director.plans import CLIPS, degrees, draws, edges, only, sizes
from tests.input_pipeline.pictures import gradient
from tests.repository import ROOT

ALWAYS = Told(1.0)
# What is true of a thing that is seen well.
THING = {"thing_visible": 0.7, "thing_hop": 0.1}
PAGE = (ROOT / "docs" / "motion.md").read_text()


def said(moves: Moves, config: Told = ALWAYS) -> tuple[list[str], list[str]]:
    """Of each clip, forwards and backwards."""
    numbers = told.draw(0, tf.constant(0, tf.int64), len(moves.right))
    forwards, backwards, _ = told.phrase(numbers, moves, config)
    ways = [[one.decode() for one in way.finite.numpy()] for way in (forwards, backwards)]
    return ways[0], ways[1]


def still(count: int, **amounts: Any) -> Moves:
    """Moves of `count` clips in which nothing moves but what is named."""
    sizes_stay = dict.fromkeys(("zoom", "closer", "thing_growth"), 1.0)
    none = dict.fromkeys(Moves._fields, 0.0) | sizes_stay | amounts
    moves = Moves(**{name: tf.fill([count], value) for name, value in none.items()})
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


def places(plan: ShotPlan) -> tuple[np.ndarray, np.ndarray]:
    """Where in each frame the middle of the thing is, [B, T, 2] (y, x), and its radii, alike.

    In sides of the frame, from its middle; found from the windows through which the thing is seen.
    """
    windows = plan._replace(boxes=plan.thing_boxes, shear=plan.thing_shear)
    right, down = edges(windows)
    away = plan.home[:, None, :2] - (windows.boxes[..., :2] + windows.boxes[..., 2:]) / 2
    place = np.linalg.solve(np.stack([down, right], axis=-1), away[..., None])[..., 0]
    return place, plan.home[:, None, 2:4] / np.linalg.norm(right, axis=-1)[..., None]


def test_what_is_said_of_a_thing_is_seen() -> None:
    likely: Any = {name: COMPONENTS[name](0.25) for name in MOTIONS}
    camera: Any = {"pan": Pan(0.4), "tilt": Tilt(0.3), "zoom": Zoom(0.3), "shake": Shake(0.2)}
    config = only(framing=Framing(1.0, (0.4, 0.7)), **camera, **(
        likely | {"thing": Thing(1.0, (0.15, 0.3)), "turn": Turn(0.25, (5.0, 40.0))}
    ))  # fmt: skip
    size = tf.constant(np.tile(np.array([300, 400], np.int32), (CLIPS, 1, 1)))
    found = director.direct(draws(CLIPS), size, config)
    plan, _, moves = tf.nest.map_structure(lambda part: part.numpy(), found)
    moved = plan.home[:, 2] > 0
    place, radius = places(tf.nest.map_structure(lambda part: part[moved], plan))
    turned = degrees(plan._replace(boxes=plan.thing_boxes, shear=plan.thing_shear))[moved]
    clauses = [[side[n] for n in np.flatnonzero(moved)] for side in said(found[2])]
    kinds = set()
    for n, (clause, backwards) in enumerate(zip(*clauses, strict=True)):
        ours = {fact for fact in facts(clause) if fact[0] not in ("right", "down", "zoom")}
        way, growth = place[n, -1] - place[n, 0], radius[n, -1, 0] / radius[n, 0, 0]
        is_in = (np.abs(place[n]) < 0.5).all(axis=-1)
        is_out = (np.abs(place[n]) - radius[n] > 0.5).any(axis=-1)
        seen = {
            "thing_right": way[1] / ALWAYS.travel,
            "thing_down": way[0] / ALWAYS.travel,
            "thing_growth": np.log(growth) / np.log(ALWAYS.zoom),
            "thing_turn": (turned[n, 0] - turned[n, -1]) / ALWAYS.turn,
            "enter": is_out[0] and is_in[-1],
            "leave": is_in[0] and is_out[-1],
            "pass_by": is_out[0] and is_in.any() and is_out[-1],
            "bounce": is_in.all(),
            "slide": is_in.all(),
        }
        assert all(sign * seen[name] > 0.99 for name, sign in ours), (clause, seen)
        kinds |= ours
        turns_round = {("enter", 1): ("leave", 1), ("leave", 1): ("enter", 1)} | {
            (name, 1): (name, 1) for name in ("pass_by", "bounce", "slide")
        }
        assert {turns_round.get(fact, (fact[0], -fact[1])) for fact in facts(clause)} == facts(
            backwards
        )
    assert {name for name, _ in kinds} == set(seen)
    assert len(kinds) == 5 + 2 * 4


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
        {**THING, "thing": CODES["slide"], "thing_right": 0.19},
        {**THING, "thing": CODES["slide"], "thing_right": 0.3, "thing_down": -0.25},
        {**THING, "thing": CODES["slide"], "thing_right": 0.3, "thing_visible": 0.6},
        {**THING, "thing": CODES["bounce"], "thing_right": 0.3, "thing_hop": 0.04},
        {**THING, "thing": CODES["grow"], "thing_growth": 1.19},
        {**THING, "thing": CODES["turn"], "thing_turn": -14.0},
        {**THING, "thing": CODES["parallax"], "thing_right": 0.5},
        {**THING, "thing": CODES["grow"], "thing_right": 0.5, "thing_turn": 30.0},
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
        ({"thing": CODES["grow"], "thing_growth": 1.3}, {("thing_growth", 1)}),
        ({"thing": CODES["turn"], "thing_turn": 20.0}, {("thing_turn", 1)}),
        ({"thing": CODES["slide"], "thing_right": 0.4}, {("slide", 1), ("thing_right", 1)}),
        ({"thing": CODES["slide"], "thing_down": -0.4}, {("slide", 1), ("thing_down", -1)}),
        ({"thing": CODES["pass_by"], "thing_right": 2.0}, {("pass_by", 1), ("thing_right", 1)}),
    ],
)
def test_every_wording_says_what_is_seen(amounts: Any, wanted: Any) -> None:
    forwards, backwards = said(still(300, **(THING | amounts)))
    assert all(facts(clause) == wanted for clause in forwards)
    opposite = {(name, sign if name in ("slide", "pass_by") else -sign) for name, sign in wanted}
    assert all(facts(clause) == opposite for clause in backwards)
    names = verbs.THINGS if "thing" in amounts else verbs.CAMERAS
    of = re.compile(rf"({'|'.join(names)}) (?:slowly |quickly )?(.*)")
    spoken = [match.groups() for clause in forwards if (match := of.fullmatch(clause))]
    assert len(spoken) == len(forwards)
    assert {who for who, _ in spoken} == set(names)
    assert len({what for _, what in spoken}) == verbs.VARIANTS


@pytest.mark.parametrize(("motion", "back"), [("enter", "leave"), ("leave", "enter")])
@pytest.mark.parametrize("way", ["thing_right", "thing_down"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_what_enters_leaves_where_it_came_from_when_the_clip_runs_backwards(
    motion: str, back: str, way: str, sign: int
) -> None:
    amounts = THING | {"thing": CODES[motion], way: 0.8 * sign}
    for clause, opposite in zip(*said(still(100, **amounts)), strict=True):
        assert facts(clause) == {(motion, 1), (way, sign)}
        assert facts(opposite) == {(back, 1), (way, -sign)}


def test_of_two_things_one_is_said_or_both() -> None:
    found = [facts(clause) for clause in said(still(400, right=0.5, zoom=1.4))[0]]
    right, zoom = ("right", 1), ("zoom", 1)
    shares = [np.mean([one == wanted for one in found])
              for wanted in ({right}, {zoom}, {right, zoom})]  # fmt: skip
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.5], atol=0.08)
    assert all(" and " in clause for clause in said(still(400, right=0.5, zoom=1.4))[0]
               if len(facts(clause)) == 2)  # fmt: skip


@pytest.mark.parametrize(("right", "pace"), [(0.25, "slowly"), (0.45, None), (-0.7, "quickly")])
@pytest.mark.parametrize("who", [{}, {"thing": CODES["slide"], "thing_visible": 1.0}])
def test_the_pace_is_said_of_what_is_slow_or_quick(
    right: float, pace: str | None, who: dict[str, float]
) -> None:
    name = "thing_right" if who else "right"
    forwards, backwards = said(still(200, **who, **{name: right}))
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
    size = tf.constant(sizes(16)[:, None])

    def some(first: int, count: int) -> list[bytes]:
        noise = director.noise(0, tf.constant(first, tf.int64), count)
        *_, moves = director.direct(noise, size[first : first + count], config)
        numbers = told.draw(0, tf.constant(first, tf.int64), count)
        return list(told.phrase(numbers, moves, ALWAYS).forwards.finite.numpy())

    whole = some(0, 16)
    assert len(set(whole)) > 5
    assert [some(n, 1)[0] for n in range(16)] == whole == [*some(0, 7), *some(7, 9)]


def test_the_axes_say_what_the_words_say() -> None:
    config = dataclasses.replace(
        only(4, pan=Pan(0.6), tilt=Tilt(0.6), zoom=Zoom(0.6), cut=Cut(0.5), thing=Thing(0.5)),
        **{name: type(getattr(AnimationConfig(), name))(0.5) for name in MOTIONS},
    )
    *_, moves = director.direct(draws(CLIPS), tf.constant(sizes(CLIPS)[:, None]), config)
    numbers = told.draw(0, tf.constant(0, tf.int64), CLIPS)
    forwards, backwards, axes = told.phrase(numbers, moves, ALWAYS)
    seen = set()
    for clause, opposite, row in zip(
        forwards.finite.numpy(), backwards.finite.numpy(), axes.numpy(), strict=True
    ):
        said = {(AXIS_NAMES[axis], int(sign)) for axis, sign in zip(AXES, row, strict=True) if sign}
        named = [
            {("zoom" if name == "closer" else name, sign) for name, sign in facts(one.decode())}
            for one in (clause, opposite)
        ]
        assert said == {fact for fact in named[0] if fact[0] in AXIS_NAMES.values()}
        turned = {(name, -sign) for name, sign in said}
        assert turned == {fact for fact in named[1] if fact[0] in AXIS_NAMES.values()}
        seen |= said
    assert seen == {(name, sign) for name in AXIS_NAMES.values() for sign in (-1, 1)}


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
        named = facts(filmed.told[0].decode())
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
    rows = re.findall(r"^\|.*\| `(travel|zoom|closer|turn)`, ([0-9.]+)", PAGE, re.MULTILINE)
    assert {(name, float(least)) for name, least in rows} == {
        (name, getattr(ALWAYS, name)) for name in ("travel", "zoom", "closer", "turn")
    }
    assert "under {} or over {}".format(*ALWAYS.pace) in PAGE
    assert f"`visible`, {ALWAYS.visible}" in " ".join(PAGE.split())
    known = {verb for ways in verbs.VERBS.values() for verb in ways if verb}
    table = PAGE.partition("## What captions say")[2].partition("\n\n**")[0]
    words = set(re.findall(r"\*([a-z ]+)\*", table)) - {"slowly", "quickly"}
    assert len(words) == 29 and words <= known
    assert f"one of {verbs.VARIANTS} verbs".replace("6", "six") in " ".join(PAGE.split())


def test_captions_grow_by_as_many_tokens_as_the_page_says() -> None:
    tokenizer, most = ClipTokenizer(), 0
    camera = {"right": 0.25, "down": 0.2, "zoom": 1.3}
    passes: dict[str, float] = {**THING, "thing": CODES["pass_by"], "thing_right": 1.2}
    numbers = told.draw(0, tf.constant(0, tf.int64), 500)
    for amounts in ({"closer": 0.5}, camera, camera | passes):
        clauses = told.phrase(numbers, still(500, **amounts), ALWAYS).forwards
        pairs = zip(clauses.finite.numpy(), clauses.participle.numpy(), strict=True)
        spoken = []
        for clause, doing in ((a.decode(), b.decode()) for a, b in pairs):
            spoken += [f"a dog, and {clause}", f"while {clause}, a dog", f"with {doing}, a dog"]
        most = max(most, (tokenizer(spoken) != 0).sum(axis=1).max() - 4)
    assert f"by up to {most} of CLIP's tokens" in PAGE
