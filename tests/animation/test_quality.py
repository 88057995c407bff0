"""What the renderer makes of real photos: against a finer rendering, and against Pillow."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from animclip_jax.animation import things
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from benchmarks import flicker
from tests.plans import upright

film = jax.jit(render, static_argnums=2)
SIDE, FRAME = 140, 64


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[np.ndarray]:
    lines = (shared_data / "imgcap" / "captions.jsonl").read_text().splitlines()
    paths = [shared_data / "imgcap" / json.loads(line)["image"] for line in lines[:4000:500]]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def psnr(ours: np.ndarray, wanted: np.ndarray) -> float:
    return 10 * math.log10(1 / np.mean((ours.astype(float) - wanted) ** 2))


def turned(middle: float, side: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The box [4] and shear [2] of a square window, turned by degrees."""
    cos, sin = side * math.cos(math.radians(angle)), side * math.sin(math.radians(angle))
    box = [middle - cos / 2, middle - cos / 2, middle + cos / 2, middle + cos / 2]
    return np.array(box, np.float32), np.array([sin, -sin], np.float32)


def difference_from_finer(canvases: jax.Array, plan: ShotPlan) -> float:
    """The least PSNR of frames against those rendered finer and averaged, 4 x 4 pixels to one."""
    fine = np.asarray(film(canvases, plan, 4 * FRAME))
    wanted = fine.reshape(len(canvases), FRAME, 4, FRAME, 4, 3).mean(axis=(2, 4))
    found = np.asarray(film(canvases, plan, FRAME))[:, 0]
    return min(map(psnr, found, wanted))


@pytest.mark.parametrize("angle", [0, 9])
@pytest.mark.parametrize("zoom", [0.5, 0.7, 1.0, 1.4, 2.0])
def test_equals_rendering_four_times_finer(
    photos: list[np.ndarray], zoom: float, angle: float
) -> None:
    """zoom: output pixels per source pixel."""
    canvases = jnp.asarray(np.stack([photo[:SIDE, :SIDE] for photo in photos]))
    side = FRAME / zoom / SIDE * (0.85 if angle else 1.0)
    box, shear = turned(0.5 + 0.3 / SIDE, side, angle)
    plan = upright(np.tile(box, (len(photos), 1, 1)))
    plan = plan._replace(shear=np.tile(shear, (len(photos), 1, 1)))
    assert difference_from_finer(canvases, plan) >= 38


@pytest.mark.parametrize("angle", [0, 9, -30])
@pytest.mark.parametrize("growth", [0.7, 1.0, 1.8])
def test_a_thing_equals_one_rendered_four_times_finer(
    photos: list[np.ndarray], growth: float, angle: float
) -> None:
    """Upright, grown and turned, over a background that is as finely rendered."""
    canvases = jnp.asarray(np.stack([photo[:SIDE, :SIDE] for photo in photos]))
    box, shear = turned(0.45, 0.8 / growth, -angle)
    count = (len(photos), 1, 1)
    plan = upright(np.tile(turned(0.5, 0.8, 0)[0], count))
    plan = plan._replace(
        home=np.tile(np.array([0.4, 0.5, 0.15, 0.12, 0.25], np.float32), (len(photos), 1)),
        fill=np.tile(np.array([0.31, 0.0], np.float32), (len(photos), 1)),
        thing_boxes=np.tile(box, count),
        thing_shear=np.tile(shear, count),
        thing_smear=np.zeros((len(photos), 1, 4), np.float32),
    )
    assert difference_from_finer(canvases, plan) >= 38


def test_a_slow_slide_flickers_no_more_than_pillows_anti_aliased_resize(
    photos: list[np.ndarray],
) -> None:
    """Pillow resizes the same windows, and both are laid over each other in the same shares."""
    T, side, far = 24, 0.8, 100
    away = 0.15 * np.linspace(-1, 1, T)
    windows = np.stack([np.zeros(T), away, np.full(T, side), away + side], axis=1)
    ours, pillows = [], []
    for photo in photos:
        canvas = photo[:SIDE, :SIDE]
        plan = upright(np.tile(np.array([0, 0, side, side], np.float32), (1, T, 1)))
        plan = plan._replace(
            home=np.array([[0.4, 0.4, 0.13, 0.13, 0.3]], np.float32),
            fill=np.array([[0.27, 0.0]], np.float32),
            thing_boxes=windows[None].astype(np.float32),
            thing_shear=np.zeros((1, T, 2), np.float32),
            thing_smear=np.zeros((1, T, 4), np.float32),
        )
        one = jax.tree.map(lambda part: part[0], plan)
        filled = np.round(np.asarray(things.filled(jnp.asarray(canvas), one.home, one.fill)))
        behind = resized(filled.astype(np.uint8), (0, 0, side * SIDE, side * SIDE))
        around = np.pad(canvas, ((0, 0), (far, far), (0, 0)), "edge")
        share = np.asarray(things.shares(one, FRAME))[..., None]
        moved = [
            resized(around, (x0 * SIDE + far, 0, x1 * SIDE + far, side * SIDE))
            for _, x0, _, x1 in windows
        ]
        pillows.append(flicker.flicker(np.round(behind + share * (np.stack(moved) - behind))))
        frames = np.asarray(film(jnp.asarray(canvas[None]), plan, FRAME))[0]
        ours.append(flicker.flicker(np.round(frames * 255)))
    # Pillow rounds what it resizes, too.
    assert np.mean(ours) <= 1.001 * np.mean(pillows)


def resized(pixels: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """By Pillow, anti-aliased. box: left, top, right, bottom."""
    size, kind = (FRAME, FRAME), Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize(size, kind, box=box), float)


def test_a_slow_zoom_flickers_no_more_than_pillows_anti_aliased_resize(
    photos: list[np.ndarray],
) -> None:
    ours, pillows = zip(
        *(flicker.slow_zoom(photo, n) for n, photo in enumerate(photos)), strict=True
    )
    assert np.mean(ours) <= np.mean(pillows)
