"""Tests of input_pipeline.director.moves: amounts measured again, from the corners of windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import (
    Cut,
    Dissolve,
    Fade,
    Framing,
    Pan,
    Roll,
    Scenes,
    Shake,
    Speed,
    Tilt,
    Zoom,
)  # fmt: skip
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline import director
from input_pipeline.director.moves import Moves
from tests.input_pipeline.director.plans import CLIPS, draws, edges, only, sizes, some_of

FRAMING = Framing(1.0, (0.4, 0.5))
MOVES: dict[str, Any] = {
    "pan": Pan(0.7, (0.0, 0.8)),
    "tilt": Tilt(0.7, (0.0, 0.8)),
    "zoom": Zoom(0.7),
}


def moved(config: AnimationConfig, size: np.ndarray | None = None) -> tuple[ShotPlan, Moves]:
    """Plans of many clips, of pictures of many sizes, and what moves in them."""
    found = sizes(CLIPS) if size is None else size
    pictures = found if found.ndim == 3 else found[:, None]
    plan, _, moves = director.direct(draws(CLIPS), tf.constant(pictures), config)
    return tf.nest.map_structure(lambda part: part.numpy(), (plan, moves))


def seen(plan: ShotPlan, frame: int) -> tuple[np.ndarray, ...]:
    """The middle of a frame's window, its unit vectors to the right and down, and its side."""
    right, down = (edge[:, frame] for edge in edges(plan))
    box, side = plan.boxes[:, frame], np.linalg.norm(right, axis=-1)
    return (box[:, :2] + box[:, 2:]) / 2, right / side[:, None], down / side[:, None], side


def test_a_camera_moves_by_what_its_first_and_last_window_are_apart() -> None:
    plan, moves = moved(only(framing=FRAMING, speed=Speed(), **MOVES))
    (start, right, down, first), (end, *_, last) = seen(plan, 0), seen(plan, -1)
    side = (first + last) / 2
    np.testing.assert_allclose(moves.right, ((end - start) * right).sum(-1) / side, atol=1e-4)
    np.testing.assert_allclose(moves.down, ((end - start) * down).sum(-1) / side, atol=1e-4)
    np.testing.assert_allclose(moves.zoom, first / last, rtol=1e-5)
    assert np.abs(moves.right).max() > 0.6 and moves.zoom.min() < 0.7 and moves.zoom.max() > 1.5
    assert (moves.closer == 1).all()


def test_a_rolled_camera_moves_along_its_own_frame() -> None:
    config = only(framing=FRAMING, roll=Roll(1.0, (30.0, 40.0)), pan=Pan(1.0, (0.8, 0.8)))
    plan, moves = moved(config, np.tile(np.array([400, 1600], np.int32), (CLIPS, 1)))
    (start, right, down, first), (end, right_at_end, down_at_end, _) = seen(plan, 0), seen(plan, -1)
    way = (end - start) / first[:, None]
    for found, at_start, at_end in (
        (moves.right, right, right_at_end),
        (moves.down, down, down_at_end),
    ):
        middle = (at_start + at_end) / np.linalg.norm(at_start + at_end, axis=-1, keepdims=True)
        # A frame between two that are 40 degrees apart is 6% smaller than they are.
        np.testing.assert_allclose(found, (way * middle).sum(-1), rtol=0.07, atol=1e-4)
    np.testing.assert_allclose(moves.zoom, 1.0, atol=1e-4)
    assert np.abs(moves.down).max() > 0.2


def test_swaying_hardly_counts() -> None:
    _, moves = moved(only(framing=FRAMING, shake=Shake(1.0, (0.03, 0.03), (0.0, 0.0))))
    assert np.abs(moves.right).max() < 0.061 and np.abs(moves.down).max() < 0.061
    np.testing.assert_allclose(moves.zoom, 1.0, atol=1e-5)


def test_of_clips_with_a_cut_no_movement_can_be_said() -> None:
    cut = Cut(0.5)
    plan, moves = moved(only(framing=FRAMING, cut=cut, **MOVES))
    jumps = np.abs(np.diff(plan.boxes, axis=1)).max(axis=(1, 2))
    has_cut = draws(CLIPS)["cut"][:, 0, 0].numpy() < 0.5
    assert 0.4 < has_cut.mean() < 0.6 and (jumps[has_cut] > 0).all()
    for part, none in ((moves.right, 0), (moves.down, 0), (moves.zoom, 1)):
        assert (part[has_cut] == none).all() and (part[~has_cut] != none).mean() > 0.5


def test_what_comes_behind_the_only_cut_is_closer_or_wider() -> None:
    config = only(framing=Framing(1.0, (0.3, 1.0)), cut=Cut(0.7))
    plan, moves = moved(config)
    side = plan.boxes[..., 2] - plan.boxes[..., 0]
    changes = (np.diff(plan.boxes, axis=1) != 0).any(axis=-1).sum(axis=1)
    one = changes == 1
    assert 0.1 < one.mean() < 0.4
    np.testing.assert_allclose(moves.closer[one], (side[:, 0] / side[:, -1])[one], rtol=1e-5)
    assert (moves.closer[~one] == 1).all()
    assert moves.closer.min() < 0.5 and moves.closer.max() > 2


@pytest.mark.parametrize(
    "softened",
    [{"dissolve": Dissolve(1.0, (0.2, 0.2))}, {"fade": Fade(1.0)}, {"scenes": Scenes(1.0)}],
)
def test_a_cut_that_is_softened_or_leads_to_another_picture_is_none(softened: Any) -> None:
    size = np.tile(np.array([[200, 320], [300, 200]], np.int32), (CLIPS, 1, 1))
    _, moves = moved(only(framing=Framing(1.0, (0.3, 1.0)), cut=Cut(0.7), **softened), size)
    assert (moves.closer == 1).all()


@pytest.mark.parametrize("num_frames", [1, 2])
def test_the_shortest_clips_have_finite_moves(num_frames: int) -> None:
    _, moves = moved(AnimationConfig(num_frames=num_frames))
    assert all(np.isfinite(part).all() for part in moves)
    if num_frames == 1:
        np.testing.assert_allclose(np.stack(moves[:4])[:, [0]], [[0], [0], [1], [1]], atol=1e-6)


def test_moves_do_not_depend_on_the_rest_of_the_batch() -> None:
    _, whole = moved(AnimationConfig())
    for start, stop in ((0, 1), (5, 8), (3, 1000)):
        size = tf.constant(sizes(CLIPS)[start:stop, None])
        *_, part = director.direct(some_of(draws(CLIPS), start, stop), size, AnimationConfig())
        for some, all_of_it in zip(part, whole, strict=True):
            assert some.numpy().tobytes() == all_of_it[start:stop].tobytes()
