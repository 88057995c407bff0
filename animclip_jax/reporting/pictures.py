"""The pictures of a report: cut, made small enough for one page, as data URIs."""

import base64
import io
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from animclip_jax import words
from animclip_jax.animation.contact_sheet import GAP

# Side of a frame in pixels and JPEG quality, tried in this order until all pictures fit.
LADDER = ((112, 80), (96, 75), (80, 70), (64, 65), (48, 60), (36, 50), (24, 40))
BUDGET = 3_400_000  # bytes of base64, of the 4 MB that a page may have
_BETWEEN = (128, 128, 128)  # visible on a light page and on a dark one


class Wanted(NamedTuple):
    """A picture for the page; a strip's frames in a sheet about `aspect` times as wide as high.

    frames, side: how many frames a strip has, and how high they are; 0 for any other picture.
    """

    path: Path
    frames: int = 0
    side: int = 0
    aspect: float = 0.0


class Picture(NamedTuple):
    """A picture in the page; width and height in pixels."""

    uri: str
    width: int
    height: int


def inside(directory: Path, name: str) -> Path:
    """The path of a file that a listing names.

    Raises:
      ValueError: it is outside of `directory`.
    """
    path = directory / name
    # Unlike Path.resolve, realpath bears links that lead to themselves.
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise ValueError(f"{directory}: found the file name {name!r}, wanted one in this folder")
    return path


def embed(wanted: Iterable[Wanted]) -> dict[Wanted, Picture]:
    """The pictures, all as large as fits into BUDGET together.

    Args:
      wanted: as often as the page shows it, since it holds a copy for each.

    Raises:
      ValueError: a file is missing or no picture, or a strip has not the frames that are wanted.
    """
    uses = Counter(wanted)
    opened = {one: _open(one) for one in uses}
    for side, quality in LADDER:
        pictures = {
            one: _encode(_arrange(image, one, side), quality) for one, image in opened.items()
        }
        if sum(len(picture.uri) * uses[one] for one, picture in pictures.items()) <= BUDGET:
            break
    return pictures


def _open(wanted: Wanted) -> Image.Image:
    path, frames, side = wanted[:3]
    try:
        with Image.open(path) as image:
            if frames:
                size = [frames * (side + GAP) - GAP, side]
                if type(frames) is not int or type(side) is not int or size != [*image.size]:
                    found = f"{image.width} x {image.height} pixels"
                    raise ValueError(
                        f"{found}, wanted {words.count(frames, 'frame')} of {side} pixels"
                    )
            return image.convert("RGB")
    # Of a broken PNG Pillow says SyntaxError; of one that claims to be huge, an error of its own.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} is not a readable picture ({error}): evaluate the run again"
        ) from None


def _arrange(image: Image.Image, wanted: Wanted, side: int) -> Image.Image:
    """Frames of at most `side` pixels in rows; a picture that is no strip just smaller."""
    if not wanted.frames:
        scale = min(1.0, 2 * side / image.height, 8 * side / image.width)
        return image.resize(
            [max(1, round(n * scale)) for n in image.size], Image.Resampling.LANCZOS
        )
    count = wanted.frames
    near = max(1, round((count * wanted.aspect) ** 0.5))
    # A neighbouring number where it leaves fewer empty places in the last row.
    columns = min((near, near + 1, max(1, near - 1)), key=lambda number: -count % number)
    columns = min(columns, count)
    side = min(side, wanted.side)
    step = side + GAP
    size = (columns * step - GAP, -(-count // columns) * step - GAP)
    sheet = Image.new("RGB", size, _BETWEEN)
    for number in range(count):
        left = number * (wanted.side + GAP)
        frame = image.crop((left, 0, left + wanted.side, wanted.side))
        row, column = divmod(number, columns)
        sheet.paste(
            frame.resize((side, side), Image.Resampling.LANCZOS), (column * step, row * step)
        )
    return sheet


def _encode(image: Image.Image, quality: int) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    code = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/jpeg;base64,{code}", *image.size)
