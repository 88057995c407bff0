"""The renderer against independent references: exact crops, JAX's own resampler, Pillow's."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import axis_weights, render


def picture(size: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))


def film(canvas: np.ndarray, boxes: list, image_size: int) -> np.ndarray:
    plan = ShotPlan(np.asarray([boxes], np.float32))
    return np.asarray(render(jnp.asarray(canvas[None]), plan, image_size))[0]


def test_a_window_on_whole_pixels_is_a_crop():
    canvas = picture(64)
    frames = film(canvas, [[0, 0, 0.5, 0.5], [0.25, 0.5, 0.75, 1]], 32)
    np.testing.assert_allclose(frames[0] * 255, canvas[:32, :32], atol=1e-3)
    np.testing.assert_allclose(frames[1] * 255, canvas[16:48, 32:], atol=1e-3)


def test_rows_and_columns_are_not_mixed_up():
    canvas = np.zeros((32, 32, 3), np.uint8)
    canvas[:16, :, 0] = 255  # the upper half is red
    canvas[:, 16:, 1] = 255  # the right half is green
    frame = film(canvas, [[0.0, 0.6, 0.4, 1.0]], 8)[0]
    np.testing.assert_allclose(frame[..., 0], 1.0, atol=1e-5)
    np.testing.assert_allclose(frame[..., 1], 1.0, atol=1e-5)


def test_equals_jax_image_scale_and_translate():
    canvas, size, out = picture(96), 96, 40
    boxes = np.array([[0.1, 0.2, 0.83, 0.71], [0, 0, 1, 1], [0.4, 0.4, 0.6, 0.6]])
    frames = film(canvas, boxes.tolist(), out)
    for frame, (y0, x0, y1, x1) in zip(frames, boxes, strict=True):
        scale = out / (size * np.array([y1 - y0, x1 - x0]))
        translation = -np.array([y0, x0]) * size * scale
        wanted = jax.image.scale_and_translate(
            canvas.astype(np.float32) / 255,
            (out, out, 3),
            (0, 1),
            jnp.asarray(scale, jnp.float32),
            jnp.asarray(translation, jnp.float32),
            "linear",
            antialias=True,
        )
        np.testing.assert_allclose(frame, wanted, atol=2e-4)


def test_shrinking_is_anti_aliased_as_pillow_does_it():
    canvas = picture(90)
    frame = film(canvas, [[0, 0, 1, 1]], 32)[0]
    wanted = Image.fromarray(canvas).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.abs(frame * 255 - np.asarray(wanted)).max() < 1.0


def test_weights_sum_to_one_at_the_canvas_edge():
    weights = axis_weights(jnp.array([0.0, 0.9]), jnp.array([0.05, 1.0]), 50, 16)
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)


def test_batches_keep_pictures_apart():
    canvases = np.stack([np.full((16, 16, 3), value, np.uint8) for value in (0, 128, 255)])
    plan = ShotPlan(np.tile(np.float32([0, 0, 1, 1]), (3, 2, 1)))
    frames = np.asarray(render(jnp.asarray(canvases), plan, 8))
    assert frames.shape == (3, 2, 8, 8, 3)
    for value, clip in zip((0, 128, 255), frames, strict=True):
        np.testing.assert_allclose(clip, value / 255, atol=1e-6)
