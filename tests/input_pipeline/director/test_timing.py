"""Tests of input_pipeline.director.timing."""

from typing import Any

import numpy as np

from animclip_jax.animation.components import Acceleration, Framing, Pan, Sampling, Speed
from tests.input_pipeline.director.plans import centres, film, only

MOVING: dict[str, Any] = {"framing": Framing(1.0, (0.3, 0.3)), "pan": Pan(1.0, (0.5, 0.5))}


def steps(**on) -> np.ndarray:
    x = centres(film(only(**MOVING, **on), (400, 800)).boxes)[..., 1]
    return np.diff(x, axis=1) * np.sign(x[:, -1] - x[:, 0])[:, None]


def test_speed_is_steady_or_eased() -> None:
    assert np.ptp(steps(speed=Speed(0.0)), axis=1).max() < 0.01
    eased = steps(speed=Speed(1.0))
    assert (eased[:, 0] < 0.3 * eased[:, 5]).all() and (eased[:, -1] < 0.3 * eased[:, 5]).all()
    np.testing.assert_allclose(eased.sum(axis=1), 60, atol=0.01)


def test_acceleration_changes_the_speed_steadily_by_its_share() -> None:
    changed = steps(acceleration=Acceleration(1.0, (0.4, 0.6)))
    assert (np.abs(np.diff(changed, 2, axis=1)) < 0.01).all()
    np.testing.assert_allclose(changed.sum(axis=1), 60, atol=0.01)
    # Between the middles of the first and the last step the speed grows by 2 change x 10 / 11.
    change = (changed[:, -1] - changed[:, 0]) / (60 / 11) / 2 * 11 / 10
    assert 0.4 < (change > 0).mean() < 0.6
    assert 0.399 < np.abs(change).min() < 0.41 and 0.59 < np.abs(change).max() < 0.601


def test_sampling_takes_frames_at_uneven_times_in_order() -> None:
    uneven = steps(sampling=Sampling(1.0, (0.5, 1.0))) / (60 / 11)
    assert (uneven >= -1e-4).all() and uneven.std(axis=1).mean() > 0.15
    assert np.abs(uneven[:, 1:-1].mean() - 1) < 0.05
    assert steps(sampling=Sampling(1.0, (0.0, 0.0))).std() < 0.01
