"""Tests of animation.flow: where a plan says that places go, the rendered frames show them."""

from __future__ import annotations

import numpy as np
import pytest

from animclip_jax.animation.flow import flow, places
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from tests.plans import upright

SIZE, GRID = 64, 16
# A dot on a dark canvas, and the frame that shows it.
DOT = (0.56, 0.38)


def plan_of(boxes: list, shear: list | None = None) -> ShotPlan:
    plan = upright(np.array([boxes], np.float32))
    return plan if shear is None else plan._replace(shear=np.array([shear], np.float32))


def dot_in_frames(plan: ShotPlan, dot: tuple[float, float] = DOT) -> np.ndarray:
    """Where each frame shows the dot, (v, u), float [T, 2]."""
    at = (np.arange(160) + 0.5) / 160
    bright = np.exp(-((at[:, None] - dot[0]) ** 2 + (at[None] - dot[1]) ** 2) / (2 * 0.015**2))
    canvas = np.repeat((bright * 255).astype(np.uint8)[None, ..., None], 3, axis=-1)
    frames = np.asarray(render(canvas, plan, SIZE))[0, ..., 0]
    place = (np.arange(SIZE) + 0.5) / SIZE - 0.5
    total = frames.sum(axis=(1, 2))
    v = (frames.sum(axis=2) @ place) / total
    return np.stack([v, (frames.sum(axis=1) @ place) / total], axis=-1)


def followed(plan: ShotPlan, start: np.ndarray, pair: int = 0) -> np.ndarray:
    """Where the flow carries a place of a frame, between the places that the flow is given for."""
    found = np.asarray(flow(plan, GRID))[0, pair].reshape(GRID, GRID, 2)
    y, x = (start + 0.5) * GRID - 0.5
    row, column = int(y), int(x)
    square = found[row : row + 2, column : column + 2]
    down, right = y - row, x - column
    return np.einsum("r,c,rcd->d", np.array([1 - down, down]), np.array([1 - right, right]), square)


@pytest.mark.parametrize(
    ("boxes", "shear"),
    [
        ([[0.1, 0.1, 0.8, 0.8], [0.1, 0.2, 0.8, 0.9]], None),
        ([[0.1, 0.1, 0.9, 0.9], [0.3, 0.3, 0.7, 0.7]], None),
        ([[0.2, 0.2, 0.8, 0.8], [0.2, 0.2, 0.8, 0.8]], [[0.0, 0.0], [0.2, -0.2]]),
    ],
    ids=["pan", "zoom", "roll"],
)
def test_the_flow_goes_where_frames_show_what_was_there(boxes: list, shear: list | None) -> None:
    plan = plan_of(boxes, shear)
    seen = dot_in_frames(plan)
    assert np.abs(seen[1] - seen[0]).max() > 0.03
    np.testing.assert_allclose(followed(plan, seen[0]), seen[1], atol=0.01)


def test_what_a_thing_covers_goes_with_the_thing() -> None:
    whole = [0.0, 0.0, 1.0, 1.0]
    moved = upright(np.array([[whole, [-0.1, -0.25, 0.9, 0.75]]], np.float32))
    plan = plan_of([whole, whole])._replace(
        home=np.array([[*DOT, 0.15, 0.15, 0.2]], np.float32),
        fill=np.array([[0.0, 0.35]], np.float32),
        thing_boxes=moved.boxes,
        thing_shear=moved.shear,
        thing_smear=moved.smear,
    )
    seen = dot_in_frames(plan)
    np.testing.assert_allclose(seen[1] - seen[0], [0.1, 0.25], atol=0.01)
    np.testing.assert_allclose(followed(plan, seen[0]), seen[1], atol=0.01)
    corner = np.array([-0.4, -0.4])
    np.testing.assert_allclose(followed(plan, corner), corner, atol=1e-5)
    # A clip of the same batch that has no thing.
    without = plan._replace(home=np.zeros_like(plan.home))
    np.testing.assert_allclose(followed(without, seen[0]), seen[0], atol=1e-5)


def test_places_are_the_middles_of_equal_parts() -> None:
    wanted = [[-0.25, -0.25], [-0.25, 0.25], [0.25, -0.25], [0.25, 0.25]]
    np.testing.assert_allclose(places(2), wanted)
