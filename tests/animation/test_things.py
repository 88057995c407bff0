"""Things that move, as the renderer shows them: by products and by taps alike."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from animclip_jax.animation import render as renderer
from animclip_jax.animation import things
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from tests.animation.waves import wave, wave_at
from tests.plans import upright

# On a CPU the renderer takes taps; other devices take products.
BOTH_WAYS = pytest.mark.parametrize(
    "film",
    [jax.jit(render, static_argnums=2), jax.jit(renderer._by_products, static_argnums=2)],
    ids=["taps", "products"],
)
WHOLE = [0.0, 0.0, 1.0, 1.0]
Film = Callable[..., jax.Array]


def with_thing(
    windows: list, home: list, fill: list, camera: list | None = None, shear: list | None = None
) -> ShotPlan:
    """One clip, upright and sharp: the thing's windows, and the camera's if it moves."""
    boxes = np.array([camera or [WHOLE] * len(windows)], np.float32)
    moving = upright(np.array([windows], np.float32))
    return upright(boxes)._replace(
        home=np.array([home], np.float32),
        fill=np.array([fill], np.float32),
        thing_boxes=moving.boxes,
        thing_shear=moving.shear if shear is None else np.array([shear], np.float32),
        thing_smear=moving.smear,
    )


def places(size: int) -> tuple[np.ndarray, np.ndarray]:
    """(v, u) of every pixel of a frame, -1/2 to 1/2."""
    place = (np.arange(size) + 0.5) / size - 0.5
    return np.meshgrid(place, place, indexing="ij")


@BOTH_WAYS
def test_a_thing_is_seen_elsewhere_and_its_place_is_filled(film: Film) -> None:
    canvas = np.full((80, 80, 3), 60, np.uint8)
    canvas[:, 40:] = 120  # what fills the place is from there
    v, u = places(80)
    canvas[np.hypot(v + 0.2, u + 0.2) < 0.12] = [250, 0, 0]
    # The thing moves right and down by 0.4, so its window moves left and up.
    moved = [[-0.4, -0.4, 0.6, 0.6]]
    plan = with_thing([WHOLE, *moved], [0.3, 0.3, 0.2, 0.2, 0.2], [0.0, 0.45])
    frames = np.asarray(film(canvas[None], plan, 80))[0] * 255
    there, away = np.hypot(v - 0.2, u - 0.2), np.hypot(v + 0.2, u + 0.2)
    # Where it was cut out, its soft rim lets through a quarter of what fills the place at most.
    rim = (away > 0.159) & (away < 0.201)
    np.testing.assert_allclose(frames[0][~rim], canvas[~rim], atol=0.1)
    np.testing.assert_allclose(frames[0][rim], canvas[rim], atol=0.25 * (120 - 60) + 0.1)
    np.testing.assert_allclose(frames[1][there < 0.1], [[250, 0, 0]] * (there < 0.1).sum(), atol=1)
    np.testing.assert_allclose(frames[1][away < 0.15], 120, atol=0.1)
    # No trace of it anywhere else, and nothing black.
    red = frames[1][..., 0] - frames[1][..., 1] > 1
    assert (there[red] < 0.14).all() and frames[1][..., 0].min() > 59
    far = (there > 0.2) & (away > 0.2)
    np.testing.assert_allclose(frames[1][far], canvas[far], atol=0.1)


@BOTH_WAYS
@pytest.mark.parametrize("angle", [0.0, -35.0, 20.0])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.42, -0.4), (-0.45, 0.3)])
def test_a_thing_that_is_turned_grown_and_carried_off_shows_what_it_is_made_of(
    film: Film, place: tuple[float, float], angle: float
) -> None:
    """Also where the middle of its window is far outside of the canvas."""
    home, growth = (0.5, 0.45), 1.6
    cos, sin = (f(math.radians(angle)) / growth for f in (math.cos, math.sin))
    # Back from the frame to where the thing was cut out.
    middle = [
        home[0] - cos * place[0] + sin * place[1],
        home[1] - sin * place[0] - cos * place[1],
    ]
    box = [[middle[0] - cos / 2, middle[1] - cos / 2, middle[0] + cos / 2, middle[1] + cos / 2]]
    plan = with_thing(box, [*home, 0.12, 0.15, 0.3], [0.0, 0.31], shear=[[-sin, sin]])
    frame = np.asarray(film(wave(200, 200)[None], plan, 96))[0, 0]
    v, u = places(96)
    y, x = (v - place[0], u - place[1])
    y, x = cos * y - sin * x, sin * y + cos * x
    inside = np.hypot(y / 0.12, x / 0.15) < 0.69
    assert inside.sum() > 150
    wanted = wave_at(home[0] + y, home[1] + x)
    np.testing.assert_allclose(frame[inside], wanted[inside], atol=0.012)
    outside = np.hypot(y / 0.12, x / 0.15) > 1.01
    background = (
        np.asarray(things.filled(jnp.asarray(wave(200, 200)), plan.home[0], plan.fill[0])) / 255
    )
    behind = np.asarray(film(np.round(background * 255).astype(np.uint8)[None], WITHOUT, 96))[0, 0]
    np.testing.assert_allclose(frame[outside], behind[outside], atol=0.004)


WITHOUT = upright(np.array([[WHOLE]], np.float32))


@BOTH_WAYS
def test_a_thing_outside_of_the_frame_changes_no_pixel_of_the_rest(film: Film) -> None:
    canvas = wave(64, 64)
    home, fill = [0.5, 0.3, 0.1, 0.1, 0.3], [0.0, 0.25]
    gone = with_thing([[0.0, -5.0, 1.0, -4.0], [7.0, 0.0, 8.0, 1.0]], home, fill)
    frames = np.asarray(film(canvas[None], gone, 64))[0]
    wanted = np.asarray(things.filled(jnp.asarray(canvas), gone.home[0], gone.fill[0])) / 255
    np.testing.assert_allclose(frames, np.stack([wanted] * 2), atol=1e-5)


@BOTH_WAYS
def test_clips_without_a_thing_are_rendered_as_if_there_were_none(film: Film) -> None:
    canvases = np.stack([wave(48, 48), wave(48, 48)[::-1], wave(48, 48)[:, ::-1]])
    boxes = np.tile(np.array([[0.2, 0.2, 0.7, 0.8], [0.3, 0.25, 0.8, 0.85]], np.float32), (3, 1, 1))
    plan = upright(boxes)
    plan.shear[0, 1] = 0.05
    one = with_thing([WHOLE, WHOLE], [0.5, 0.3, 0.1, 0.1, 0.3], [0.0, 0.25])
    none = [0.5, 0.3, 0.0, 0.0, 0.3]
    parts = ("home", "fill", "thing_boxes", "thing_shear", "thing_smear")
    thrice = {name: np.repeat(getattr(one, name), 3, axis=0) for name in parts}
    thrice["home"][[0, 2]] = none
    found = np.asarray(film(canvases, plan._replace(**thrice), 20))
    wanted = np.asarray(film(canvases, plan, 20))
    np.testing.assert_array_equal(found[[0, 2]], wanted[[0, 2]])
    assert np.abs(found[1] - wanted[1]).max() > 0.05
    alone = jax.tree.map(lambda part: part[1:2], plan._replace(**thrice))
    np.testing.assert_allclose(film(canvases[1:2], alone, 20)[0], found[1], atol=1e-6)


@BOTH_WAYS
def test_a_thing_is_lit_and_blurred_as_the_frame_is_and_smeared_as_it_moves(film: Film) -> None:
    canvas = np.zeros((90, 90, 3), np.uint8)
    canvas[:, 44:46] = 200  # a line in the thing
    plan = with_thing([WHOLE], [0.5, 0.5, 0.4, 0.4, 0.05], [0.0, 0.0])
    sharp = np.asarray(film(canvas[None], plan, 90))[0, 0, 45, :, 0]
    lit = plan._replace(gain=plan.gain * np.float32(0.5), offset=plan.offset + np.float32(0.25))
    shown = np.asarray(film(canvas[None], lit, 90))[0, 0, 45, :, 0]
    np.testing.assert_allclose(shown, 0.5 * sharp + 0.25, atol=1e-6)
    blurred = plan._replace(blur=plan.blur + np.float32(0.06))
    smeared = plan._replace(thing_smear=np.array([[[0, 0.1, 0, 0.1]]], np.float32))
    for changed in (blurred, smeared):
        line = np.asarray(film(canvas[None], changed, 90))[0, 0, 45, :, 0]
        assert line.max() < 0.5 * sharp.max()
        np.testing.assert_allclose(line.sum(), sharp.sum(), rtol=0.02)


def test_what_fills_a_place_keeps_the_rest_as_it_is() -> None:
    canvas = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    home = jnp.array([0.5, 0.3, 0.2, 0.1, 0.2])
    filled = np.asarray(things.filled(jnp.asarray(canvas), home, jnp.array([0.0, 0.25])))
    y, x = (np.arange(40) + 0.5) / 40, (np.arange(60) + 0.5) / 60
    distance = np.hypot((y[:, None] - 0.5) / 0.2, (x - 0.3) / 0.1)
    np.testing.assert_array_equal(filled[distance > 1.001], canvas[distance > 1.001])
    inner = distance < 0.79
    np.testing.assert_allclose(filled[inner], np.roll(canvas, -15, axis=1)[inner], atol=1e-4)
