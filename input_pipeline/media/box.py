"""Where in a picture that is seen which its captions are of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# What metadata call it.
NAME = "box"


def checked(found: Any) -> list[float]:
    """[y0, x0, y1, x1], fractions of the height and width of the picture as it is shown.

    Raises ValueError for what is none.
    """
    if is_one(found):
        return [float(end) for end in found]
    raise ValueError(
        f'"{NAME}" {found!r:.80}, wanted [top, left, bottom, right] as fractions of the height and '
        "width, 0 <= top < bottom <= 1 and 0 <= left < right <= 1"
    )


def is_one(found: Any) -> bool:
    """Whether it is what `checked` takes."""
    if not (isinstance(found, list) and len(found) == 4 and all(map(_is_number, found))):
        return False
    y0, x0, y1, x1 = found
    return 0 <= y0 < y1 <= 1 and 0 <= x0 < x1 <= 1


def table(boxes: Iterable[Sequence[float] | None]) -> np.ndarray:
    """float32 [N, 4], NaN where there is none."""
    rows = [box or [math.nan] * 4 for box in boxes]
    return np.array(rows, np.float32).reshape(-1, 4)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
