"""The camera's windows drawn on the picture that it films."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from animclip_jax.animation.plan import ShotPlan

OUTLINE = 2  # pixels


def corners(windows: ShotPlan) -> np.ndarray:
    """Of windows [V] in pixels: float [V, 4, 2], (x, y) around the window."""
    y0, x0, y1, x1 = np.moveaxis(np.asarray(windows.boxes, float), -1, 0)
    down, right = np.moveaxis(np.asarray(windows.shear, float), -1, 0)
    y, x, height, width = (y0 + y1) / 2, (x0 + x1) / 2, y1 - y0, x1 - x0
    around = [(-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5)]
    points = [(x + width * u + right * v, y + height * v + down * u) for v, u in around]
    return np.moveaxis(np.array(points), -1, 0)


def draw_path(
    pictures: Sequence[np.ndarray],
    windows: ShotPlan,
    picture: np.ndarray,
    height: int,
    now: int | None = None,
) -> Image.Image:
    """The pictures side by side with the windows of one clip's frames on them, blue to red in time.

    Args:
      pictures: uint8 [H, W, 3] each. windows: in their pixels. picture: int [V], which is seen.
      height: of what is drawn, in pixels.
      now: a frame whose windows alone are drawn boldly, with those a transition lays over it; None
        draws the windows of all frames alike.
    """
    num_frames, outline = len(windows.gain), corners(windows)
    drawn = []
    for number, pixels in enumerate(pictures):
        scale = height / pixels.shape[0]
        size = (max(1, round(pixels.shape[1] * scale)), height)
        drawing = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
        if now is not None:
            drawing = drawing.point(lambda level: level // 2 + 60)
        pen = ImageDraw.Draw(drawing)
        for n in np.flatnonzero(picture == number):
            frame = n if n < num_frames else int(windows.at[n - num_frames])
            if frame < num_frames and (n < num_frames or frame == now):
                bold = OUTLINE if now in (None, frame) else 1
                share = frame / max(num_frames - 1, 1)
                colour = (round(255 * share), 80, round(255 * (1 - share)))
                points = [tuple(point) for point in outline[n] * scale]
                if now is None or frame == now:
                    pen.line([*points, points[0], points[1]], colour, bold, joint="curve")
                else:
                    pen.line([*points, points[0]], colour, bold)
        drawn.append(drawing)
    whole = Image.new("RGB", (sum(part.width for part in drawn), height), "white")
    x = 0
    for part in drawn:
        whole.paste(part, (x, 0))
        x += part.width
    return whole
