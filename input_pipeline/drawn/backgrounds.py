"""Backgrounds, painted once each and seen through the viewport."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from input_pipeline.drawn.sprites import RGB, to_rgb
from input_pipeline.drawn.things import Box, Scene

BACKGROUND_SIZE = 384  # pixels of a background: a frame of half the scene, supersampled
BACKGROUND_FADE = 0.6  # how far backgrounds go towards grey, so that they don't drown the things
BACKGROUND_GREY = (200, 200, 196)
BACKGROUND_VARIANTS = 4  # of each background, each also mirrored


def backdrop(scene: Scene, viewport: Box, size: int) -> Image.Image:
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
            draw.rectangle([x + 2, y + 2, x + wide - 2, y + high - 2], fill=to_rgb(tone))
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
