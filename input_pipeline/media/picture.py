"""One picture, by Pillow alone: its header, whether it can be used, its pixels, CLIP's size."""

from __future__ import annotations

import datetime
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import GifImagePlugin, Image, ImageOps, UnidentifiedImageError


class Limits(NamedTuple):
    """Which pictures are read.

    formats: by Pillow's names (MPO: a JPEG with further pictures behind it). max_pixels: of all.
    names_others: whether a picture of another format is opened as far as to name that; else no
    code of another format sees the bytes.
    """

    formats: tuple[str, ...]
    max_pixels: int
    names_others: bool


# To train and evaluate on: what TensorFlow decodes, too. More pixels would take gigabytes.
SOURCE = Limits(("JPEG", "MPO", "PNG", "GIF", "WEBP"), 89_000_000, names_others=True)
# What is taken for a picture by its name; a .gif is a video.
SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp"))
# To search with, from anyone.
QUERY = Limits(("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP"), 50_000_000, names_others=False)
# Photos beside videos in an index.
PHOTO = Limits(QUERY.formats, SOURCE.max_pixels, names_others=False)
# Of a picture that is shown small: its longer side at most, and its quality as a JPEG.
THUMBNAIL, QUALITY = 320, 80
# Length of a side over the other: training and search look at a square of it.
MAX_ASPECT = 100
# More than the most pixels take; a longer file is not read.
MAX_BYTES = 3 * SOURCE.max_pixels

# Pixels of the short side of a video's frames, as stores keep them and smaller models see them.
SHORT_SIDE = 256
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
# Pillow's names of grey PNGs of 2 and 4 bits, whose levels it spreads over 0 to 255, but not the
# level that means transparent.
_GREY_LEVELS = {"L;2": 85, "L;4": 17}
# EXIF's tags, and the part in which the date of a photo and the clock's offset stand.
_ORIENTATION, _EXIF, _TAKEN, _OFFSET = 0x0112, 0x8769, 0x9003, 0x9011


class Header(NamedTuple):
    """(height, width) in pixels as the picture is shown, and how it is stored: EXIF's 1 to 8."""

    height: int
    width: int
    orientation: int


def check_length(length: int) -> None:
    """Raises ValueError where an encoded picture has too many bytes to be read."""
    if length > MAX_BYTES:
        raise ValueError(f"{length} bytes, wanted {MAX_BYTES} at most")


def read_header(file: Path | io.BytesIO, limits: Limits = SOURCE) -> Header:
    """Reads what comes before the pixels.

    Raises ValueError saying why the picture can't be used: its format or size is not within the
    limits, or it is no picture at all.
    """
    try:
        with _opened(file, limits) as image:
            return _header(image, limits)
    except Exception as error:  # Whatever a broken file causes, it is that file's fault.
        raise _unusable(error, limits) from error


def check(file: Path | io.BytesIO, limits: Limits = SOURCE) -> Header:
    """As read_header, and reads the picture to its end: what is cut short is refused too."""
    try:
        with _opened(file, limits) as image:
            header = _header(image, limits)
            # A JPEG at an eighth of its size: all of its bytes are read, at half the cost.
            image.draft("RGB", (1, 1))
            image.load()
            return header
    except Exception as error:
        raise _unusable(error, limits) from error


def pixels(encoded: bytes, limits: Limits = SOURCE) -> np.ndarray:
    """The picture as it is shown, upright and on a white ground: uint8 [H, W, 3].

    Of an animation that is the first frame. Raises ValueError as `check` does.
    """
    try:
        with _opened(io.BytesIO(encoded), limits) as image:
            _header(image, limits)
            image.load()
            return np.asarray(ImageOps.exif_transpose(on_white(image)))
    except Exception as error:
        raise _unusable(error, limits) from error


def read(path: Path, limits: Limits = SOURCE) -> np.ndarray:
    """As `pixels`, of a file. Raises FileNotFoundError, and ValueError that names the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        check_length(path.stat().st_size)
        return pixels(path.read_bytes(), limits)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def taken(path: Path) -> float | None:
    """When a photo was taken, in seconds since 1970; None where it does not say.

    A camera that says no time zone is taken to have been in this machine's.
    """
    try:
        with _opened(path, PHOTO) as image:
            told = image.getexif().get_ifd(_EXIF)
        when, offset = str(told.get(_TAKEN, "")), str(told.get(_OFFSET, ""))
        form = "%Y:%m:%d %H:%M:%S%z" if offset else "%Y:%m:%d %H:%M:%S"
        return datetime.datetime.strptime(f"{when}{offset}", form).timestamp()
    except Exception:  # Whatever a broken note causes, the photo is there.
        return None


def thumbnail(picture: np.ndarray) -> bytes:
    """A picture uint8 [H, W, 3] made small, as JPEG."""
    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def short_side(image_size: int) -> int:
    """Pixels of the short side of a video's frames for a model that sees so many: not fewer."""
    return max(SHORT_SIDE, image_size)


