"""Draws scenes as stills and as videos: backgrounds, sprites of the things, light.

Everything is drawn at twice the size and reduced. Sprites are drawn once and then placed through
an affine map from scene coordinates to pixels.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from input_pipeline.drawn.motion import play
from input_pipeline.drawn.scene import GROUP_OFFSETS, Scene

STILL_SIZE = 128
FRAME_SIZE = 96
SUPERSAMPLE = 2

BACKGROUND_SIZE = 384  # pixels of a background: a frame of half the scene, supersampled
BACKGROUND_FADE = 0.6  # how far backgrounds go towards grey, so that they don't drown the things
BACKGROUND_GREY = (200, 200, 196)
BACKGROUND_VARIANTS = 4  # of each background, each also mirrored
SPRITE_SIZE = 128
SPRITE_MARGIN = 0.06  # room for the outline on each side, in sprite sides
OUTLINE = 2.5  # width of the dark line around a thing, in hundredths of it
SHADING = 0.7  # brightness of a thing's side away from the light
SHADOW = (0.07, 0.3)  # offset in sides of the thing, darkness

RGB = tuple[int, int, int]
Box = tuple[float, float, float, float]
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
LIGHT_GAIN: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.03, 0.85, 0.68),
    "night": (0.66, 0.72, 0.94),
    "fog": (0.75, 0.75, 0.75),
}
LIGHT_VEIL: dict[str, float] = {"day": 0, "sunset": 0, "night": 0, "fog": 56}


def _star() -> list[float]:
    turn = np.pi * np.arange(10) / 5
    radius = np.where(np.arange(10) % 2, 21, 50)
    points = np.stack([50 + radius * np.sin(turn), 53 - radius * np.cos(turn)], -1)
    return [float(value) for value in points.ravel()]


def _crescent() -> list[float]:
    out = np.radians(np.linspace(50, 310, 30))
    back = np.radians(np.linspace(298, 62, 30))
    outer = np.stack([58 + 48 * np.cos(out), 50 + 48 * np.sin(out)], -1)
    inner = np.stack([76 + 42 * np.cos(back) * 0.95, 50 + 42 * np.sin(back)], -1)
    return [float(value) for value in np.concatenate([outer, inner]).ravel()]


# A thing is a list of (shape, fill, numbers) on a square of 100 x 100, drawn in this order.
# Shapes: E ellipse (box), P polygon (points), R ring (box, width), S sector (box, two angles).
# Fills: m the thing's colour and texture, d and l its colour darker and lighter, else an accent.
Part = tuple[str, str, Sequence[float]]
SHAPES: dict[str, list[Part]] = {
    "ball": [("E", "m", [3, 3, 97, 97]), ("E", "w", [24, 16, 44, 34])],
    "cube": [
        ("P", "m", [5, 34, 66, 34, 66, 95, 5, 95]),
        ("P", "l", [5, 34, 32, 7, 95, 7, 66, 34]),
        ("P", "d", [66, 34, 95, 7, 95, 68, 66, 95]),
    ],
    "car": [
        ("P", "m", [2, 50, 18, 50, 30, 24, 70, 24, 84, 50, 98, 55, 98, 77, 2, 77]),
        ("P", "w", [35, 31, 48, 31, 48, 50, 27, 50]),
        ("P", "w", [54, 31, 66, 31, 75, 50, 54, 50]),
        *[("E", "k", [x, 62, x + 26, 88]) for x in (12, 62)],
        *[("E", "w", [x, 71, x + 8, 79]) for x in (21, 71)],
    ],
    "house": [
        ("P", "m", [14, 44, 86, 44, 86, 97, 14, 97]),
        ("P", "d", [2, 48, 50, 4, 98, 48]),
        ("P", "k", [54, 62, 72, 62, 72, 97, 54, 97]),
        ("P", "y", [24, 58, 42, 58, 42, 76, 24, 76]),
    ],
    "tree": [
        ("P", "b", [42, 60, 58, 60, 60, 99, 40, 99]),
        ("E", "m", [6, 28, 54, 74]),
        ("E", "m", [46, 28, 94, 74]),
        ("E", "m", [22, 2, 78, 62]),
    ],
    "fish": [
        ("P", "d", [62, 50, 98, 18, 98, 82]),
        ("P", "d", [30, 26, 58, 26, 54, 6]),
        ("E", "m", [2, 20, 78, 80]),
        ("E", "w", [12, 34, 30, 52]),
        ("E", "k", [16, 39, 25, 48]),
    ],
    "star": [("P", "m", _star())],
    "cup": [
        ("R", "d", [54, 30, 96, 72, 10]),
        ("P", "m", [8, 16, 72, 16, 66, 94, 14, 94]),
        ("E", "d", [8, 6, 72, 26]),
    ],
    "boat": [
        ("P", "b", [46, 4, 52, 4, 52, 66, 46, 66]),
        ("P", "w", [56, 6, 56, 56, 92, 56]),
        ("P", "w", [42, 18, 42, 56, 12, 56]),
        ("P", "m", [2, 62, 98, 62, 80, 96, 20, 96]),
    ],
    "flower": [
        ("P", "g", [46, 54, 54, 54, 54, 99, 46, 99]),
        ("E", "g", [54, 74, 86, 90]),
        *[
            ("E", "m", [x - 17, y - 17, x + 17, y + 17])
            for x, y in [(50, 17), (71, 29), (71, 53), (50, 64), (29, 53), (29, 29)]
        ],
        ("E", "y", [36, 26, 64, 54]),
    ],
    "key": [
        ("R", "m", [2, 26, 50, 74, 14]),
        ("P", "m", [46, 43, 98, 43, 98, 57, 46, 57]),
        ("P", "m", [70, 54, 79, 54, 79, 76, 70, 76]),
        ("P", "m", [87, 54, 98, 54, 98, 72, 87, 72]),
    ],
    "umbrella": [
        ("P", "b", [47, 2, 53, 2, 53, 88, 47, 88]),
        ("R", "b", [47, 76, 70, 98, 6]),
        ("S", "m", [2, 8, 98, 104, 180, 360]),
        ("P", "l", [50, 8, 34, 56, 66, 56]),
    ],
    "mushroom": [
        ("P", "c", [36, 48, 64, 48, 72, 97, 28, 97]),
        ("S", "m", [4, 2, 96, 112, 180, 360]),
    ],
    "rocket": [
        ("P", "y", [38, 80, 62, 80, 50, 100]),
        ("P", "d", [32, 54, 6, 92, 36, 82]),
        ("P", "d", [68, 54, 94, 92, 64, 82]),
        ("P", "m", [50, 0, 66, 20, 72, 50, 66, 84, 34, 84, 28, 50, 34, 20]),
        ("E", "w", [40, 26, 60, 46]),
    ],
    "arrow": [("P", "m", [2, 34, 52, 34, 52, 8, 98, 50, 52, 92, 52, 66, 2, 66])],
    "heart": [
        ("E", "m", [3, 8, 53, 60]),
        ("E", "m", [47, 8, 97, 60]),
        ("P", "m", [7, 46, 93, 46, 50, 96]),
    ],
    "bird": [
        ("P", "y", [82, 26, 100, 34, 82, 42]),
        ("P", "d", [24, 50, 0, 30, 4, 66]),
        ("E", "m", [12, 34, 78, 88]),
        ("E", "m", [52, 10, 90, 50]),
        ("P", "l", [26, 52, 62, 52, 34, 78]),
        ("E", "k", [70, 21, 79, 30]),
    ],
    "cat": [
        ("P", "m", [10, 50, 12, 2, 46, 26]),
        ("P", "m", [90, 50, 88, 2, 54, 26]),
        ("E", "m", [6, 18, 94, 96]),
        ("E", "w", [22, 40, 44, 60]),
        ("E", "w", [56, 40, 78, 60]),
        ("E", "k", [30, 42, 40, 59]),
        ("E", "k", [60, 42, 70, 59]),
        ("P", "k", [43, 66, 57, 66, 50, 76]),
    ],
    "snail": [
        ("P", "c", [4, 92, 22, 76, 74, 80, 80, 36, 96, 40, 92, 92]),
        ("P", "c", [82, 40, 76, 18, 82, 18, 88, 36, 96, 18, 100, 22, 94, 44]),
        ("E", "m", [8, 10, 78, 82]),
        ("R", "d", [24, 26, 62, 66, 7]),
    ],
    "butterfly": [
        ("E", "m", [2, 6, 50, 58]),
        ("E", "m", [50, 6, 98, 58]),
        ("E", "d", [10, 48, 48, 94]),
        ("E", "d", [52, 48, 90, 94]),
        ("E", "k", [44, 14, 56, 92]),
    ],
    "balloon": [
        ("P", "k", [48, 76, 52, 76, 56, 100, 51, 100]),
        ("P", "d", [50, 66, 60, 82, 40, 82]),
        ("E", "m", [14, 2, 86, 76]),
        ("E", "w", [30, 14, 44, 32]),
    ],
    "kite": [
        ("P", "k", [48, 70, 52, 70, 66, 98, 60, 100]),
        ("P", "d", [44, 82, 72, 96, 74, 80, 46, 98]),
        ("P", "m", [50, 0, 88, 34, 50, 80, 12, 34]),
        ("P", "l", [50, 0, 50, 34, 12, 34]),
        ("P", "l", [50, 34, 88, 34, 50, 80]),
    ],
    "hat": [
        ("E", "d", [2, 66, 98, 94]),
        ("P", "m", [24, 6, 76, 6, 72, 80, 28, 80]),
        ("P", "k", [27, 60, 73, 60, 72, 76, 28, 76]),
    ],
    "bottle": [
        ("P", "k", [39, 0, 61, 0, 61, 12, 39, 12]),
        ("P", "m", [41, 10, 59, 10, 59, 28, 76, 46, 76, 98, 24, 98, 24, 46, 41, 28]),
        ("P", "w", [24, 60, 76, 60, 76, 80, 24, 80]),
    ],
    "lamp": [
        ("P", "k", [46, 54, 54, 54, 54, 88, 46, 88]),
        ("E", "k", [24, 84, 76, 99]),
        ("P", "m", [32, 4, 68, 4, 96, 58, 4, 58]),
    ],
    "bell": [
        ("E", "k", [38, 74, 62, 98]),
        ("R", "k", [41, 0, 59, 18, 5]),
        ("P", "m", [34, 16, 66, 16, 78, 40, 82, 68, 98, 84, 2, 84, 18, 68, 22, 40]),
        ("P", "d", [6, 76, 94, 76, 98, 84, 2, 84]),
    ],
    "drum": [
        ("E", "m", [4, 60, 96, 98]),
        ("P", "m", [4, 32, 96, 32, 96, 79, 4, 79]),
        ("E", "w", [4, 14, 96, 50]),
        ("P", "b", [30, 34, 78, 2, 84, 8, 36, 40]),
        ("P", "b", [62, 38, 20, 2, 14, 8, 56, 44]),
    ],
    "crown": [
        ("P", "m", [4, 92, 2, 22, 28, 54, 50, 8, 72, 54, 98, 22, 96, 92]),
        ("P", "d", [4, 78, 96, 78, 96, 92, 4, 92]),
        *[("E", "y", [x - 8, y - 8, x + 8, y + 8]) for x, y in [(9, 20), (50, 10), (91, 20)]],
    ],
    "clock": [
        ("E", "m", [2, 2, 98, 98]),
        ("E", "w", [24, 24, 76, 76]),
        ("P", "k", [46, 30, 54, 30, 54, 54, 46, 54]),
        ("P", "k", [46, 47, 70, 47, 70, 54, 46, 54]),
    ],
    "moon": [("P", "m", _crescent())],
    "chair": [
        ("P", "d", [70, 60, 82, 60, 84, 99, 74, 99]),
        ("P", "d", [20, 60, 32, 60, 30, 99, 18, 99]),
        ("P", "m", [16, 2, 36, 2, 36, 56, 16, 56]),
        ("P", "m", [16, 50, 88, 50, 88, 66, 16, 66]),
    ],
    "tent": [
        ("P", "m", [50, 6, 99, 94, 1, 94]),
        ("P", "k", [50, 40, 68, 94, 32, 94]),
    ],
}


def still(scene: Scene) -> np.ndarray:
    """The whole scene as it starts: uint8 [128, 128, 3], RGB."""
    poses = [(thing.x, thing.y, 1.0, 0.0) for thing in scene.things]
    return _draw(scene, poses, (0.0, 0.0, 1.0, 1.0), STILL_SIZE)


def video(scene: Scene) -> np.ndarray:
    """The scene as it plays, a part of it in each frame: uint8 [8, 96, 96, 3], RGB."""
    motion = play(scene)
    frames = []
    for at, scale, angle, viewport in zip(
        motion.centres, motion.scales, motion.angles, motion.viewports, strict=True
    ):
        poses = [(*at[i], scale[i], angle[i]) for i in range(len(scene.things))]
        frames.append(_draw(scene, poses, tuple(viewport.tolist()), FRAME_SIZE))
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
    picture = _backdrop(scene, viewport, SUPERSAMPLE * size)
    for thing, (x, y, scale, degrees) in zip(scene.things, poses, strict=True):
        sprite = _lit(thing.kind, thing.colour, thing.texture, scene.light_from)
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


@lru_cache(maxsize=16)
def _lit(kind: str, colour: str, texture: str, light_from: str) -> tuple[Image.Image, Image.Image]:
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
        "d": _rgb(base * 0.62),
        "l": _rgb(base + (255 - base) * 0.45),
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


def _rgb(values: np.ndarray) -> RGB:
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


def _backdrop(scene: Scene, viewport: Box, size: int) -> Image.Image:
    y0, x0, y1, x1 = viewport
    mirrored = scene.seed // BACKGROUND_VARIANTS % 2 == 1
    if mirrored:
        x0, x1 = 1 - x1, 1 - x0
    whole = _background(scene.background, scene.seed % BACKGROUND_VARIANTS)
    x0, y0, x1, y1 = (BACKGROUND_SIZE * edge for edge in (x0, y0, x1, y1))
    part = whole.resize((size, size), Image.Resampling.BILINEAR, (x0, y0, x1, y1))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else part


@lru_cache(maxsize=64)
def _background(name: str, variant: int) -> Image.Image:
    """RGB, BACKGROUND_SIZE square: 0.4 MB and 10 ms each, so there are few and all are kept."""
    painted = PAINTERS[name](np.random.default_rng([variant, *name.encode()]))
    grey = Image.new("RGB", painted.size, BACKGROUND_GREY)
    return Image.blend(painted, grey, BACKGROUND_FADE)


def _noise(rng: np.random.Generator, across: int, down: int) -> np.ndarray:
    """Smooth noise in [-1, 1], float64 [S, S, 1], with so many cells across and down."""
    cells = Image.fromarray(rng.uniform(-1, 1, (down, across)).astype(np.float32))
    smooth = cells.resize((BACKGROUND_SIZE, BACKGROUND_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(smooth, np.float64)[..., None]


def _picture(colours: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def _ground(rng: np.random.Generator, rgb: RGB, rough: float, cells: int = 96) -> Image.Image:
    fine, wide = _noise(rng, cells, cells), _noise(rng, 5, 5)
    return _picture(np.array(rgb, float) + rough * fine + 0.6 * rough * wide)


def _scatter(
    rng: np.random.Generator,
    picture: Image.Image,
    count: int,
    sizes: tuple[float, float],
    tones: list[RGB],
    flat: float = 1.0,
) -> Image.Image:
    """Ellipses at random places; `flat` is their height to width."""
    draw = ImageDraw.Draw(picture)
    for x, y, share in rng.uniform(0, 1, (count, 3)):
        wide = sizes[0] + (sizes[1] - sizes[0]) * share
        at = BACKGROUND_SIZE * x, BACKGROUND_SIZE * y
        box = [at[0] - wide, at[1] - flat * wide, at[0] + wide, at[1] + flat * wide]
        draw.ellipse(box, fill=tones[int(rng.integers(len(tones)))])
    return picture


def _slabs(
    rng: np.random.Generator, rows: int, columns: int, rgb: RGB, joint: RGB, vary: float
) -> Image.Image:
    """Rows of shifted rectangles: bricks, planks, paving."""
    picture = Image.new("RGB", (BACKGROUND_SIZE, BACKGROUND_SIZE), joint)
    draw = ImageDraw.Draw(picture)
    high, wide = BACKGROUND_SIZE / rows, BACKGROUND_SIZE / columns
    for row in range(rows):
        shift = (row % 2) / 2 + rng.uniform(-0.1, 0.1)
        for column in range(-1, columns + 1):
            tone = np.array(rgb) + vary * rng.uniform(-1, 1) + rng.uniform(-4, 4, 3)
            x, y = (column + shift) * wide, row * high
            draw.rectangle([x + 2, y + 2, x + wide - 2, y + high - 2], fill=_rgb(tone))
    return picture


def _grass(rng: np.random.Generator) -> Image.Image:
    picture = _ground(rng, (138, 178, 92), 14)
    draw = ImageDraw.Draw(picture)
    for x, y, lean in rng.uniform(0, 1, (700, 3)):
        foot = BACKGROUND_SIZE * x, BACKGROUND_SIZE * y
        tip = foot[0] + 10 * (lean - 0.5), foot[1] - 12 - 6 * lean
        draw.line([foot, tip], fill=(96, 142, 60) if lean < 0.6 else (176, 206, 122), width=2)
    return picture


def _sand(rng: np.random.Generator) -> Image.Image:
    y = np.mgrid[:BACKGROUND_SIZE, :BACKGROUND_SIZE][0][..., None] / BACKGROUND_SIZE
    ripples = np.sin(2 * np.pi * (9 * y + 0.7 * _noise(rng, 4, 4)))
    grains = 16 * _noise(rng, 128, 128)
    return _picture(np.array([226.0, 202, 148]) + 10 * ripples + grains)


def _sea(rng: np.random.Generator) -> Image.Image:
    y = np.mgrid[:BACKGROUND_SIZE, :BACKGROUND_SIZE][0][..., None] / BACKGROUND_SIZE
    waves = np.sin(2 * np.pi * (12 * y + 0.8 * _noise(rng, 14, 6)))
    crest = np.clip(waves - 0.6, 0, 1) * 90
    return _picture(np.array([92.0, 164, 192]) + 12 * waves + crest)


def _bricks(rng: np.random.Generator) -> Image.Image:
    return _slabs(rng, 12, 5, (182, 112, 90), (214, 202, 188), 16)


def _wood(rng: np.random.Generator) -> Image.Image:
    planks = np.asarray(_slabs(rng, 7, 2, (204, 160, 106), (112, 76, 42), 14), np.float64)
    return _picture(planks + 12 * _noise(rng, 6, 160))


def _stars(rng: np.random.Generator) -> Image.Image:
    picture = _ground(rng, (38, 42, 92), 10, 8)
    return _scatter(rng, picture, 130, (0.8, 3.4), [(250, 250, 230), (190, 200, 255)])


def _snow(rng: np.random.Generator) -> Image.Image:
    picture = _picture(np.array([226.0, 234, 246]) + 16 * _noise(rng, 6, 9))
    picture = _scatter(rng, picture, 60, (10, 26), [(208, 220, 238), (240, 246, 252)], 0.35)
    return _scatter(rng, picture, 120, (1.5, 3.5), [(255, 255, 255)])


def _paving(rng: np.random.Generator) -> Image.Image:
    slabs = np.asarray(_slabs(rng, 5, 5, (172, 170, 166), (104, 102, 100), 14), np.float64)
    return _picture(slabs + 8 * _noise(rng, 128, 128))


def _tiles(rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:BACKGROUND_SIZE, :BACKGROUND_SIZE] * 8 / BACKGROUND_SIZE
    dark = ((np.floor(x) + np.floor(y)) % 2)[..., None]
    return _picture(np.array([216.0, 228, 226]) - dark * [82, 52, 56] + 5 * _noise(rng, 20, 20))


def _clouds(rng: np.random.Generator) -> Image.Image:
    puffs = np.clip(_noise(rng, 6, 8) + 0.5 * _noise(rng, 14, 18), 0, 0.7) / 0.7
    return _picture(np.array([142.0, 194, 238]) + puffs * [96, 54, 14])


def _leaves(rng: np.random.Generator) -> Image.Image:
    picture = _ground(rng, (160, 118, 74), 10)
    tones: list[RGB] = [(192, 144, 84), (174, 116, 74), (198, 166, 104), (140, 102, 68)]
    return _scatter(rng, picture, 420, (6, 14), tones, 0.6)


def _carpet(rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:BACKGROUND_SIZE, :BACKGROUND_SIZE] * 6 / BACKGROUND_SIZE
    diamond = (np.abs(x % 1 - 0.5) + np.abs(y % 1 - 0.5))[..., None]
    inner, rim = diamond < 0.2, (diamond > 0.38) & (diamond < 0.48)
    colours = np.array([136.0, 78, 100]) + inner * [64, 66, 30] + rim * [44, 44, 40]
    return _picture(colours + 10 * _noise(rng, 128, 128))


def _gravel(rng: np.random.Generator) -> Image.Image:
    picture = _ground(rng, (104, 102, 104), 10)
    tones: list[RGB] = [(138, 136, 136), (158, 154, 148), (120, 122, 128), (178, 174, 166)]
    return _scatter(rng, picture, 1500, (4, 8), tones, 0.8)


def _paper(rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:BACKGROUND_SIZE, :BACKGROUND_SIZE] * 14 / BACKGROUND_SIZE
    line = ((x % 1 < 0.13) | (y % 1 < 0.13))[..., None]
    return _picture(np.array([246.0, 242, 226]) - line * [92, 56, 16] + 3 * _noise(rng, 9, 9))


PAINTERS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "grass": _grass,
    "sand": _sand,
    "sea": _sea,
    "bricks": _bricks,
    "wood": _wood,
    "stars": _stars,
    "snow": _snow,
    "paving": _paving,
    "tiles": _tiles,
    "clouds": _clouds,
    "leaves": _leaves,
    "carpet": _carpet,
    "gravel": _gravel,
    "paper": _paper,
}
