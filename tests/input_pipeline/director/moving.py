"""Clips with a thing that moves, and where their plans show it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from animclip_jax.animation.components import (
    Component,
    Framing,
    Pan,
    Roll,
    Sampling,
    Shake,
    Speed,
    Thing,
    Tilt,
    Zoom,
)  # fmt: skip
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline import director
from input_pipeline.director.moves import Moves
from tests.input_pipeline.director.plans import CLIPS, draws, edges, only

FRAMING = Framing(1.0, (0.5, 0.5), (0.5, 0.5))
MOVING: dict[str, Any] = {
    "pan": Pan(0.7, (0.1, 0.6)),
    "tilt": Tilt(0.5, (0.1, 0.6)),
    "zoom": Zoom(0.5),
    "roll": Roll(0.3),
    "shake": Shake(0.3),
    "speed": Speed(),
    "sampling": Sampling(),
}


def things(num_frames: int = 12, **on: Component) -> AnimationConfig:
    """A thing in every clip, of these motions."""
    whole = {"framing": FRAMING, "thing": Thing(1.0, (0.2, 0.3))} | on
    return only(num_frames, **whole)


def direct(
    config: AnimationConfig, size: Any = (400, 600), box: np.ndarray | None = None
) -> tuple[ShotPlan, Moves]:
    """Plans of many clips, and what moves in them."""
    pictures = np.tile(np.array(size, np.int32), (CLIPS, 1)) if isinstance(size, tuple) else size
    found = director.direct(draws(CLIPS), tf.constant(pictures[:, None]), config, box)
    plan, _, moves = tf.nest.map_structure(lambda part: part.numpy(), found)
    return plan, moves


def things_windows(plan: ShotPlan) -> ShotPlan:
    return plan._replace(boxes=plan.thing_boxes, shear=plan.thing_shear)


def matrices(plan: ShotPlan) -> np.ndarray:
    """From frames to the canvas: [B, T, 2, 2], of (v, u)."""
    right, down = edges(plan)
    return np.stack([down, right], axis=-1)


def middles(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def shown_at(plan: ShotPlan) -> np.ndarray:
    """Where in the frames the middle of the thing is, [B, T, 2] (v, u), by the thing's windows."""
    away = plan.home[:, None, :2] - middles(plan.thing_boxes)
    return np.linalg.solve(matrices(things_windows(plan)), away[..., None])[..., 0]


def scene_places(plan: ShotPlan) -> np.ndarray:
    """Where in the picture it is shown, [B, T, 2]."""
    T = plan.gain.shape[1]
    of_camera = plan._replace(boxes=plan.boxes[:, :T], shear=plan.shear[:, :T])
    inside = matrices(of_camera) @ shown_at(plan)[..., None]
    return middles(of_camera.boxes) + inside[..., 0]


def growth(plan: ShotPlan) -> np.ndarray:
    T = plan.gain.shape[1]
    areas = [np.linalg.det(matrices(some))[:, :T] for some in (plan, things_windows(plan))]
    return np.sqrt(areas[0] / areas[1])


def radius(plan: ShotPlan) -> np.ndarray:
    """In sides of the frame, [B, T, 2]."""
    T = plan.gain.shape[1]
    side = np.linalg.norm(edges(plan)[0][:, :T], axis=-1)
    return plan.home[:, None, 2:4] * (growth(plan) / side)[..., None]
