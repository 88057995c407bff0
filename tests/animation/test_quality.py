"""What the renderer makes of real photos: against a finer rendering, and against Pillow."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from animclip_jax.animation.components import Zoom
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import upright
from animclip_jax.animation.render import render
from input_pipeline.filming import film_pictures

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
    plan = upright(np.tile(np.float32(box), (len(photos), 1, 1)))
    plan = plan._replace(shear=np.tile(np.float32([sin, -sin]), (len(photos), 1, 1)))
    fine = np.asarray(film(canvases, plan, 4 * FRAME))
    wanted = fine.reshape(len(photos), FRAME, 4, FRAME, 4, 3).mean(axis=(2, 4))
    found = np.asarray(film(canvases, plan, FRAME))[:, 0]
    assert min(map(psnr, found, wanted)) >= 38


def test_a_slow_zoom_flickers_no_more_than_pillows_anti_aliased_resize(
    photos: list[np.ndarray],
) -> None:
    config = AnimationConfig("zoom", 24, 112, zoom=Zoom(1.0, (1.15, 1.15)))

    def flicker(frames: np.ndarray) -> float:
        """The mean second difference in time, in grey levels."""
        return np.abs(np.diff(frames.astype(float), 2, axis=0)).mean()

    ours, pillows = [], []
    for number, photo in enumerate(photos):
        made = film_pictures([photo], config, number, 160)
        canvas, plan = jax.tree.map(lambda part: part[None], (made.canvas, made.plan))
        frames = np.asarray(film(jnp.asarray(canvas), plan, 112))[0]
        ours.append(flicker(np.round(frames * 255)))
        image = Image.fromarray(photo)
        resized = [
            image.resize((112, 112), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
            for y0, x0, y1, x1 in made.windows.boxes.astype(float)
        ]
        pillows.append(flicker(np.stack(resized)))
    assert np.mean(ours) <= np.mean(pillows)
