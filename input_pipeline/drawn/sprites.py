"""Sprites of the things: a kind's shapes in a colour and a texture, shaded from one side."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from input_pipeline.drawn.shapes import SHAPES

SPRITE_SIZE = 128
SPRITE_MARGIN = 0.06  # room for the outline on each side, in sprite sides
OUTLINE = 2.5  # width of the dark line around a thing, in hundredths of it
SHADING = 0.7  # brightness of a thing's side away from the light

RGB = tuple[int, int, int]
COLOUR_RGB: dict[str, RGB] = {
    "red": (214, 32, 38),
    "orange": (246, 124, 10),
    "yellow": (255, 228, 56),
    "green": (30, 150, 60),
    "blue": (36, 84, 222),
    "purple": (128, 44, 176),
    "pink": (252, 132, 192),
    "brown": (122, 72, 34),
    "white": (248, 248, 248),
    "black": (34, 34, 40),
}
ACCENT_RGB: dict[str, RGB] = {
    "k": (38, 34, 42),
    "w": (246, 246, 242),
    "b": (140, 96, 56),
    "g": (60, 130, 60),
    "y": (250, 214, 70),
    "c": (232, 206, 164),
}


@lru_cache(maxsize=16)
def lit(kind: str, colour: str, texture: str, light_from: str) -> tuple[Image.Image, Image.Image]:
    """The shaded sprite as RGBA at SPRITE_SIZE and at half of it. Few are kept: a clip's things."""
    sprite = ImageChops.multiply(_sprite(kind, colour, texture), _shade(light_from))
    return sprite, sprite.reduce(2)


@lru_cache(maxsize=len(SHAPES) * len(COLOUR_RGB) * 4)
def _sprite(kind: str, colour: str, texture: str) -> Image.Image:
    """The thing with its outline as RGBA, SPRITE_SIZE square: 64 KB each, all of them 84 MB."""
    size = 2 * SPRITE_SIZE
    base = np.array(COLOUR_RGB[colour], float)
    fills = {
        **ACCENT_RGB,
        "d": to_rgb(base * 0.62),
        "l": to_rgb(base + (255 - base) * 0.45),
    }
    edge = (225, 225, 232) if base.mean() < 60 else (26, 22, 30)
    picture = Image.new("RGB", (size, size), edge)
    alpha = Image.new("L", (size, size))
    for shape, fill, numbers in SHAPES[kind]:
        _part(alpha, shape, numbers, 255, OUTLINE)
        if fill == "m":
            mask = Image.new("L", (size, size))
            _part(mask, shape, numbers, 255)
            picture.paste(_cloth(colour, texture), (0, 0), mask)
        else:
            _part(picture, shape, numbers, fills[fill])
    picture.putalpha(alpha)
    return picture.reduce(2)


def to_rgb(values: np.ndarray) -> RGB:
    red, green, blue = (int(value) for value in np.clip(values, 0, 255))
    return red, green, blue


def _part(
    picture: Image.Image, shape: str, numbers: Sequence[float], fill: int | RGB, grow: float = 0
) -> None:
    """Draws one part of a thing, wider by `grow` (in hundredths of it) on all sides."""
    draw = ImageDraw.Draw(picture)
    room = SPRITE_MARGIN * picture.width
    unit = (picture.width - 2 * room) / 100
    if shape == "P":
        points = [room + value * unit for value in numbers]
        draw.polygon(points, fill=fill)
        if grow:
            draw.line(points + points[:4], fill, max(1, round(2 * grow * unit)), "curve")
        return
    wider = [-grow, -grow, grow, grow]
    box = [room + (value + more) * unit for value, more in zip(numbers, wider, strict=False)]
    if shape == "E":
        draw.ellipse(box, fill=fill)
    elif shape == "R":
        draw.ellipse(box, outline=fill, width=int((numbers[4] + 2 * grow) * unit))
    else:
        draw.pieslice(box, numbers[4], numbers[5], fill=fill)


@lru_cache(maxsize=64)
def _cloth(colour: str, texture: str) -> Image.Image:
    """A sprite-sized square of the colour with the texture in a contrasting tone."""
    size = 2 * SPRITE_SIZE
    base = np.array(COLOUR_RGB[colour], float)
    other = base * 0.3 if base.mean() > 150 else base + (255 - base) * 0.8
    y, x = np.mgrid[:size, :size] / size
    if texture == "striped":
        marked = ((x + y) * 4.2) % 1 < 0.42
    elif texture == "dotted":
        row = np.floor(y * 4.6)
        marked = np.hypot((x * 4.6 + row % 2 / 2) % 1 - 0.5, y * 4.6 % 1 - 0.5) < 0.31
    elif texture == "checked":
        marked = (np.floor(x * 5) + np.floor(y * 5)) % 2 < 0.5
    else:
        marked = np.zeros((size, size), bool)
    return Image.fromarray(np.where(marked[..., None], other, base).astype(np.uint8))


@lru_cache(maxsize=4)
def _shade(light_from: str) -> Image.Image:
    """RGBA that a sprite is multiplied by: darker away from the light."""
    y, x = np.mgrid[:SPRITE_SIZE, :SPRITE_SIZE] / SPRITE_SIZE
    away = {"left": (x + 0.5 * y) / 1.5, "above": y, "right": (1 - x + 0.5 * y) / 1.5}[light_from]
    bright = np.clip(1.1 - (1.1 - SHADING) * away, 0, 1)
    shade = Image.fromarray((255 * bright).astype(np.uint8)).convert("RGB")
    shade.putalpha(255)
    return shade
