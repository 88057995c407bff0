"""Tests of input_pipeline.filming.canvas."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation import render
from input_pipeline.filming import canvas as filming
from tests.plans import upright


def test_the_canvas_is_anti_aliased() -> None:
    stripes = np.zeros((165, 165, 3), np.uint8)
    stripes[:, ::2] = 255
    canvas = filming.fitted(tf.constant(stripes), 33, 33).numpy()
    assert canvas.shape == (33, 33, 3) and canvas.dtype == np.uint8
    assert np.abs(canvas[:, 2:-2].astype(int) - 127).max() <= 16


@pytest.mark.parametrize("shape", [(20, 30), (48, 48), (48, 47), (1, 1), (41, 40), (45, 2)])
def test_what_fits_is_on_the_canvas_pixel_for_pixel(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert (filming.fitted(tf.constant(pixels), 48, 48).numpy() == pixels).all()


@pytest.mark.parametrize("shape", [(20, 30), (48, 48), (48, 47), (1, 1)])
def test_host_and_device_repeat_the_edge_alike(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    filled = filming.edge_repeated(tf.constant(pixels), 48, 48).numpy()
    canvas = np.zeros((1, 48, 48, 3), np.uint8)
    canvas[0, : shape[0], : shape[1]] = pixels
    extent = jnp.array([shape], jnp.float32) / 48
    np.testing.assert_array_equal(render.edge_repeated(jnp.asarray(canvas), extent)[0], filled)
    assert (filled[: shape[0], : shape[1]] == pixels).all()
    assert (filled[shape[0] :] == filled[shape[0] - 1]).all()
    assert (filled[:, shape[1] :] == filled[:, shape[1] - 1 : shape[1]]).all()


@pytest.mark.parametrize(
    ("shape", "antialias"),
    [((49, 10), False), ((72, 60), False), ((73, 60), True), ((200, 30), True), ((60, 90), True)],
)
def test_a_longer_side_is_shrunk_to_the_canvas(shape: tuple[int, int], antialias: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    size = np.minimum(shape, 48)
    wanted = tf.image.resize(pixels, size, antialias=antialias).numpy()
    made = filming.fitted(tf.constant(pixels), 48, 48).numpy()
    np.testing.assert_allclose(made, wanted, rtol=0, atol=0.501)


def test_windows_are_found_again_on_the_canvas() -> None:
    boxes = np.array([[[12.0, 20.0, 52.0, 60.0], [12.0, 70.0, 42.0, 100.0]]], np.float32)
    region = tf.constant([[12, 20, 40, 80]], tf.int32)
    placed = filming.on_canvas(upright(boxes), region, 50, 50)
    # 40 rows stay as they are on a canvas of 50; 80 columns become 50.
    wanted = [[[0, 0, 40 / 50, 40 / 80], [0, 50 / 80, 30 / 50, 1]]]
    np.testing.assert_allclose(placed.boxes, wanted, atol=1e-6)
    np.testing.assert_allclose(placed.extent, [[40 / 50, 1]], atol=1e-6)
