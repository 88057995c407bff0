"""tf.data renders what the device renders."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from animclip_jax.animation import render as renderer
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from input_pipeline.filming.rendering import render_clip
from tests.input_pipeline.director.plans import draws, eagerly

CLIPS, SIZE = 24, 64


def plans(config: AnimationConfig, count: int = CLIPS) -> ShotPlan:
    """Of pictures of 96 x 120 pixels that are all on their canvas."""
    size = np.tile(np.array([96, 120], np.int32), (count, 1))
    plan = eagerly(draws(count), size, config)
    extent = np.array([96, 120, 96, 120], np.float32)
    return plan._replace(
        boxes=plan.boxes / extent,
        shear=plan.shear / extent[:2],
        smear=plan.smear / extent,
        extent=np.ones_like(plan.extent),
    )


def difference(canvases: np.ndarray, plan: ShotPlan, size: int) -> np.ndarray:
    """|device - host| in grey levels, [B, T, O, O, 3]."""
    device = np.asarray(jax.jit(render, static_argnums=2)(canvases, plan, size)) * 255
    dataset = tf.data.Dataset.from_tensor_slices((canvases, plan))
    dataset = dataset.map(lambda canvas, one: render_clip(canvas, one, size))
    return np.abs(np.stack(list(dataset.as_numpy_iterator())) - device)


@pytest.mark.parametrize("preset", ["repeat", "camera", "shots", "full"])
def test_any_picture(preset: str) -> None:
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (CLIPS, 12, 15, 3), np.uint8)
    canvases = np.stack([np.asarray(Image.fromarray(one).resize((80, 72))) for one in small])
    found = difference(canvases, plans(AnimationConfig(preset, 5)), 32)
    assert found.shape == (CLIPS, 5, 32, 32, 3)
    # Half a level is the rounding.
    assert found.max() < 1.5 and found.mean() < 0.3


def test_real_photos(shared_data: Path) -> None:
    lines = (shared_data / "imgcap" / "captions.jsonl").read_text().splitlines()[:80:10]
    paths = [shared_data / "imgcap" / json.loads(line)["image"] for line in lines]
    canvases = np.stack(
        [np.asarray(Image.open(path).convert("RGB").resize((160, 160))) for path in paths]
    )
    found = difference(canvases, plans(AnimationConfig(num_frames=6), len(paths)), SIZE)
    assert found.mean(axis=(1, 2, 3, 4)).max() <= 2


@pytest.mark.parametrize("side", [80, 264])
def test_taps_and_products_make_the_same_pictures(side: int) -> None:
    """What a CPU renders is what other devices do: rolled, blurred, mixed, beside an edge, cut."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (CLIPS, 12, 15, 3), np.uint8)
    canvases = np.stack([np.asarray(Image.fromarray(one).resize((side, 72))) for one in small])
    plan = plans(AnimationConfig("full", 5))
    plan = plan._replace(
        boxes=plan.boxes * np.float32(0.9),
        shear=plan.shear * np.float32(0.9),
        extent=plan.extent * np.float32(0.9),
    )
    assert (plan.shear != 0).any() and (plan.blur > 0).any() and (plan.at < 5).any()
    products = jax.jit(renderer._by_products, static_argnums=2)(canvases, plan, 32)
    np.testing.assert_allclose(render(canvases, plan, 32), products, atol=2e-5)
