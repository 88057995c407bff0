"""What the renderer makes of real photos: against a finer rendering, and against Pillow."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from animclip_jax.animation.plan import upright
from animclip_jax.animation.render import render
from benchmarks import flicker

film = jax.jit(render, static_argnums=2)
SIDE, FRAME = 140, 64


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[np.ndarray]:
    lines = (shared_data / "imgcap" / "captions.jsonl").read_text().splitlines()
    paths = [shared_data / "imgcap" / json.loads(line)["image"] for line in lines[:4000:500]]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def psnr(ours: np.ndarray, wanted: np.ndarray) -> float:
    return 10 * math.log10(1 / np.mean((ours.astype(float) - wanted) ** 2))


@pytest.mark.parametrize("angle", [0, 9])
@pytest.mark.parametrize("zoom", [0.5, 0.7, 1.0, 1.4, 2.0])
def test_equals_rendering_four_times_finer(
    photos: list[np.ndarray], zoom: float, angle: float
) -> None:
    """zoom: output pixels per source pixel. The finer one is averaged, 4 x 4 pixels to one."""
    canvases = jnp.asarray(np.stack([photo[:SIDE, :SIDE] for photo in photos]))
    side = FRAME / zoom / SIDE * (0.85 if angle else 1.0)
    cos, sin = side * math.cos(math.radians(angle)), side * math.sin(math.radians(angle))
    middle = 0.5 + 0.3 / SIDE
    box = [middle - cos / 2, middle - cos / 2, middle + cos / 2, middle + cos / 2]
    plan = upright(np.tile(np.array(box, np.float32), (len(photos), 1, 1)))
    plan = plan._replace(shear=np.tile(np.array([sin, -sin], np.float32), (len(photos), 1, 1)))
    fine = np.asarray(film(canvases, plan, 4 * FRAME))
    wanted = fine.reshape(len(photos), FRAME, 4, FRAME, 4, 3).mean(axis=(2, 4))
    found = np.asarray(film(canvases, plan, FRAME))[:, 0]
    assert min(map(psnr, found, wanted)) >= 38


def test_a_slow_zoom_flickers_no_more_than_pillows_anti_aliased_resize(
    photos: list[np.ndarray],
) -> None:
    ours, pillows = zip(
        *(flicker.slow_zoom(photo, n) for n, photo in enumerate(photos)), strict=True
    )
    assert np.mean(ours) <= np.mean(pillows)
