"""Tests of input_pipeline.director.optics."""

import numpy as np

from animclip_jax.animation.components import Cut, Exposure, Focus, Framing, MotionBlur, Pan, Zoom
from tests.input_pipeline.director.plans import film, only, sides


def test_focus_is_pulled_in_or_out() -> None:
    blur = film(only(focus=Focus(1.0, (0.04, 0.04))), (300, 400)).blur
    np.testing.assert_allclose(blur.max(axis=1), 0.04 * 0.612, rtol=1e-3)
    into, out_of = blur[blur[:, 0] > 0], blur[blur[:, 0] == 0]
    assert 400 < len(into) < 600
    assert (np.diff(into, axis=1) <= 0).all() and (into[:, 6:] == 0).all()
    assert (np.diff(out_of, axis=1) >= 0).all() and (out_of[:, :6] == 0).all()


def test_exposure_drifts_by_stops() -> None:
    gain = film(only(exposure=Exposure(1.0, (1.0, 1.0))), (300, 400)).gain
    stops = 2.2 * np.log2(gain)
    np.testing.assert_allclose(np.abs(stops[:, -1] - stops[:, 0]), 1.0, atol=1e-3)
    assert (np.abs(np.diff(stops, 2, axis=1)) < 1e-3).all()
    assert (stops.min(axis=1) <= 1e-5).all() and (stops.max(axis=1) >= -1e-5).all()
    assert 0.4 < (stops[:, -1] > stops[:, 0]).mean() < 0.6


def test_motion_blur_is_the_way_of_the_window_while_the_shutter_is_open() -> None:
    framing, blur = Framing(1.0, (0.5, 0.5)), MotionBlur(1.0, (0.4, 0.4))
    panned = film(only(framing=framing, pan=Pan(1.0, (0.3, 0.3)), motion_blur=blur), (300, 600))
    step = np.diff(panned.boxes, axis=1)
    np.testing.assert_allclose(panned.smear[:, 1:-1], 0.4 * step[:, 1:], atol=0.01)
    zoomed = film(only(framing=framing, zoom=Zoom(1.0), motion_blur=blur), (300, 600))
    grows = np.sign(sides(zoomed.boxes)[:, -1] - sides(zoomed.boxes)[:, 0])[:, None]
    assert (np.sign(zoomed.smear[:, 1:-1, 2]) == grows).all()
    assert (np.sign(zoomed.smear[:, 1:-1, 0]) == -grows).all()


def test_a_cut_is_no_movement() -> None:
    plan = film(only(framing=Framing(), cut=Cut(1.0), motion_blur=MotionBlur(1.0)), (300, 400))
    assert (plan.smear == 0).all()
