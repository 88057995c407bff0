"""One encoded picture, by Pillow alone: its header, whether it can be used, its pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# What TensorFlow decodes, by Pillow's names (MPO: a JPEG with further pictures behind it).
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP")
# More would take gigabytes to decode.
MAX_PIXELS = 89_000_000
# Length of a side over the other: training and search look at a square of it.
MAX_ASPECT = 100
# More than that many pixels take; a longer file is not read.
MAX_BYTES = 3 * MAX_PIXELS

_ORIENTATION = 0x0112  # EXIF's tag


class Header(NamedTuple):
    """(height, width) in pixels as the picture is shown, and how it is stored: EXIF's 1 to 8."""

    height: int
    width: int
    orientation: int


def check_length(length: int) -> None:
    """Raises ValueError where an encoded picture has too many bytes to be read."""
    if length > MAX_BYTES:
        raise ValueError(f"{length} bytes, wanted {MAX_BYTES} at most")


def check_size(image: Image.Image, max_pixels: int) -> None:
    """Raises ValueError where an opened picture is too large, or too long for its width."""
    width, height = image.size
    if width * height > max_pixels:
        raise ValueError(f"{width} x {height} pixels, wanted {max_pixels} at most")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(
            f"{width} x {height} pixels, wanted no side over {MAX_ASPECT} times the other"
        )


def read_header(file: Path | io.BytesIO) -> Header:
    """Reads what comes before the pixels.

    Raises ValueError saying why the picture can't be used: of a format that is not one of FORMATS,
    too large, or no picture at all.
    """
    try:
        with Image.open(file) as image:
            return _header(image)
    except Exception as error:  # Whatever a broken file causes, it is that file's fault.
        raise _unusable(error) from error


def check(file: Path | io.BytesIO) -> Header:
    """As read_header, and reads the picture to its end: what is cut short is refused too."""
    try:
        with Image.open(file) as image:
            header = _header(image)
            # A JPEG at an eighth of its size: all of its bytes are read, at half the cost.
            image.draft("RGB", (1, 1))
            image.load()
            return header
    except Exception as error:
        raise _unusable(error) from error


def pixels(encoded: bytes) -> np.ndarray:
    """The picture as it is shown, uint8 [H, W, 3]. Raises ValueError as `check` does."""
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            _header(image)
            image.load()
            return np.asarray(ImageOps.exif_transpose(to_rgb(image)))
    except Exception as error:
        raise _unusable(error) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB of any picture, without its alpha; of 16 bits the upper eight, as TensorFlow does."""
    if image.mode.startswith("I"):
        grey = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
        grey.info = image.info
        return grey.convert("RGB")
    return image.convert("RGB")


def _header(image: Image.Image) -> Header:
    if image.format not in FORMATS:
        raise ValueError(f"a {image.format} picture, wanted {', '.join(FORMATS)}")
    check_size(image, MAX_PIXELS)
    width, height = image.size
    orientation = image.getexif().get(_ORIENTATION, 1)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    if orientation >= 5:
        width, height = height, width
    return Header(height, width, orientation)


def reason(error: Exception) -> str:
    """What Pillow's error says, without the address in memory that it gives for encoded bytes."""
    if isinstance(error, UnidentifiedImageError):
        return "cannot identify it as a picture"
    return str(error)


def _unusable(error: Exception) -> ValueError:
    if isinstance(error, ValueError) and ", wanted " in str(error):
        return error
    return ValueError(f"can't be decoded: {reason(error)}")
