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
from input_pipeline.filming import canvas
from input_pipeline.filming.rendering import render_clip
from tests.input_pipeline.director.plans import draws, eagerly

CLIPS, SIZE = 24, 64
# Parts of a plan in fractions of the canvas; its home is, but for the last number.
SCALED = ("boxes", "shear", "extent", "fill", "thing_boxes", "thing_shear")


def plans(config: AnimationConfig, count: int = CLIPS) -> ShotPlan:
    """Of pictures of 96 x 120 pixels that are all on their canvas."""
    size = np.tile(np.array([96, 120], np.int32), (count, 1))
    region = tf.tile(tf.constant([[0, 0, 96, 120]], tf.int32), [count, 1])
    plan = canvas.on_canvas(eagerly(draws(count), size, config), region, 96, 120)
    return tf.nest.map_structure(np.asarray, plan)


def difference(canvases: np.ndarray, plan: ShotPlan, size: int) -> np.ndarray:
    """|device - host| in grey levels, [B, T, O, O, 3]."""
    device = np.asarray(jax.jit(render, static_argnums=2)(canvases, plan, size)) * 255
    dataset = tf.data.Dataset.from_tensor_slices((canvases, plan))
    dataset = dataset.map(lambda canvas, one: render_clip(canvas, one, size))
    return np.abs(np.stack(list(dataset.as_numpy_iterator())) - device)


@pytest.mark.parametrize("preset", ["repeat", "camera", "shots", "full", "things"])
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


@pytest.mark.parametrize("preset", ["full", "things"])
@pytest.mark.parametrize("side", [80, 264])
def test_taps_and_products_make_the_same_pictures(side: int, preset: str) -> None:
    """What a CPU renders is what other devices do: rolled, blurred, mixed, beside an edge, cut."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (CLIPS, 12, 15, 3), np.uint8)
    canvases = np.stack([np.asarray(Image.fromarray(one).resize((side, 72))) for one in small])
    plan = plans(AnimationConfig(preset, 5))
    part = np.float32(0.9)  # of the canvas holds the picture
    home = np.concatenate([plan.home[:, :4] * part, plan.home[:, 4:]], axis=1)
    plan = plan._replace(
        **{name: getattr(plan, name) * part for name in SCALED}, home=home[:, : plan.home.shape[1]]
    )
    if preset == "things":
        assert 5 < plan.has_thing.sum() < CLIPS - 5
        assert (plan.thing_shear[plan.has_thing] != 0).any()
    assert (plan.shear != 0).any() and (plan.blur > 0).any() and (plan.at < 5).any()
    products = jax.jit(renderer._by_products, static_argnums=2)(canvases, plan, 32)
    np.testing.assert_allclose(render(canvases, plan, 32), products, atol=2e-5)