def fit(
    picture: np.ndarray,
    size: int,
    resize: str = "shortest",
    interpolation: str = "bicubic",
    antialias: bool = True,
) -> np.ndarray:
    """A picture as a model takes it; by default OpenAI CLIP's preprocessing.

    With resize="shortest" the short side becomes `size` pixels, and the centre is cropped. Only
    what the crop shows is resized, so that a long thin picture takes no memory. The whole picture
    resized, across and then down, and cropped gives the same, except that one value in a thousand
    may be rounded to the next grey level. (Pillow 13 resizes a picture over twice as tall as wide
    down first, which differs by 1 to 3 grey levels where there is fine detail.)

    Args:
      picture: uint8 [H, W, 3], RGB. resize: shortest, or squash: both sides become `size` pixels.
      interpolation: bicubic or bilinear. antialias: False, for a squashed bilinear picture alone:
      each pixel is made of the four nearest ones, as TensorFlow's resize does, and its fraction
      cut.

    Returns:
      uint8 [size, size, 3].
    """
    resample = _FILTERS[interpolation]
    if not antialias:
        height, width = picture.shape[:2]
        window = (width / size, 0, 0, 0, height / size, 0)
        transformed = Image.fromarray(picture).transform(
            (size, size), Image.Transform.AFFINE, window, resample
        )
        return np.asarray(transformed)
    if resize == "squash":
        return np.asarray(Image.fromarray(picture).resize((size, size), resample))
    height, width = picture.shape[:2]
    short = min(height, width)
    rows, columns = _centre(height, short, size), _centre(width, short, size)
    image = Image.fromarray(picture[rows.first : rows.last, columns.first : columns.last])
    box = (columns.start, rows.start, columns.stop, rows.stop)
    return np.asarray(image.resize((size, size), resample, box))


class _Part(NamedTuple):
    """Of one side of a picture: the pixels that a filter reads, and in these what it shows."""

    first: int
    last: int
    start: float
    stop: float


def _centre(length: int, short: int, size: int) -> _Part:
    """What a centre crop of `size` pixels shows of a side, once `short` pixels have that size."""
    resized = int(size * length / short)
    left_out = round((resized - size) / 2.0)
    scale = length / resized
    start, stop = left_out * scale, (left_out + size) * scale
    # The bicubic filter reaches two pixels of the coarser grid to each side.
    reach = math.ceil(2 * max(scale, 1.0)) + 1
    first = max(math.floor(start) - reach, 0)
    last = min(math.ceil(stop) + reach, length)
    return _Part(first, last, start - first, min(stop, length) - first)


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


def _opened(file: Path | io.BytesIO, limits: Limits) -> Image.Image:
    """The picture, not decoded yet."""
    # Pillow opens an MPO as a JPEG.
    formats = None if limits.names_others else [one for one in limits.formats if one != "MPO"]
    image = Image.open(file, formats=formats)
    if image.format == "PNG" and "transparency" in image.info:
        image.info["transparency"] *= _GREY_LEVELS.get(str(image.tile[0].args), 1)
    return image


def _header(image: Image.Image, limits: Limits) -> Header:
    if image.format not in limits.formats:
        raise ValueError(f"a {image.format} picture, wanted {', '.join(limits.formats)}")
    width, height = image.size
    if width * height > limits.max_pixels:
        raise ValueError(f"{width} x {height} pixels, wanted {limits.max_pixels} at most")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(
            f"{width} x {height} pixels, wanted no side over {MAX_ASPECT} times the other"
        )
    orientation = image.getexif().get(_ORIENTATION, 1)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    if orientation >= 5:
        width, height = height, width
    return Header(height, width, orientation)


def _unusable(error: Exception, limits: Limits) -> ValueError:
    if isinstance(error, ValueError) and ", wanted " in str(error):
        return error
    if isinstance(error, UnidentifiedImageError):
        # Without the address in memory that Pillow gives for encoded bytes.
        wanted = ", ".join(limits.formats)
        return ValueError(f"can't be decoded: cannot identify it as a picture, wanted {wanted}")
    return ValueError(f"can't be decoded: {error}")
