"""Tests of input_pipeline.director.movement, as the plans show it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import Framing, Pan, Roll, Shake, Speed, Tilt
from animclip_jax.animation.config import AnimationConfig
from input_pipeline.director import movement
from tests.input_pipeline.director.plans import centres, degrees, edges, film, only


def test_framing_starts_where_it_is_told() -> None:
    config = AnimationConfig("still", framing=Framing(1.0, (0.5, 0.5), (0.5, 0.5)))
    boxes = film(config, (100, 200), 5).boxes
    np.testing.assert_allclose(
        boxes[:, 0], np.tile(np.array([25, 75, 75, 125], np.float32), (5, 1))
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_pan_and_tilt_travel_shares_of_the_frame(axis: int) -> None:
    move = {"pan": Pan(1.0, (0.2, 0.4))} if axis else {"tilt": Tilt(1.0, (0.2, 0.4))}
    framing = Framing(1.0, (0.5, 0.5))
    boxes = film(only(framing=framing, speed=Speed(), **move), (400, 400)).boxes
    path = centres(boxes)
    travel = (path[:, -1] - path[:, 0]) / 200
    np.testing.assert_allclose(travel[:, 1 - axis], 0, atol=1e-4)
    length = np.abs(travel[:, axis])
    assert 0.199 < length.min() < 0.21 and 0.39 < length.max() < 0.401
    assert 0.4 < (travel[:, axis] > 0).mean() < 0.6
    steps = np.diff(path[..., axis], axis=1) * np.sign(travel[:, axis : axis + 1])
    assert (steps > 0).all()
    # Steady shots have equal steps, eased ones are slow at both ends.
    steady = np.ptp(steps, axis=1) < 0.01
    assert 0.4 < steady.mean() < 0.6
    eased = steps[~steady]
    assert (eased[:, 0] < 0.5 * eased[:, 5]).all() and (eased[:, -1] < 0.5 * eased[:, 5]).all()


def test_travel_shrinks_to_the_room_and_starts_are_not_clamped() -> None:
    wide = only(framing=Framing(1.0, (0.8, 0.8)), pan=Pan(1.0, (5.0, 5.0)))
    boxes = film(wide, (100, 150)).boxes
    travel = np.abs(np.diff(centres(boxes)[..., 1][:, [0, -1]]))
    np.testing.assert_allclose(travel, 150 - 80, atol=1e-2)
    some = dataclasses.replace(wide, pan=Pan(1.0, (0.3, 0.3)), framing=Framing(1.0, (0.5, 0.5)))
    ends = film(some, (100, 100)).boxes[:, [0, -1]]
    at_an_edge = (ends[..., 1] < 0.1) | (ends[..., 3] > 99.9)
    assert at_an_edge.mean() < 0.05


def test_roll_turns_by_its_degrees_and_is_level_within_the_shot() -> None:
    plan = film(only(roll=Roll(1.0, (4.0, 10.0))), (300, 300))
    angle = degrees(plan)
    turn = np.abs(angle[:, -1] - angle[:, 0])
    assert 3.98 < turn.min() < 4.1 and 9.9 < turn.max() < 10.02
    assert (angle.min(axis=1) < 0.01).all() and (angle.max(axis=1) > -0.01).all()
    assert (np.abs(np.diff(angle, 2, axis=1)) < 0.01).all()  # steady
    # A turned square has the side that just fits.
    right, _ = edges(plan)
    most = np.radians(np.abs(angle).max(axis=1))
    wanted = 300 / (np.cos(most) + np.sin(most))
    np.testing.assert_allclose(np.linalg.norm(right, axis=-1)[:, 0], wanted, rtol=1e-3)


def test_shake_sways_about_the_middle_by_its_share_and_turns() -> None:
    config = only(48, framing=Framing(1.0, (0.5, 0.5), (0.5, 0.5)), shake=Shake(1.0, (0.02, 0.02)))
    plan = film(config, (400, 400))
    side = np.linalg.norm(edges(plan)[0], axis=-1, keepdims=True)
    away = (centres(plan.boxes) - 200) / side
    assert np.abs(away).max() <= 0.0201 and np.abs(away).max(axis=(1, 2)).mean() > 0.01
    assert np.abs(away.mean()) < 1e-3
    assert 0.5 < np.abs(degrees(plan)).max() <= 0.81
    # It comes and goes: it is neither a drift nor noise from frame to frame.
    turns = (np.diff(np.sign(np.diff(away, axis=1)), axis=1) != 0).sum(axis=1)
    assert 3 < turns.mean() < 20


@pytest.mark.parametrize("angle", [-45.0, -10.0, 0.0, 0.5, 30.0, 50.0])
def test_rotation(angle: float) -> None:
    cos, sin = (part.numpy() for part in movement.rotation(tf.constant(angle)))
    assert abs(cos**2 + sin**2 - 1) < 1e-6
    assert abs(np.degrees(np.arctan2(sin, cos)) - angle) < 0.01
