"""Tests of input_pipeline.director.shots."""

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import Cut, Dissolve, Fade, Framing, Pan, Wipe
from input_pipeline.director import shots
from tests.input_pipeline.director.plans import CLIPS, centres, film, only

FRAMING = Framing(1.0, (0.4, 0.4))


def cuts(plan) -> np.ndarray:
    return (np.diff(plan.boxes, axis=1) != 0).any(axis=-1)


def test_shots_are_two_or_three_held_windows() -> None:
    plan = film(only(framing=FRAMING, cut=Cut(1.0, (0.25, 0.75))), (300, 400))
    changes = cuts(plan)
    assert (changes.sum(axis=1) <= 2).all() and (changes.sum(axis=1) == 2).mean() > 0.9
    assert set(changes.argmax(axis=1) + 1) == set(range(3, 9))
    half = film(only(framing=FRAMING, cut=Cut(0.5)), (300, 400))
    count = cuts(half).sum(axis=1)
    assert 0.45 < (count == 0).mean() < 0.55 and 0.2 < (count == 2).mean() < 0.3


def test_a_dissolve_goes_from_the_first_shot_to_the_second() -> None:
    config = only(framing=FRAMING, cut=Cut(1.0, (0.5, 0.5)), dissolve=Dissolve(1.0, (0.25, 0.25)))
    plan = film(config, (300, 400))
    assert (plan.at == [6, 7, 8]).all(axis=1).mean() > 0.95  # where no third shot comes earlier
    np.testing.assert_allclose(plan.mix[:, 0], np.tile([0.75, 0, 0], (CLIPS, 1)))
    whole = (plan.at == [6, 7, 8]).all(axis=1)
    np.testing.assert_allclose(
        plan.mix[whole][:, :, 0], np.tile([0.75, 0.5, 0.25], (whole.sum(), 1))
    )
    # The outgoing windows are those of the first shot, held.
    np.testing.assert_array_equal(plan.boxes[whole][:, 12:], plan.boxes[whole][:, [5, 5, 5]])


def test_the_first_shot_moves_on_while_it_dissolves() -> None:
    config = only(
        framing=FRAMING, pan=Pan(1.0, (0.3, 0.3)), cut=Cut(1.0, (0.5, 0.5)),
        dissolve=Dissolve(1.0, (0.25, 0.25)),
    )  # fmt: skip
    plan = film(config, (300, 900))
    x = centres(plan.boxes)[..., 1]
    path = np.concatenate([x[:, :6], x[:, 12:]], axis=1)[(plan.at == [6, 7, 8]).all(axis=1)]
    assert np.ptp(np.diff(path, axis=1), axis=1).max() < 0.02
    np.testing.assert_allclose(np.abs(path[:, -1] - path[:, 0]), 0.3 * 120 * 8 / 11, atol=0.02)


def test_a_wipe_uncovers_the_second_shot_from_one_side() -> None:
    config = only(
        framing=FRAMING, cut=Cut(1.0, (0.5, 0.5)), wipe=Wipe(1.0, (0.25, 0.25), (0.1, 0.1))
    )
    mix = film(config, (300, 400)).mix
    place = np.linspace(-0.5, 0.5, 101)

    def share(slot: int) -> np.ndarray:
        middle, down, right = (mix[:, slot, i, None, None] for i in range(3))
        return np.clip(middle + down * place[:, None] + right * place, 0, 1)

    # In the middle of the transition half the frame is each shot's, and the edge is soft.
    assert np.abs(share(1).mean(axis=(1, 2)) - 0.5).max() < 0.01
    soft = ((share(1) > 0.01) & (share(1) < 0.99)).mean(axis=(1, 2))
    assert np.abs(soft - 0.1).max() < 0.02
    grows = np.sign(mix[:, 1, 1:])
    kinds, counts = np.unique(grows, axis=0, return_counts=True)
    assert sorted(map(tuple, kinds)) == [(-1, 0), (0, -1), (0, 1), (1, 0)]
    assert counts.min() > 0.2 * CLIPS
    assert (share(0) >= share(1)).all()


def test_a_dissolve_comes_before_a_wipe() -> None:
    both = only(cut=Cut(1.0, (0.5, 0.5)), dissolve=Dissolve(0.5), wipe=Wipe(1.0))
    mix = film(both, (300, 400)).mix
    assert 0.4 < (mix[:, 0, 1:] == 0).all(axis=-1).mean() < 0.6


@pytest.mark.parametrize("overlap", [False, True])
def test_a_fade_hides_the_cut(overlap: bool) -> None:
    dissolve = Dissolve(float(overlap))
    config = only(cut=Cut(1.0, (0.5, 0.5)), fade=Fade(1.0, (0.4, 0.4)), dissolve=dissolve)
    plan = film(config, (300, 400))
    if overlap:
        assert (plan.gain == 1).all() and (plan.offset == 0).all()
        return
    assert (plan.gain[:, 5:7] == 0).all() and (plan.gain[:, [0, 1, 10, 11]] == 1).all()
    white = plan.offset[:, 5] == 1
    assert 0.4 < white.mean() < 0.6
    np.testing.assert_allclose(plan.offset[white], 1 - plan.gain[white], atol=1e-6)
    assert (plan.offset[~white] == 0).all()
    assert (np.diff(plan.gain[:, :6], axis=1) <= 0).all()


def test_without_a_cut_nothing_overlaps_or_fades() -> None:
    plan = film(only(fade=Fade(1.0), dissolve=Dissolve(1.0), wipe=Wipe(1.0)), (300, 400))
    assert (plan.at == 12).all() and (plan.mix == 0).all()
    assert (plan.gain == 1).all() and (plan.offset == 0).all()


def test_a_clip_that_needs_a_second_shot_gets_one() -> None:
    draws = tf.random.stateless_uniform([CLIPS, 3, 4], [0, 0])
    forced = tf.range(CLIPS) % 2 == 0
    later = shots.cut(draws, Cut(0.0), 12, forced).numpy()
    assert (later[::2, 0] < 12).all() and (later[1::2] == 12).all() and (later[:, 1] == 12).all()
