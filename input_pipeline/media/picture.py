"""One encoded picture, by Pillow alone: its header, whether it can be used, its pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import GifImagePlugin, Image, ImageOps, UnidentifiedImageError

# What TensorFlow decodes, by Pillow's names (MPO: a JPEG with further pictures behind it).
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP")
# More would take gigabytes to decode.
MAX_PIXELS = 89_000_000
# Length of a side over the other: training and search look at a square of it.
MAX_ASPECT = 100
# More than that many pixels take; a longer file is not read.
MAX_BYTES = 3 * MAX_PIXELS

# Pillow's names of grey PNGs of 2 and 4 bits, whose levels it spreads over 0 to 255, but not the
# level that means transparent.
_GREY_LEVELS = {"L;2": 85, "L;4": 17}
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
        with opened(encoded) as image:
            _header(image)
            return shown(image)
    except Exception as error:
        raise _unusable(error) from error


def read(path: Path) -> np.ndarray:
    """As `pixels`, of a file. Raises FileNotFoundError, and ValueError that names the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return pixels(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def opened(encoded: bytes, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The picture, not decoded yet, of any format or of those by Pillow's names."""
    image = Image.open(io.BytesIO(encoded), formats=formats)
    if image.format == "PNG" and "transparency" in image.info:
        image.info["transparency"] *= _GREY_LEVELS.get(str(image.tile[0].args), 1)
    return image


def shown(image: Image.Image) -> np.ndarray:
    """An opened picture's pixels as it is shown, upright and on a white ground: uint8 [H, W, 3]."""
    image.load()
    return np.asarray(ImageOps.exif_transpose(on_white(image)))


def on_white(image: Image.Image) -> Image.Image:
    """RGB of a loaded picture, on a white ground where it is transparent.

    Of 16 bits the upper eight are taken, as TensorFlow does.
    """
    info = image.info
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(clear, mask=clear)
    elif isinstance(image, GifImagePlugin.GifImageFile):
        # A first frame that is smaller than the picture.
        frame = image.convert("RGB").crop(image.dispose_extent)
        whole = Image.new("RGB", image.size, "white")
        whole.paste(frame, image.dispose_extent)
        image = whole
    else:
        image = image.convert("RGB")
    image.info = info
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    levels = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray((levels >> 8).astype(np.uint8))
    if "transparency" not in image.info:
        return grey
    alpha = np.where(levels == image.info["transparency"], np.uint8(0), np.uint8(255))
    return Image.merge("LA", (grey, Image.fromarray(alpha)))


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
