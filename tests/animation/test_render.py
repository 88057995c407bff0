"""The renderer against independent references: exact crops, JAX's own resampler, Pillow's."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from animclip_jax.animation import render as renderer
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import axis_weights, render, triangles
from tests.animation.waves import wave, wave_at
from tests.plans import upright


def picture(size: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))


def film(canvas: np.ndarray, boxes: list, image_size: int) -> np.ndarray:
    plan = upright(np.asarray([boxes], np.float32))
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
    weights = axis_weights(*triangles(jnp.array([0.0, 0.9]), jnp.array([0.05, 1.0]), 50, 16), 50)
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)


def test_batches_keep_pictures_apart():
    canvases = np.stack([np.full((16, 16, 3), value, np.uint8) for value in (0, 128, 255)])
    plan = upright(np.tile(np.array([0, 0, 1, 1], np.float32), (3, 2, 1)))
    frames = np.asarray(render(jnp.asarray(canvases), plan, 8))
    assert frames.shape == (3, 2, 8, 8, 3)
    for value, clip in zip((0, 128, 255), frames, strict=True):
        np.testing.assert_allclose(clip, value / 255, atol=1e-6)


def test_a_canvas_need_not_be_square():
    canvas = picture(64)[:48]
    frames = film(canvas, [[0, 0, 1, 0.75]], 48)
    np.testing.assert_allclose(frames[0] * 255, canvas[:, :48], atol=1e-3)


def test_other_precisions_of_products_change_no_pixel():
    canvas, boxes = picture(96), [[0.1, 0.2, 0.83, 0.71]]
    wanted = film(canvas, boxes, 40)
    with jax.default_matmul_precision("bfloat16"):
        np.testing.assert_array_equal(film(canvas, boxes, 40), wanted)
    # What a bfloat16 model sees of it: the same, to its own precision.
    small = wanted.astype(jnp.bfloat16).astype(np.float32)
    np.testing.assert_allclose(small, wanted, atol=2e-3)


def rolled(angle: float, side: float, size: tuple[int, int], middle: tuple[float, float]):
    """The plan of a square of `side` pixels, turned by `angle` degrees clockwise."""
    cos, sin = (side * f(math.radians(angle)) for f in (math.cos, math.sin))
    (height, width), (y, x) = size, middle
    box = [y - cos / 2, x - cos / 2, y + cos / 2, x + cos / 2]
    plan = upright(
        np.array(box, np.float32)[None, None] / np.array([height, width, height, width], np.float32)
    )
    return plan._replace(shear=np.array([[[sin / height, -sin / width]]], np.float32))


@pytest.mark.parametrize("angle", [-40.0, -7.0, 0.3, 12.0, 45.0])
@pytest.mark.parametrize("jit", [False, True])
def test_a_rolled_window_sees_what_is_there(angle: float, jit: bool) -> None:
    # The canvas is the picture stretched: 200 x 300 pixels of it on 160 x 128.
    size, middle, side = (200, 300), (90.0, 170.0), 110.0
    plan = rolled(angle, side, size, middle)
    film = jax.jit(render, static_argnums=2) if jit else render
    frame = np.asarray(film(jnp.asarray(wave(160, 128)[None]), plan, 64))[0, 0]
    place = (np.arange(64) + 0.5) / 64 - 0.5
    v, u = np.meshgrid(place * side, place * side, indexing="ij")
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    y, x = middle[0] + cos * v + sin * u, middle[1] + cos * u - sin * v
    np.testing.assert_allclose(frame, wave_at(y / 200, x / 300), atol=0.012)


def test_each_clip_is_as_if_it_were_alone_rolled_or_not():
    canvases = np.stack([picture(48, seed) for seed in range(5)])
    plan = upright(
        np.tile(np.array([[0.2, 0.2, 0.7, 0.8], [0.3, 0.25, 0.8, 0.85]], np.float32), (5, 1, 1))
    )
    plan.shear[1, 1] = 0.05  # of two windows one
    plan.shear[2] = -0.08
    plan.shear[4] = [0.1, 0.02]
    film = jax.jit(render, static_argnums=2)
    together = film(jnp.asarray(canvases), plan, 20)
    for clip in range(5):
        one = jax.tree.map(lambda x, clip=clip: x[clip : clip + 1], plan)
        alone = film(jnp.asarray(canvases[clip : clip + 1]), one, 20)[0]
        np.testing.assert_allclose(together[clip], alone, atol=1e-6)
    level = film(jnp.asarray(canvases), plan._replace(shear=np.zeros_like(plan.shear)), 20)
    changed = np.abs(together - level).max(axis=(2, 3, 4)) > 0.05
    np.testing.assert_array_equal(changed, (plan.shear != 0).any(-1))


def test_linesmove_by_whole_pixels_exactly_and_alike_on_every_platform():
    pixels = np.random.default_rng(0).random((2, 37, 50, 3)).astype(np.float32)
    whole = np.random.default_rng(1).integers(-40, 40, (2, 50)).astype(np.int32)
    rows = np.clip(np.arange(37)[None, :, None] + whole[:, None, :], 0, 36)
    wanted = np.take_along_axis(pixels, rows[..., None], axis=1)
    for move in (renderer.move_by_gather, renderer.move_by_steps):
        np.testing.assert_array_equal(jax.jit(move)(pixels, whole), wanted)
    np.testing.assert_array_equal(
        jax.jit(renderer.shift_lines)(pixels, whole.astype(np.float32)), wanted
    )


def test_lines_of_whole_numbers_move_in_bfloat16_as_in_float32():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 30, 9, 3)).astype(np.float32)
    shift = jnp.linspace(-31, 31, 9)[None]
    small, wanted = (
        renderer.shift_lines(jnp.asarray(pixels, t), shift) for t in ("bfloat16", None)
    )
    assert small.dtype == jnp.float32
    np.testing.assert_array_equal(small, wanted)


def test_linesmove_by_parts_of_pixels_linearly():
    pixels = np.random.default_rng(0).random((1, 20, 3, 3)).astype(np.float32)
    got = renderer.shift_lines(jnp.asarray(pixels), jnp.array([[0.75, -0.75, 2.25]]))[0]
    up, down = pixels[0, 5], pixels[0, 6]
    np.testing.assert_allclose(got[5, 0], 0.25 * up[0] + 0.75 * down[0], atol=1e-6)
    np.testing.assert_allclose(got[6, 1], 0.25 * down[1] + 0.75 * up[1], atol=1e-6)
    wanted = 0.75 * pixels[0, 7, 2] + 0.25 * pixels[0, 8, 2]
    np.testing.assert_allclose(got[5, 2], wanted, atol=1e-6)


def test_shifts_at_and_beside_whole_pixels_agree_when_jitted():
    """Where a coordinate is an integer, rounding it in two ways has moved pixels before."""
    pixels = np.random.default_rng(0).random((1, 64, 64, 3)).astype(np.float32)
    exact = np.arange(-32, 32).astype(np.float32)
    for shift in (exact, np.nextafter(exact, 99), np.nextafter(exact, -99)):
        got = jax.jit(lambda p, s: renderer.shift_lines(p, s * 1.5 / 1.5))(pixels, shift[None])
        rows = np.clip(np.arange(64)[:, None] + exact.astype(int), 0, 63)
        wanted = np.take_along_axis(pixels[0], rows[..., None], axis=0)
        np.testing.assert_allclose(got[0], wanted, atol=1e-4)


def test_blur_and_smear_spread_a_point_as_far_as_they_say():
    canvas = np.zeros((129, 129, 3), np.uint8)
    canvas[64, 64] = 255
    plan = upright(np.array([[[0, 0, 1, 1]]], np.float32))
    place = (np.arange(129) - 64) / 129

    def spreads(plan: ShotPlan) -> list[float]:
        """Standard deviations down and right, shares of the frame."""
        frame = np.asarray(render(jnp.asarray(canvas[None]), plan, 129))[0, 0, :, :, 0]
        return [math.sqrt((frame.sum(1 - axis) * place**2).sum() / frame.sum()) for axis in (0, 1)]

    blurred = spreads(plan._replace(blur=np.array([[0.06]], np.float32)))
    np.testing.assert_allclose(blurred, 0.06 / math.sqrt(6), rtol=0.02)
    # A line of length L spreads by L / sqrt(12).
    smear = np.array([[[0, 0.1, 0, 0.1]]], np.float32)
    down, right = spreads(plan._replace(smear=smear))
    assert down < 1 / 129 and abs(right - 0.1 / math.sqrt(12)) < 0.001


def test_a_zooming_window_is_smeared_at_the_sides_and_sharp_in_the_middle():
    smear = jnp.array([-0.2]), jnp.array([0.2])
    kernels = triangles(jnp.zeros(1), jnp.ones(1), 100, 100, 0.0, *smear)
    weights = axis_weights(*kernels, 100)[0]
    most = np.asarray(weights.max(axis=-1))
    assert most[50] > 0.9 and most[10] < 0.15 and most[90] < 0.15


def test_outgoing_windows_are_laid_over_their_frames():
    canvas = np.zeros((16, 16, 3), np.uint8)
    canvas[8:] = 200
    top, bottom = [0, 0, 0.4, 0.4], [0.6, 0.6, 1, 1]
    plan = upright(np.array([[top, top, top, bottom, bottom]], np.float32))
    plan = plan._replace(
        gain=np.ones((1, 3), np.float32),
        offset=np.zeros((1, 3), np.float32),
        at=np.array([[1, 3]], np.int32),  # the second overlaps no frame
        mix=np.array([[[0.25, 0, 0], [1, 0, 0]]], np.float32),
    )
    frames = np.asarray(render(jnp.asarray(canvas[None]), plan, 8))[0]
    assert frames.shape == (3, 8, 8, 3)
    np.testing.assert_allclose(frames[[0, 2]], 0, atol=1e-6)
    np.testing.assert_allclose(frames[1], 0.25 * 200 / 255, atol=1e-6)
    wiped = plan._replace(mix=np.array([[[0.5, 0, 10], [1, 0, 0]]], np.float32))
    frame = np.asarray(render(jnp.asarray(canvas[None]), wiped, 8))[0, 1, :, :, 0] * 255 / 200
    np.testing.assert_allclose(frame[:, :3], 0, atol=1e-6)
    np.testing.assert_allclose(frame[:, 5:], 1, atol=1e-5)
    wiped = plan._replace(mix=np.array([[[0.5, 10, 0], [1, 0, 0]]], np.float32))
    frame = np.asarray(render(jnp.asarray(canvas[None]), wiped, 8))[0, 1, :, :, 0] * 255 / 200
    np.testing.assert_allclose(frame[:3], 0, atol=1e-6)
    np.testing.assert_allclose(frame[5:], 1, atol=1e-5)


def test_gain_and_offset_are_of_each_frame_and_levels_stay_in_range():
    plan = upright(np.tile(np.array([0, 0, 1, 1], np.float32), (1, 3, 1)))
    plan = plan._replace(
        gain=np.array([[1, 0.5, 3]], np.float32), offset=np.array([[0, 0.25, 0]], np.float32)
    )
    frames = np.asarray(render(jnp.full((1, 8, 8, 3), 102, jnp.uint8), plan, 4))[0]
    for frame, wanted in zip(frames, (0.4, 0.45, 1.0), strict=True):
        np.testing.assert_allclose(frame, wanted, atol=1e-6)
