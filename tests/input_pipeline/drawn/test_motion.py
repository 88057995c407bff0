"""Motion: relations stay true, the camera sees all things over the clip and never at once."""

from collections.abc import Callable

import numpy as np
import pytest

from input_pipeline.drawn.motion import (
    CUT_FRACTION,
    MOVING_DOMINANCE,
    MOVING_MARGIN,
    NUM_FRAMES,
    SCALE_LIMIT,
    Motion,
    play,
)
from input_pipeline.drawn.scene import Scene
from input_pipeline.drawn.things import direction, relations


@pytest.fixture(scope="module")
def played(drawn: Callable[[str, int], Scene]) -> list[tuple[Scene, Motion]]:
    """Those of 900 scenes that have no act, each with its motion."""
    scenes = [drawn("test", index) for index in range(900)]
    return [(at, play(at)) for at in scenes if at.act is None]


def visible(at, motion):
    """Visible fraction [T, N] of each thing's box."""
    reach = np.array([thing.radius for thing in at.things]) * motion.scales
    share = np.ones(reach.shape)
    for axis in (0, 1):
        low = motion.viewports[:, None, 1 - axis]
        high = motion.viewports[:, None, 3 - axis]
        centre = motion.centres[:, :, axis]
        inside = np.minimum(centre + reach, high) - np.maximum(centre - reach, low)
        share *= np.clip(inside, 0, None) / (2 * reach)
    return share


def test_shapes_and_viewports(played):
    for at, motion in played:
        n = len(at.things)
        assert motion.centres.shape == (NUM_FRAMES, n, 2)
        assert motion.scales.shape == motion.angles.shape == (NUM_FRAMES, n)
        assert motion.viewports.shape == (NUM_FRAMES, 4)
        assert motion.viewports.min() >= -1e-9 and motion.viewports.max() <= 1 + 1e-9
        high, wide = (motion.viewports[:, 2:] - motion.viewports[:, :2]).T
        assert np.allclose(high, wide)
        assert high.min() >= 0.5 - 1e-9 and high.max() <= 0.65 + 1e-9


def test_starts_as_laid_out_and_stays_inside(played):
    for at, motion in played:
        start = [(thing.x, thing.y) for thing in at.things]
        assert np.allclose(motion.centres[0], start)
        rooms = np.array([thing.room for thing in at.things])[:, None]
        assert (motion.centres > rooms * 0.95).all() and (motion.centres < 1 - rooms * 0.95).all()
        assert np.abs(motion.scales - 1).max() <= SCALE_LIMIT


def test_no_frame_shows_all_things_and_the_clip_shows_each_whole(played):
    for at, motion in played:
        share = visible(at, motion)
        assert (share.min(1) < 0.5).all()
        low, high = motion.viewports[:, None, 1::-1], motion.viewports[:, None, :1:-1]
        held = np.all((motion.centres >= low) & (motion.centres <= high), axis=-1)
        assert not held.all(1).any()
        assert (share.max(0) > 0.999).all()


def test_relations_hold_in_every_frame(played):
    for at, motion in played:
        for name, a, b in relations(at):
            steps = motion.centres[:, b] - motion.centres[:, a]
            if name == "front":
                assert np.allclose(steps, steps[0])
                assert motion.scales[:, (a, b)].tolist() == [[1, 1]] * NUM_FRAMES
            else:
                held = [direction(x, y, MOVING_MARGIN, MOVING_DOMINANCE) for x, y in steps]
                assert held == [name] * NUM_FRAMES


def test_things_really_move(played):
    travelled = []
    for _, motion in played:
        travelled.append(np.abs(motion.centres - motion.centres[0]).max())
        changed = np.stack([*motion.centres.T, motion.scales.T, motion.angles.T])
        assert (np.ptp(changed, axis=-1).max(0) > 0).all()
    assert np.mean(np.array(travelled) > 0.03) > 0.8


def test_things_bounce(played):
    turned = 0
    for _, motion in played:
        velocity = np.diff(motion.centres, axis=0)
        turned += bool((velocity[0] * velocity[-1] < -1e-9).any())
    assert turned > 15


def test_the_camera_moves_smoothly_but_for_the_cuts(played):
    cuts = 0
    for _, motion in played:
        middles = (motion.viewports[:, :2] + motion.viewports[:, 2:]) / 2
        cuts += motion.cut is not None
        assert np.ptp(middles, axis=0).max() > 0.05
        steps = np.abs(np.diff(middles, axis=0)).max(-1)
        if motion.cut is not None:
            assert 3 <= motion.cut <= NUM_FRAMES - 3
            steps[motion.cut - 1] = 0
        assert steps.max() < 0.42
    assert abs(cuts / len(played) - CUT_FRACTION) < 0.1


def test_siblings_play_alike(played, drawn):
    for at, motion in played:
        if at.sibling is not None:
            other = play(drawn(at.split, at.sibling))
            assert np.array_equal(motion.centres, other.centres)
            assert np.array_equal(motion.viewports, other.viewports)
