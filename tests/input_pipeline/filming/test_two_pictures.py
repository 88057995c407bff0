"""Tests of input_pipeline.filming.two_pictures."""

import numpy as np
import pytest
import tensorflow as tf

from input_pipeline.filming import two_pictures
from tests.plans import upright


@pytest.mark.parametrize("canvas_size", [48, 49, 320])
def test_halves_fill_the_canvas_and_keep_apart(canvas_size: int) -> None:
    upper, lower = two_pictures.heights(canvas_size)
    parts = [np.full((rows, canvas_size, 3), 10 * rows % 256, np.uint8) for rows in (upper, lower)]
    canvas = two_pictures.on_halves(*map(tf.constant, parts)).numpy()
    assert canvas.shape == (canvas_size, canvas_size, 3)
    assert (canvas[: canvas_size // 2] == parts[0][0, 0]).all()
    assert (canvas[canvas_size // 2 :] == parts[1][0, 0]).all()
    assert canvas_size - upper - lower >= 2


def test_the_renderer_fills_nothing_of_a_canvas_of_two() -> None:
    whole = upright(np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], np.float32))
    part = whole._replace(extent=np.array([0.5, 0.5], np.float32))
    placed = two_pictures.plan_on_halves(part, part, tf.constant([0, 1]), 320)
    np.testing.assert_array_equal(placed.extent, [1, 1])
    rows = np.array(two_pictures.heights(320)) / 320
    wanted = [[0, 0, rows[0], 1], [1 - rows[1], 0, 1 - rows[1] / 2, 0.5]]
    np.testing.assert_allclose(placed.boxes, wanted, atol=1e-6)
