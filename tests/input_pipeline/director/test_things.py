"""Tests of input_pipeline.director.things, as the plans show them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import (
    Bounce,
    Cut,
    Dissolve,
    Enter,
    Fade,
    Framing,
    Grow,
    Leave,
    MotionBlur,
    Pan,
    Parallax,
    PassBy,
    Scenes,
    Slide,
    Thing,
    Tilt,
    Turn,
    Zoom,
)  # fmt: skip
from animclip_jax.animation.config import COMPONENTS, MOTIONS
from input_pipeline import director
from input_pipeline.director.things import CODES
from tests.input_pipeline.director.moving import (
    MOVING,
    direct,
    growth,
    middles,
    radius,
    scene_places,
    shown_at,
    things,
    things_windows,
)
from tests.input_pipeline.director.plans import CLIPS, degrees, draws, edges


def test_a_thing_slides_by_its_travel_and_stays_in_the_frame() -> None:
    plan, moves = direct(things(slide=Slide(1.0, (0.2, 0.4))))
    place = shown_at(plan)
    assert (np.abs(place) + radius(plan)).max() < 0.5001
    way = place[:, -1] - place[:, 0]
    is_upright = np.abs(way[:, 0]) > 1e-3
    assert 0.2 < is_upright.mean() < 0.4
    np.testing.assert_allclose(way[is_upright, 1], 0, atol=1e-4)
    np.testing.assert_allclose(way[~is_upright, 0], 0, atol=1e-4)
    length = np.abs(way).max(axis=1)
    assert 0.199 < length.min() < 0.205 and 0.395 < length.max() < 0.401
    assert 0.4 < (way.sum(axis=1) > 0).mean() < 0.6
    np.testing.assert_allclose(np.diff(place, 2, axis=1), 0, atol=1e-4)  # steadily
    # It begins where it was cut out.
    np.testing.assert_allclose(plan.thing_boxes[:, 0], plan.boxes[:, 0], atol=1e-3)
    np.testing.assert_allclose(moves.thing_down, way[:, 0], atol=1e-4)
    np.testing.assert_allclose(moves.thing_right, way[:, 1], atol=1e-4)
    assert (moves.thing == CODES["slide"]).all() and (moves.thing_visible > 0.999).all()
    np.testing.assert_allclose(growth(plan), 1, rtol=1e-4)


def test_a_thing_that_enters_comes_over_a_side_to_where_it_was_cut_out() -> None:
    plan, moves = direct(things(enter=Enter(1.0)))
    place, r = shown_at(plan), radius(plan)
    outside = np.abs(place[:, 0]) - r[:, 0]
    assert (outside.max(axis=1) > 0.5).all() and (outside.min(axis=1) < 0.5).all()
    assert (np.abs(place[:, -1]) + r[:, -1]).max() < 0.5001
    np.testing.assert_allclose(plan.thing_boxes[:, -1], plan.boxes[:, -1], atol=1e-3)
    way = place[:, -1] - place[:, 0]
    np.testing.assert_allclose(np.stack([moves.thing_down, moves.thing_right], 1), way, atol=1e-4)
    kinds, counts = np.unique(np.sign(np.round(way, 3)), axis=0, return_counts=True)
    assert sorted(map(tuple, kinds)) == [(-1, 0), (0, -1), (0, 1), (1, 0)]
    assert counts.min() > 0.1 * CLIPS
    assert (moves.thing == CODES["enter"]).all() and (moves.thing_visible > 0.999).all()


def test_a_thing_that_leaves_goes_over_a_side_from_where_it_was_cut_out() -> None:
    plan, moves = direct(things(leave=Leave(1.0)))
    place, r = shown_at(plan), radius(plan)
    assert (np.abs(place[:, 0]) + r[:, 0]).max() < 0.5001
    assert ((np.abs(place[:, -1]) - r[:, -1]).max(axis=1) > 0.5).all()
    np.testing.assert_allclose(plan.thing_boxes[:, 0], plan.boxes[:, 0], atol=1e-3)
    assert (moves.thing == CODES["leave"]).all() and (moves.thing_visible > 0.999).all()


def test_a_thing_that_passes_by_goes_in_on_one_side_and_out_at_the_other() -> None:
    plan, moves = direct(things(pass_by=PassBy(1.0)))
    place, r = shown_at(plan), radius(plan)
    first, last = place[:, 0, 1], place[:, -1, 1]
    assert (np.abs(first) - r[:, 0, 1] > 0.5).all() and (np.abs(last) - r[:, -1, 1] > 0.5).all()
    assert (np.sign(first) == -np.sign(last)).all() and 0.4 < (first < 0).mean() < 0.6
    assert np.ptp(place[..., 0], axis=1).max() < 1e-4
    np.testing.assert_allclose(moves.thing_right, last - first, atol=1e-4)
    assert (moves.thing_visible > 0.999).all()


def test_a_thing_bounces_in_hops_and_lands_where_it_jumped() -> None:
    config = things(24, bounce=Bounce(1.0, (0.2, 0.3), (0.1, 0.2), (2.0, 4.0)))
    plan, moves = direct(config)
    place = shown_at(plan)
    np.testing.assert_allclose(place[:, -1, 0], place[:, 0, 0], atol=1e-4)
    height = place[:, :1, 0] - place[..., 0]
    assert height.min() > -1e-4 and height.max(axis=1).min() > 0.09 and height.max() <= 0.2001
    rises = np.diff(height > 0.5 * height.max(axis=1, keepdims=True), axis=1).sum(axis=1) / 2
    assert set(np.round(rises)) == {2, 3}
    np.testing.assert_allclose(moves.thing_hop, height.max(axis=1), atol=1e-4)
    assert (np.abs(place) + radius(plan)).max() < 0.5001
    travel = np.abs(place[:, -1, 1] - place[:, 0, 1])
    assert travel.min() > 0.199 and travel.max() < 0.301
    np.testing.assert_allclose(np.abs(moves.thing_right), travel, atol=1e-4)


@pytest.mark.parametrize(("num_frames", "hops"), [(4, 1), (8, 2), (12, 3)])
def test_a_hop_takes_four_frames_or_more(num_frames: int, hops: int) -> None:
    bounce = Bounce(1.0, (0.2, 0.2), (0.2, 0.2), (9.0, 9.0))
    place = shown_at(direct(things(num_frames, bounce=bounce))[0])
    height = place[:, :1, 0] - place[..., 0]
    phase = hops * np.arange(num_frames) / (num_frames - 1) % 1
    np.testing.assert_allclose(height, [0.2 * 4 * phase * (1 - phase)] * CLIPS, atol=2e-3)


def test_a_thing_grows_or_shrinks_about_its_middle_by_its_ratio() -> None:
    plan, moves = direct(things(grow=Grow(1.0, (1.3, 1.8))))
    size = growth(plan)
    ratio = size[:, -1] / size[:, 0]
    assert 0.4 < (ratio > 1).mean() < 0.6
    most = np.maximum(ratio, 1 / ratio)
    assert 1.3 < most.min() < 1.32 and 1.78 < most.max() < 1.801
    np.testing.assert_allclose(size.min(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(np.diff(shown_at(plan), axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(moves.thing_growth, ratio, rtol=1e-3)
    assert (np.abs(shown_at(plan)) + radius(plan)).max() < 0.5001


def test_a_thing_turns_about_its_middle_by_its_degrees() -> None:
    plan, moves = direct(things(turn=Turn(1.0, (15.0, 40.0))))
    angle = -degrees(things_windows(plan))
    assert 14.9 < np.abs(angle[:, -1]).min() < 16 and 39 < np.abs(angle).max() < 40.1
    assert 0.4 < (angle[:, -1] > 0).mean() < 0.6
    np.testing.assert_allclose(angle[:, 0], 0, atol=1e-3)
    np.testing.assert_allclose(np.diff(shown_at(plan), axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(moves.thing_turn, angle[:, -1], atol=0.01)


def test_in_a_parallax_the_near_part_moves_faster_and_both_stay_in_the_picture() -> None:
    travelling: dict[str, Any] = {"pan": Pan(1.0, (0.3, 0.5)), "tilt": Tilt(0.5, (0.3, 0.5))}
    parallax = Parallax(1.0, (0.5, 0.5))
    plan, moves = direct(things(parallax=parallax, **travelling))
    far, near = (middles(boxes) for boxes in (plan.boxes[:, :12], plan.thing_boxes))
    for boxes in (plan.boxes, plan.thing_boxes):
        assert boxes.min() > -0.01 and (boxes[..., 2:] < np.array([400, 600]) + 0.01).all()
    ways = [path[:, -1] - path[:, 0] for path in (far, near)]
    np.testing.assert_allclose(ways[1], 1.5 * ways[0], atol=0.02)
    assert 0.299 < np.abs(ways[1][:, 1]).min() / 200 < 0.31
    np.testing.assert_allclose(far.mean(axis=1), near.mean(axis=1), atol=0.02)
    # The near part is the lower one.
    box = plan.boxes.mean(axis=1)
    np.testing.assert_allclose(plan.home[:, 0], box[:, 2], atol=0.02)
    assert (plan.fill == 0).all() and (moves.thing == CODES["parallax"]).all()
    np.testing.assert_allclose(moves.right, ways[0][:, 1] / 200, atol=1e-3)
    # It zooms more, too.
    plan, _ = direct(things(parallax=parallax, pan=Pan(1.0), zoom=Zoom(1.0, (1.5, 1.5))))
    sides = [boxes[..., 2] - boxes[..., 0] for boxes in (plan.boxes, plan.thing_boxes)]
    ratios = [np.maximum(s[:, -1] / s[:, 0], s[:, 0] / s[:, -1]) for s in sides]
    np.testing.assert_allclose(ratios[1], 1.5, rtol=1e-3)
    assert (ratios[0] < 1.36).all() and (ratios[0] > 1.2).all()


def test_there_is_a_parallax_only_where_the_camera_pans_or_tilts() -> None:
    pan, tilt = Pan(0.5, (0.3, 0.5)), Tilt(0.5, (0.3, 0.5))
    plan, moves = direct(things(parallax=Parallax(1.0), slide=Slide(1.0), pan=pan, tilt=tilt))
    moved = (np.abs(plan.boxes[:, -1] - plan.boxes[:, 0]) > 1).any(axis=1)
    assert 0.7 < moved.mean() < 0.8
    assert (moves.thing == np.where(moved, CODES["parallax"], CODES["slide"])).all()


def test_a_clip_has_the_first_motion_that_is_drawn() -> None:
    parts: dict[str, Any] = {name: COMPONENTS[name](0.5) for name in MOTIONS if name != "parallax"}
    plan, moves = direct(things(thing=Thing(0.8, (0.2, 0.3)), **parts))
    share = [(moves.thing == CODES[name]).mean() for name in parts]
    np.testing.assert_allclose(share, [0.8 * 0.5 ** (n + 1) for n in range(7)], atol=0.05)
    assert (plan.has_thing == (moves.thing > 0)).all()
    enters = draws(CLIPS)["enter"][:, 0, 0].numpy() < 0.5
    assert ((moves.thing == CODES["enter"]) == enters)[plan.has_thing].all()
    nothing = moves._replace(thing=moves.thing[~plan.has_thing])
    none = {name: part[~plan.has_thing] for name, part in moves._asdict().items()}
    assert (nothing.thing == 0).all() and (none["thing_growth"] == 1).all()
    for name in ("right", "down", "turn", "hop", "visible"):
        assert (none[f"thing_{name}"] == 0).all()


def test_a_clip_with_a_thing_is_one_shot_and_the_others_are_as_without() -> None:
    shots: dict[str, Any] = {"cut": Cut(1.0), "dissolve": Dissolve(0.5), "fade": Fade(0.5)}
    framing = Framing(1.0, (0.4, 0.5))
    config = things(framing=framing, thing=Thing(0.5), slide=Slide(1.0), **shots, **MOVING)
    plan, _ = direct(config)
    without, _ = direct(dataclasses.replace(config, thing=Thing(0.0)))
    has = plan.has_thing
    assert 0.4 < has.mean() < 0.6
    assert (plan.at[has] == 12).all() and (plan.mix[has] == 0).all() and (plan.gain[has] == 1).all()
    jumps = np.abs(np.diff(middles(plan.boxes[:, :12]), axis=1)).max(axis=(1, 2))
    assert jumps[has].max() < 40 < np.median(jumps[~has])
    for name, part in without._asdict().items():
        if not name.startswith("thing") and name not in ("home", "fill"):
            assert getattr(plan, name)[~has].tobytes() == part[~has].tobytes()


def test_the_camera_holds_still_before_as_many_things_as_the_configuration_says() -> None:
    moving: dict[str, Any] = {"pan": Pan(1.0, (0.1, 0.3)), "zoom": Zoom(1.0, (1.2, 1.3))}

    def boxes(still: float, motion: str) -> np.ndarray:
        thing = Thing(1.0, (0.2, 0.3), still=still)
        on: dict[str, Any] = {motion: COMPONENTS[motion](1.0)}
        return direct(things(thing=thing, **on, **moving))[0].boxes

    def holds(boxes: np.ndarray) -> np.ndarray:
        return np.abs(boxes - boxes[:, :1]).max(axis=(1, 2)) < 1e-3

    assert not holds(boxes(0.0, "slide")).any()
    half = holds(boxes(0.5, "slide"))
    assert 0.35 < half.mean() < 0.65
    np.testing.assert_array_equal(boxes(0.5, "slide")[~half], boxes(0.0, "slide")[~half])
    # Near and far differ by the way of the camera alone.
    assert not holds(boxes(1.0, "parallax")).any()


def test_things_go_up_or_down_as_often_as_the_configuration_says() -> None:
    for upright in (0.0, 0.4, 1.0):
        thing = Thing(1.0, (0.2, 0.3), upright=upright)
        _, moves = direct(things(thing=thing, slide=Slide(1.0, (0.2, 0.4))))
        goes = np.abs(moves.thing_down[moves.thing > 0]) > 0
        assert abs(goes.mean() - upright) < 0.12


def test_a_clip_with_a_thing_has_one_scene() -> None:
    size = np.tile(np.array([[400, 600], [300, 500]], np.int32), (CLIPS, 1, 1))
    config = things(thing=Thing(0.5), slide=Slide(1.0), scenes=Scenes(0.7), cut=Cut(0.5))
    plan, picture, _ = director.direct(draws(CLIPS), tf.constant(size), config)
    two = picture.numpy().any(axis=1)
    assert not (two & plan.has_thing.numpy()).any()
    assert 0.3 < two.mean() < 0.4 and 0.4 < plan.has_thing.numpy().mean() < 0.6
    assert (director.two_scenes(draws(CLIPS), config).numpy() == two).all()


def test_what_moves_before_a_moving_camera_is_measured_across_frame_and_scene() -> None:
    plan, moves = direct(things(slide=Slide(0.8), turn=Turn(0.3), grow=Grow(0.3), **MOVING))
    place, scene = shown_at(plan), scene_places(plan)
    side = np.linalg.norm(edges(plan)[0][:, :12], axis=-1)
    of_frame = place[:, -1] - place[:, 0]
    of_scene = (scene[:, -1] - scene[:, 0]) / np.maximum(side[:, :1], side[:, -1:])
    same = of_frame * of_scene > 0
    smaller = np.where(np.abs(of_frame) < np.abs(of_scene), of_frame, of_scene)
    found = np.stack([moves.thing_down, moves.thing_right], axis=1)
    np.testing.assert_allclose(found, np.where(same, smaller, 0), atol=2e-3)
    # What slides does so in both, mostly by as much as was drawn.
    slides = moves.thing == CODES["slide"]
    most = np.abs(found[slides]).max(axis=1)
    assert (most > 0.1).mean() > 0.9
    size = growth(plan)[:, -1] / growth(plan)[:, 0]
    in_frame = size * side[:, 0] / side[:, -1]
    agree = (size - 1) * (in_frame - 1) > 0
    smaller = np.where(np.abs(size - 1) < np.abs(in_frame - 1), size, in_frame)
    grows = moves.thing == CODES["grow"]
    assert 0.5 < agree[grows].mean() < 1
    np.testing.assert_allclose(
        moves.thing_growth[grows], np.where(agree, smaller, 1)[grows], rtol=2e-3
    )
    has = plan.has_thing
    low, high = (place - radius(plan))[has], (place + radius(plan))[has]
    seen = np.clip(np.minimum(high, 0.5) - np.maximum(low, -0.5), 0, None) / (high - low)
    np.testing.assert_allclose(moves.thing_visible[has], seen.prod(axis=-1).min(axis=1), atol=5e-3)
    assert moves.thing_visible.min() < 0.9


def test_a_thing_is_smeared_by_its_way_while_the_shutter_is_open() -> None:
    plan, _ = direct(things(slide=Slide(1.0, (0.3, 0.3)), motion_blur=MotionBlur(1.0, (0.4, 0.4))))
    step = np.diff(plan.thing_boxes, axis=1)
    np.testing.assert_allclose(plan.thing_smear[:, 1:-1], 0.4 * step[:, 1:], atol=0.01)
    assert (plan.smear == 0).all()
