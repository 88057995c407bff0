"""Draws scenes as stills and as videos, under their light.

Everything is drawn at twice the size and reduced. Sprites are drawn once and then placed through
an affine map from scene coordinates to pixels.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

from input_pipeline.drawn.backgrounds import backdrop
from input_pipeline.drawn.motion import play
from input_pipeline.drawn.sprites import SPRITE_MARGIN, SPRITE_SIZE, lit
from input_pipeline.drawn.things import GROUP_OFFSETS, Box, Scene

STILL_SIZE = 128
FRAME_SIZE = 96
SUPERSAMPLE = 2
SHADOW = (0.07, 0.3)  # offset in sides of the thing, darkness

LIGHT_GAIN: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.03, 0.85, 0.68),
    "night": (0.66, 0.72, 0.94),
    "fog": (0.75, 0.75, 0.75),
}
LIGHT_VEIL: dict[str, float] = {"day": 0, "sunset": 0, "night": 0, "fog": 56}


def still(scene: Scene) -> np.ndarray:
    """The whole scene as it starts: uint8 [128, 128, 3], RGB."""
    poses = [(thing.x, thing.y, 1.0, 0.0) for thing in scene.things]
    return _draw(scene, poses, (0.0, 0.0, 1.0, 1.0), STILL_SIZE)


def video(scene: Scene, size: int = FRAME_SIZE) -> np.ndarray:
    """The scene as it plays, a part of it in each frame: uint8 [8, size, size, 3], RGB."""
    motion = play(scene)
    frames = []
    for at, scale, angle, viewport in zip(
        motion.centres, motion.scales, motion.angles, motion.viewports, strict=True
    ):
        poses = [(*at[i], scale[i], angle[i]) for i in range(len(scene.things))]
        frames.append(_draw(scene, poses, tuple(viewport.tolist()), size))
    return np.stack(frames)


def _draw(
    scene: Scene,
    poses: list[tuple[float, float, float, float]],
    viewport: Box,
    size: int,
) -> np.ndarray:
    """uint8 [size, size, 3] of what the viewport (y0, x0, y1, x1) holds.

    A pose is (x, y, scale, degrees counter-clockwise), one for each thing.
    """
    y0, x0, _, x1 = viewport
    zoom = SUPERSAMPLE * size / (x1 - x0)
    picture = backdrop(scene, viewport, SUPERSAMPLE * size)
    for thing, (x, y, scale, degrees) in zip(scene.things, poses, strict=True):
        sprite = lit(thing.kind, thing.colour, thing.texture, scene.light_from)
        side = thing.side * scale
        for right, down in GROUP_OFFSETS[thing.count]:
            centre = (x + right * side - x0) * zoom, (y + down * side - y0) * zoom
            _stamp(picture, sprite, centre, side * zoom, degrees, scene.light_from)
    return np.asarray(picture.reduce(SUPERSAMPLE).point(_light(scene.light)))


def _stamp(
    picture: Image.Image,
    sprites: tuple[Image.Image, Image.Image],
    centre: tuple[float, float],
    side: float,
    degrees: float,
    light_from: str,
) -> None:
    """Pastes a sprite and its shadow; `side` is the thing's in pixels."""
    cos, sin = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    full = side / (1 - 2 * SPRITE_MARGIN)
    half = int(full * (abs(cos) + abs(sin)) / 2) + 2
    left, top = int(np.floor(centre[0])) - half, int(np.floor(centre[1])) - half
    if max(left, top) >= picture.width or min(left, top) + 2 * half <= 0:
        return
    sprite = sprites[1] if full < SPRITE_SIZE / 2 else sprites[0]
    step = sprite.width / full
    a, b = cos * step, -sin * step
    x, y = left - centre[0], top - centre[1]
    middle = sprite.width / 2
    patch = sprite.transform(
        (2 * half, 2 * half),
        Image.Transform.AFFINE,
        (a, b, a * x + b * y + middle, -b, a, -b * x + a * y + middle),
        Image.Resampling.BILINEAR,
    )
    away = {"left": 1, "above": 0, "right": -1}[light_from]
    offset, darkness = SHADOW
    shift = round(offset * side)
    mask = patch.getchannel("A").point([int(darkness * value) for value in range(256)])
    picture.paste((12, 12, 24), (left + away * shift, top + shift), mask)
    picture.paste(patch, (left, top), patch)


@lru_cache(maxsize=len(LIGHT_GAIN))
def _light(light: str) -> list[int]:
    """Table of 3 x 256 entries that tints a picture."""
    gain, veil = LIGHT_GAIN[light], LIGHT_VEIL[light]
    return [min(255, int(g * value + veil)) for g in gain for value in range(256)]
