"""A picture that somebody searches with -> pixels, whatever the bytes are."""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image

from input_pipeline.media.picture import check_size, opened, reason, shown

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 50_000_000


def read_picture(data: bytes) -> np.ndarray:
    """Decodes a picture, upright and on white: uint8 [H, W, 3], RGB; of an animation frame 1.

    Raises ValueError where it is none of FORMATS, broken, larger than MAX_PIXELS, or a strip.
    """
    try:
        with warnings.catch_warnings():
            # Of Pillow's own limit, which is higher, and of odd metadata.
            warnings.simplefilter("ignore")
            image = opened(data, FORMATS)
            check_size(image, MAX_PIXELS)
            return shown(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        wanted = ", ".join(FORMATS)
        raise ValueError(f"can't be read as a picture ({wanted}): {reason(error)}") from error
