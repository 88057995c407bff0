"""Tests of input_pipeline.director.plan: whole plans, of every preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import (
    Acceleration,
    Cut,
    Dissolve,
    Exposure,
    Fade,
    Focus,
    Framing,
    MotionBlur,
    Pan,
    Roll,
    Sampling,
    Scenes,
    Shake,
    Speed,
    Tilt,
    Wipe,
    Zoom,
)  # fmt: skip
from animclip_jax.animation.config import COMPONENTS, PRESETS, AnimationConfig, alone
from benchmarks.train_step import ROLLED_SHARE
from input_pipeline import director
from input_pipeline.director import shots
from tests.input_pipeline.director.plans import (
    CLIPS,
    centres,
    corners,
    draws,
    eagerly,
    edges,
    film,
    in_dataset,
    only,
    sides,
    sizes,
    some_of,
)  # fmt: skip

# As much as the configuration can ask for, of everything at once.
WILD: dict[str, Any] = {
    "framing": Framing(0.9, (0.1, 1.0)),
    "pan": Pan(1.0, (0.0, 9.0)),
    "tilt": Tilt(1.0, (0.0, 9.0)),
    "zoom": Zoom(1.0, (1.0, 8.0)),
    "roll": Roll(0.7, (0.0, 40.0)),
    "shake": Shake(0.7, (0.0, 0.25), (0.0, 5.0)),
    "speed": Speed(0.5),
    "acceleration": Acceleration(0.7, (0.0, 1.0)),
    "sampling": Sampling(0.7, (0.0, 1.0)),
    "cut": Cut(0.8, (0.0, 1.0)),
    "dissolve": Dissolve(0.4, (0.0, 1.0)),
    "wipe": Wipe(0.5, (0.0, 1.0), (0.001, 1.0)),
    "fade": Fade(0.8, (0.0, 1.0)),
    "focus": Focus(0.7, (0.0, 0.25)),
    "exposure": Exposure(0.7, (0.0, 3.0)),
    "motion_blur": MotionBlur(0.7, (0.0, 1.0)),
}


@pytest.mark.parametrize("make", [eagerly, in_dataset])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("wild", [False, True])
def test_windows_are_square_and_inside_the_picture(make: Callable, preset: str, wild: bool) -> None:
    config = AnimationConfig(preset, num_frames=9, **(WILD if wild else {}))
    size = sizes(CLIPS)
    plan = make(draws(CLIPS), size, config)
    K = config.most_overlap
    assert plan.boxes.shape == (CLIPS, 9 + K, 4) and plan.boxes.dtype == np.float32
    limits = np.concatenate([size, size], axis=1)[:, None, :]
    assert (plan.boxes >= 0).all() and (plan.boxes <= limits).all()
    # All four corners, also of windows that are rolled and shaken; to a hundredth of a pixel.
    found = corners(plan)
    assert found.min() > -0.01 and (found < size[:, None, None, :] + 0.01).all()
    # Square: so nothing was cut off to make them fit.
    right, down = edges(plan)
    side = np.linalg.norm(right, axis=-1)
    np.testing.assert_allclose(side, np.linalg.norm(down, axis=-1), rtol=0, atol=6e-3)
    np.testing.assert_allclose((right * down).sum(-1) / side, 0, atol=6e-3)
    assert side.min() >= (64 * 0.1 / 8 / 2 if wild else 64 * 0.55 / 1.6 / 1.3)
    assert (side <= size.min(axis=1)[:, None] + 1e-2).all()


def test_thousands_of_wild_plans_stay_inside() -> None:
    for seed in range(3):
        size = sizes(5000, seed + 1)
        plan = eagerly(draws(5000, seed + 1), size, AnimationConfig(num_frames=7, **WILD))
        found = corners(plan)
        assert found.min() > -0.01 and (found < size[:, None, None, :] + 0.01).all()
        assert (plan.shear != 0).any(axis=(1, 2)).mean() > 0.8
        for part in plan:
            assert np.isfinite(part).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_the_other_parts_of_a_plan(preset: str) -> None:
    config = AnimationConfig(preset, num_frames=9)
    plan, K, V, H = film(config, (200, 300)), 3, 12, 0
    if preset not in ("shots", "full", "things"):
        K, V = 0, 9
    if preset == "things":
        H = 9
    shapes = {name: part.shape[1:] for name, part in plan._asdict().items()}
    assert shapes == {
        "boxes": (V, 4), "shear": (V, 2), "blur": (V,), "smear": (V, 4),
        "at": (K,), "mix": (K, 3), "gain": (9,), "offset": (9,), "extent": (2,),
        "home": (5 if H else 0,), "fill": (2 if H else 0,),
        "thing_boxes": (H, 4), "thing_shear": (H, 2), "thing_smear": (H, 4),
    }  # fmt: skip
    dtypes = {name: str(part.dtype) for name, part in plan._asdict().items()}
    assert dtypes.pop("at") == "int32" and set(dtypes.values()) == {"float32"}
    moves = preset in ("camera", "full", "things")
    assert (plan.shear != 0).any() == moves
    assert (plan.blur != 0).any() == (plan.smear != 0).any() == (preset in ("full", "things"))
    assert (plan.gain != 1).any() == (plan.offset != 0).any() == (K > 0)


def test_eager_and_dataset_agree() -> None:
    config, size, noise = AnimationConfig(), sizes(CLIPS), draws(CLIPS)
    ours, theirs = eagerly(noise, size, config), in_dataset(noise, size, config)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_the_shortest_clips(num_frames: int) -> None:
    config = AnimationConfig(num_frames=num_frames, **WILD)
    plan = film(config, (100, 150))
    assert plan.gain.shape == (CLIPS, num_frames)
    assert all(np.isfinite(part).all() for part in plan)


def test_repeat_is_the_largest_centred_square() -> None:
    boxes = film(AnimationConfig("repeat", num_frames=3), (100, 160), 2).boxes
    np.testing.assert_allclose(boxes, np.tile(np.array([0, 30, 100, 130], np.float32), (2, 3, 1)))


def test_still_holds_one_window_of_its_range() -> None:
    config = AnimationConfig("still", framing=Framing(1.0, (0.4, 0.6)))
    boxes = film(config, (200, 300)).boxes
    assert (boxes == boxes[:, :1]).all()
    side = sides(boxes)[:, 0]
    assert 80 <= side.min() < 85 and 115 < side.max() <= 120.001
    # It starts anywhere in the room.
    share = boxes[:, 0, 1] / (300 - side)
    assert share.min() < 0.02 and share.max() > 0.98 and 0.45 < share.mean() < 0.55


def test_zoom_is_monotone_by_its_ratio_about_one_point() -> None:
    config = AnimationConfig("zoom", zoom=Zoom(1.0, (1.5, 2.0)))
    boxes = film(config, (300, 400)).boxes
    side = sides(boxes)
    ratio = side[:, -1] / side[:, 0]
    zooms_in = ratio < 1
    assert 0.4 < zooms_in.mean() < 0.6
    size = np.maximum(ratio, 1 / ratio)
    assert 1.499 < size.min() < 1.55 and 1.95 < size.max() < 2.001
    change = np.diff(side, axis=1)
    assert (np.where(zooms_in[:, None], -change, change) > 0).all()
    moved = centres(boxes) - centres(boxes)[:, :1]
    np.testing.assert_allclose(moved, 0, atol=1e-2)


def test_a_cut_keeps_the_speed_of_a_whole_clip() -> None:
    framing, pan, zoom = Framing(1.0, (0.2, 0.2)), Pan(1.0, (0.3, 0.3)), Zoom(1.0, (1.6, 1.6))
    config = only(13, framing=framing, pan=pan, zoom=zoom, cut=Cut(1.0), speed=Speed())
    boxes = film(config, (500, 2000)).boxes
    row = draws(CLIPS)["cut"]
    later = shots.cut(row, config.cut, 13, tf.zeros([CLIPS], tf.bool)).numpy()
    for clip, (second, third) in zip(boxes, later, strict=True):
        for shot in (clip[:second], clip[second:third], clip[third:]):
            share = (len(shot) - 1) / 12
            x, side = centres(shot)[:, 1], sides(shot)
            assert abs(abs(x[-1] - x[0]) - 0.3 * 100 * share) < 0.01
            assert abs(side.max() / side.min() - (1 + 0.6 * share)) < 1e-3


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_components_are_on_as_often_as_told(probability: float) -> None:
    config = only(
        framing=Framing(probability, (0.5, 0.7)), pan=Pan(probability), tilt=Tilt(probability),
        zoom=Zoom(probability, (1.5, 2.0)), focus=Focus(probability),
        exposure=Exposure(probability), motion_blur=MotionBlur(probability),
    )  # fmt: skip
    plan = film(config, (500, 1000), 3000)
    moved = np.abs(centres(plan.boxes)[:, -1] - centres(plan.boxes)[:, 0]) > 0.5
    zoomed = np.abs(sides(plan.boxes)[:, -1] - sides(plan.boxes)[:, 0]) > 0.5
    framed = sides(plan.boxes).max(axis=1) < 400
    blurred, lit = (plan.blur > 0).any(axis=1), (plan.gain != 1).any(axis=1)
    smeared = (plan.smear != 0).any(axis=(1, 2))[moved[:, 1]]
    for on in (moved[:, 1], zoomed, framed, blurred, lit, *([smeared] if smeared.size else [])):
        assert abs(on.mean() - probability) < 0.05
    turned = film(only(roll=Roll(probability)), (500, 1000), 3000)
    shaken = film(only(shake=Shake(probability)), (500, 1000), 3000)
    for plan in (turned, shaken):
        assert abs((plan.shear != 0).any(axis=(1, 2)).mean() - probability) < 0.04


def test_a_plan_does_not_depend_on_the_rest_of_the_batch() -> None:
    noise, size = draws(CLIPS), sizes(CLIPS)
    for config in (
        AnimationConfig(),
        AnimationConfig("things"),
        AnimationConfig("things", num_frames=5, **WILD),
    ):
        whole = eagerly(noise, size, config)
        for start, stop in ((0, 1), (5, 8), (100, 117), (3, 1000)):
            some = eagerly(some_of(noise, start, stop), size[start:stop], config)
            for all_of_it, part in zip(whole, some, strict=True):
                assert part.tobytes() == all_of_it[start:stop].tobytes()


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_component_alone_changes_the_clip(name: str) -> None:
    size = np.tile(np.array([[200, 320], [300, 200]], np.int32), (50, 1, 1))
    with_it = eagerly(draws(50), size, alone(name, 9, 64))
    config = alone(name, 9, 64)
    off = dataclasses.replace(getattr(config, name), probability=0.0)
    without = eagerly(draws(50), size, dataclasses.replace(config, **{name: off}))
    same = [
        a.shape == b.shape and (a.reshape(50, -1) == b.reshape(50, -1)).all(axis=1).mean() == 1
        for a, b in zip(with_it, without, strict=True)
    ]
    assert not all(same)


def test_scenes_show_the_second_picture_from_the_first_cut_on() -> None:
    first, second = (100, 400), (900, 300)
    size = np.tile(np.array([first, second], np.int32), (CLIPS, 1, 1))
    config = only(9, scenes=Scenes(0.5), cut=Cut(0.3), dissolve=Dissolve(0.5))
    plan, picture, _ = director.direct(draws(CLIPS), tf.constant(size), config)
    picture, boxes = picture.numpy(), plan.boxes.numpy()
    of_frames = picture[:, :9]
    assert (picture[:, 9:] == 0).all()
    two = of_frames.any(axis=1)
    assert 0.45 < two.mean() < 0.55
    assert (of_frames[:, 0] == 0).all() and (np.diff(of_frames, axis=1) >= 0).all()
    assert (of_frames[two, -1] == 1).all()
    np.testing.assert_allclose(sides(boxes), np.where(picture, 300, 100), atol=1e-2)


def test_a_rolled_window_is_in_as_many_clips_as_documents_say() -> None:
    """In docs/scaling.md and the benchmark of a step; each shot is turned by itself."""
    plan = film(AnimationConfig("full"), (375, 500))
    share = (plan.shear != 0).any(axis=(1, 2)).mean()
    assert share == pytest.approx(ROLLED_SHARE, abs=0.05)
