"""Tests of input_pipeline.director.cut_outs, as the plans show them."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import (
    Bounce,
    Enter,
    Framing,
    Grow,
    Pan,
    Parallax,
    Slide,
    Thing,
    Turn,
)  # fmt: skip
from animclip_jax.animation.config import COMPONENTS, MOTIONS
from animclip_jax.animation.plan import ShotPlan
from input_pipeline import director
from input_pipeline.director import siblings
from input_pipeline.director.things import CODES
from tests.input_pipeline.director.moving import (
    MOVING,
    direct,
    radius,
    shown_at,
    things,
)
from tests.input_pipeline.director.plans import CLIPS, draws, eagerly, only, sizes, some_of


def test_a_thing_has_its_size_and_its_place_is_drawn_mostly_in_the_middle() -> None:
    plan, _ = direct(things(slide=Slide(1.0, (0.0, 0.0)), thing=Thing(1.0, (0.2, 0.3), (0.1, 0.3))))
    longer, thinner = radius(plan)[:, 0].max(axis=1), radius(plan)[:, 0].min(axis=1)
    assert 0.0999 < longer.min() < 0.101 and 0.149 < longer.max() < 0.1501
    assert 0.6 <= (thinner / longer).min() < 0.61 and (thinner / longer).max() > 0.99
    assert 0.1 <= plan.home[:, 4].min() < 0.101 and 0.299 < plan.home[:, 4].max() < 0.3
    share = shown_at(plan)[:, 0] / (0.5 - longer[:, None])
    assert np.abs(share).max() > 0.9 and 0.4 < (np.abs(share) < 0.3).mean() < 0.6


WILD: dict[str, Any] = MOVING | {
    "framing": Framing(0.9, (0.1, 1.0)),
    "thing": Thing(1.0, (0.05, 0.6), (0.05, 1.0)),
    "slide": Slide(1.0, (0.0, 1.0)),
    "bounce": Bounce(0.2, (0.0, 1.0), (0.0, 1.0), (1.0, 12.0)),
    "grow": Grow(0.2, (1.0, 8.0)),
    "turn": Turn(0.2, (0.0, 45.0)),
    **{name: COMPONENTS[name](0.2) for name in ("enter", "leave", "pass_by")},
    "parallax": Parallax(0.2, (0.0, 4.0)),
}


def test_things_are_cut_out_of_the_picture_and_their_places_filled_from_beside_them() -> None:
    for seed in range(3):
        size = sizes(CLIPS, seed)
        plan, moves = direct(only(9, **WILD), size)
        assert all(np.isfinite(part).all() for part in (*plan, *moves))
        some = plan.has_thing & (moves.thing != CODES["parallax"])
        assert some.mean() > 0.6
        middle, r = plan.home[some, :2], plan.home[some, 2:4]
        filling, limits = middle + plan.fill[some], size[some]
        for place in (middle, filling):
            assert (place - r > -0.05 * r - 0.5).all()
            assert (place + r < limits + 0.05 * r + 0.5).all()
        assert (np.abs(filling - middle) / r).max(axis=1).min() > 2.0
        assert r.min() >= 2.0


def test_small_pictures_have_no_things() -> None:
    plan, moves = direct(things(slide=Slide(1.0)), (9, 12))
    assert not plan.has_thing.any() and (moves.thing == 0).all()
    assert np.isfinite(plan.thing_boxes).all()


def test_things_are_smaller_where_too_little_is_beside_them() -> None:
    config = things(slide=Slide(1.0, (0.0, 0.0)), framing=Framing(1.0, (1.0, 1.0)))
    config = dataclasses.replace(config, thing=Thing(1.0, (0.6, 0.6), place=(0.5, 0.5)))
    plan, _ = direct(config, (300, 300))
    np.testing.assert_allclose(plan.home[:, 2:4].min(axis=1), 148 / 3, atol=2.1)


def boxes_at(middle: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    (y, x), (h, w) = middle, np.array(size) / 2
    return np.tile(np.array([y - h, x - w, y + h, x + w], np.float32), (CLIPS, 1))


@pytest.mark.parametrize("motion", [name for name in MOTIONS if name != "parallax"])
def test_what_the_caption_is_of_is_what_moves(motion: str) -> None:
    box = boxes_at((180, 310), (60, 50))
    plan, moves = direct(things(12, **{motion: COMPONENTS[motion](1.0)}), box=box)
    assert (moves.thing == CODES[motion]).all()
    np.testing.assert_allclose(plan.home[:, :4], [[180, 310, 30, 25]] * CLIPS, atol=1e-3)
    if motion == "pass_by":
        place = (180 - 200) / 200
        np.testing.assert_allclose(shown_at(plan)[..., 0], place, atol=1e-3)
    elif motion != "bounce":
        at_home = plan.thing_boxes - plan.boxes
        smallest = np.abs(at_home).max(axis=2).min(axis=1)
        assert smallest.max() < (0.02 if motion != "grow" else 40)


def test_a_box_is_clipped_to_the_frame_and_one_that_is_hardly_in_it_does_not_move() -> None:
    slide = things(slide=Slide(1.0))  # of the frame from 100 to 300 and 200 to 400
    partly = direct(slide, box=boxes_at((120, 300), (60, 50)))[0]
    np.testing.assert_allclose(partly.home[:, :4], [[125, 300, 25, 25]] * CLIPS, atol=1e-3)
    hardly = direct(slide, box=boxes_at((95, 300), (60, 50)))
    gone = direct(slide, box=boxes_at((50, 80), (60, 50)))
    large = direct(slide, box=boxes_at((200, 250), (180, 190)), size=(400, 500))
    for plan, moves in (hardly, gone, large):
        assert not plan.has_thing.any() and (moves.thing == 0).all()


def test_clips_whose_box_is_not_known_are_as_without_any() -> None:
    config = things(slide=Slide(0.5), bounce=Bounce(0.5), enter=Enter(0.3), **MOVING)
    box = boxes_at((180, 310), (60, 50))
    box[::2] = math.nan
    some, none = direct(config, box=box)[0], direct(config)[0]
    for a, b in zip(some, none, strict=True):
        assert a[::2].tobytes() == b[::2].tobytes()
    assert (some.home[1::2] != none.home[1::2]).any(axis=1).mean() > 0.9


def test_what_is_known_is_not_the_near_part_of_a_parallax() -> None:
    config = things(parallax=Parallax(1.0), pan=Pan(1.0))
    assert not direct(config, box=boxes_at((180, 310), (60, 50)))[0].has_thing.any()


def test_things_run_backwards_with_their_clips() -> None:
    plan, picture, _ = director.direct(
        draws(CLIPS), tf.constant(sizes(CLIPS)[:, None]), only(9, **WILD)
    )
    turned, _ = siblings.backwards(plan, picture)
    for name in ("thing_boxes", "thing_shear", "thing_smear"):
        wanted = getattr(plan, name)[:, ::-1]
        wanted = -wanted if name == "thing_smear" else wanted
        np.testing.assert_array_equal(getattr(turned, name), wanted)
    np.testing.assert_array_equal(turned.home, plan.home)


@functools.cache
def wild_plans() -> ShotPlan:
    return eagerly(draws(CLIPS), sizes(CLIPS), only(9, **WILD))


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 8), (100, 117), (3, 1000)])
def test_a_thing_does_not_depend_on_the_rest_of_the_batch(start: int, stop: int) -> None:
    drawn = some_of(draws(CLIPS), start, stop)
    some = eagerly(drawn, sizes(CLIPS)[start:stop], only(9, **WILD))
    for whole, part in zip(wild_plans(), some, strict=True):
        assert part.tobytes() == whole[start:stop].tobytes()
