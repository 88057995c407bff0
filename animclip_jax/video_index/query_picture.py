"""A picture that somebody searches with -> pixels, whatever the bytes are."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from input_pipeline.picture import check_size, reason

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 50_000_000


def read_picture(data: bytes) -> np.ndarray:
    """Decodes a picture, upright: uint8 [H, W, 3], RGB; of an animation the first frame.

    Raises ValueError where it is none of FORMATS, broken, larger than MAX_PIXELS, or a strip.
    """
    try:
        with warnings.catch_warnings():
            # Of Pillow's own limit, which is higher, and of odd metadata.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            check_size(image, MAX_PIXELS)
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        wanted = ", ".join(FORMATS)
        raise ValueError(f"can't be read as a picture ({wanted}): {reason(error)}") from error
