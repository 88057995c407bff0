"""Frames side by side in one picture."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from animclip_jax import files

GAP = 2
# Frames in a row of a sheet; the height of a label, in pixels.
COLUMNS, LABEL = 6, 18


def strip(frames: np.ndarray) -> Image.Image:
    """uint8 [T, H, W, 3] -> one picture, the frames in a row with a thin gap between."""
    gap = np.full((frames.shape[1], GAP, 3), 255, np.uint8)
    columns = [column for frame in frames for column in (gap, frame)][1:]
    return Image.fromarray(np.concatenate(columns, axis=1))


def sheet(frames: np.ndarray) -> Image.Image:
    """uint8 [T, H, W, 3] -> one picture, the frames in rows of COLUMNS."""
    rows = [strip(frames[first : first + COLUMNS]) for first in range(0, len(frames), COLUMNS)]
    return join(rows)


def join(pictures: list[Image.Image], side_by_side: bool = False) -> Image.Image:
    """Pictures one below the other, or side by side, with a thin gap between, on white."""
    widths, heights = zip(*(picture.size for picture in pictures), strict=True)
    gaps = GAP * (len(pictures) - 1)
    size = (
        (sum(widths) + gaps, max(heights)) if side_by_side else (max(widths), sum(heights) + gaps)
    )
    whole, x, y = Image.new("RGB", size, "white"), 0, 0
    for picture in pictures:
        whole.paste(picture, (x, y))
        if side_by_side:
            x += picture.width + GAP
        else:
            y += picture.height + GAP
    return whole


def labelled(picture: Image.Image, label: str) -> Image.Image:
    """The picture with a line of text above it."""
    whole = Image.new("RGB", (picture.width, picture.height + LABEL), "white")
    whole.paste(picture, (0, LABEL))
    font = ImageFont.load_default(LABEL - 6)
    ImageDraw.Draw(whole).text((2, 1), label, "black", font)
    return whole


def grid(clips: dict[str, np.ndarray]) -> np.ndarray:
    """Clips uint8 [T, H, W, 3] by label -> one clip of them all, playing side by side."""
    columns = math.ceil(math.sqrt(len(clips)))
    cells = list(clips.items())
    frames = []
    for t in range(len(cells[0][1])):
        shown = [np.asarray(labelled(Image.fromarray(clip[t]), name)) for name, clip in cells]
        blank = [np.full_like(shown[0], 255)] * (-len(shown) % columns)
        cells_now = np.stack(shown + blank)
        rows = [strip(cells_now[n : n + columns]) for n in range(0, len(cells_now), columns)]
        frames.append(np.asarray(join(rows)))
    return np.stack(frames)


def write_picture(path: Path, picture: Image.Image) -> None:
    """Writes a PNG or JPEG, whole or not at all. Raises files.DiskError."""
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    # Into memory first: Pillow takes no notice of a file that a full disk cuts short.
    encoded = io.BytesIO()
    picture.save(encoded, kind, quality=85)
    files.write_bytes(path, encoded.getvalue())
