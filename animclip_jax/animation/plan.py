"""What a ShotPlan is: how one picture is filmed, as a few small arrays."""

from typing import Any, NamedTuple


class ShotPlan(NamedTuple):
    """The windows through which a canvas is seen, one a frame.

    The director (`input_pipeline/director.py`) writes it, the renderer (`render.py`) reads it. A
    NamedTuple, so that tf.data and JAX both carry it as a structure of arrays.

    Attributes:
      boxes: float32 [..., T, 4], (y0, x0, y1, x1) as fractions of the canvas, y down and x right,
        0 <= y0 < y1 <= 1 and 0 <= x0 < x1 <= 1. The window is stretched over the whole frame.
    """

    boxes: Any
