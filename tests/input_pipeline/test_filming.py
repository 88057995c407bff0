"""Tests of input_pipeline.filming."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline import filming


def gradient(height: int, width: int) -> np.ndarray:
    """Red grows with x, green with y, from 0 to 240, so that a colour says where it is from."""
    red = np.broadcast_to((np.arange(width) + 0.5) * 240 / width, (height, width))
    green = np.broadcast_to(((np.arange(height) + 0.5) * 240 / height)[:, None], (height, width))
    return np.stack([red, green, np.full((height, width), 120.0)], -1).round().astype(np.uint8)


def encode(pixels: np.ndarray, mode: str, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG"),
     ("RGBA", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGB", "GIF")],
)  # fmt: skip
def test_every_kind_of_picture_is_cropped_alike(mode: str, kind: str) -> None:
    encoded = encode(gradient(50, 70), mode, kind)
    with Image.open(io.BytesIO(encoded)) as image:
        wanted = np.asarray(image.convert("RGB"))[13:40, 21:61]
    assert filming.picture_size(tf.constant(encoded)).numpy().tolist() == [50, 70]
    region = tf.constant([13, 21, 27, 40], tf.int32)
    pixels = filming.decode_region(tf.constant(encoded), region).numpy()
    assert pixels.shape == (27, 40, 3)
    assert np.abs(pixels.astype(float) - wanted).mean() < 3


def test_the_canvas_is_anti_aliased() -> None:
    stripes = np.zeros((165, 165, 3), np.uint8)
    stripes[:, ::2] = 255
    canvas = filming.to_canvas(tf.constant(stripes), 33, 33).numpy()
    assert canvas.shape == (33, 33, 3) and canvas.dtype == np.uint8
    assert np.abs(canvas[:, 2:-2].astype(int) - 127).max() <= 16


@pytest.mark.parametrize("shape", [(20, 30), (48, 48), (48, 47), (1, 1), (73, 10), (200, 30)])
def test_the_cheap_way_to_the_canvas_gives_the_same_pixels(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    wanted = tf.image.resize(pixels, [48, 48], antialias=True).numpy()
    canvas = filming.to_canvas(tf.constant(pixels), 48, 48).numpy()
    np.testing.assert_allclose(canvas, wanted, rtol=0, atol=0.501)
