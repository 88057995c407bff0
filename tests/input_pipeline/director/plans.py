"""Plans of many clips, for the tests of the director."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from animclip_jax.animation.components import Component
from animclip_jax.animation.config import COMPONENTS, AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline import director
from input_pipeline.director.draws import Draws

CLIPS = 1000


def only(num_frames: int = 12, **on: Component) -> AnimationConfig:
    """A configuration in which nothing happens but what is named."""
    off: dict[str, Any] = {name: part(probability=0.0) for name, part in COMPONENTS.items()}
    return AnimationConfig("things", num_frames, **(off | on))


def sizes(count: int, seed: int = 0) -> np.ndarray:
    """(height, width) with aspect ratios from 1:4 to 4:1 and short sides from 64 pixels on."""
    random = np.random.default_rng(seed)
    short = np.where(random.random(count) < 0.3, 64, random.integers(64, 3000, count))
    ratio = np.where(random.random(count) < 0.3, 4.0, random.uniform(1, 4, count))
    long = np.round(short * ratio).astype(int)
    flip = random.random(count) < 0.5
    return np.stack([np.where(flip, short, long), np.where(flip, long, short)], 1).astype(np.int32)


@functools.cache
def draws(count: int, seed: int = 0) -> Draws:
    return director.noise(seed, tf.constant(0, tf.int64), count)


def some_of(draws: Draws, start: int, stop: int) -> Draws:
    return {name: rows[start:stop] for name, rows in draws.items()}


def eagerly(noise: Draws, size: np.ndarray, config: AnimationConfig) -> ShotPlan:
    """size: [B, 2], or [B, 2, 2] for two pictures a clip."""
    pictures = tf.constant(size if size.ndim == 3 else size[:, None])
    plan, _, _ = director.direct(noise, pictures, config)
    return tf.nest.map_structure(lambda part: part.numpy(), plan)


def in_dataset(noise: Draws, size: np.ndarray, config: AnimationConfig) -> ShotPlan:
    dataset = tf.data.Dataset.from_tensor_slices((noise, size[:, None])).batch(300)
    dataset = dataset.map(lambda n, s: director.direct(n, s, config)[0], num_parallel_calls=2)
    return ShotPlan(*map(np.concatenate, zip(*dataset.as_numpy_iterator(), strict=True)))


def film(config: AnimationConfig, size: tuple[int, int], count: int = CLIPS) -> ShotPlan:
    """Plans of `count` clips of pictures of one size."""
    return eagerly(draws(count), np.tile(np.array(size, np.int32), (count, 1)), config)


def sides(boxes: np.ndarray) -> np.ndarray:
    return boxes[..., 2] - boxes[..., 0]


def centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def edges(plan: ShotPlan) -> tuple[np.ndarray, np.ndarray]:
    """From a window's left to its right and from its top to its bottom, [..., 2] (y, x)."""
    boxes, shear = plan.boxes, plan.shear
    right = np.stack([shear[..., 0], boxes[..., 3] - boxes[..., 1]], axis=-1)
    down = np.stack([boxes[..., 2] - boxes[..., 0], shear[..., 1]], axis=-1)
    return right, down


def corners(plan: ShotPlan) -> np.ndarray:
    """[..., 4, 2] (y, x)."""
    right, down = edges(plan)
    signs = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    middle = centres(plan.boxes)
    return np.stack([middle + 0.5 * (v * down + u * right) for v, u in signs], axis=-2)


def degrees(plan: ShotPlan) -> np.ndarray:
    right, _ = edges(plan)
    return np.degrees(np.arctan2(right[..., 0], right[..., 1]))
