"""A few seconds of any video as one picture: frames side by side, to go through with a pointer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image

from input_pipeline.media import preview
from input_pipeline.media.clip import ROUNDED, WAYS, Clip, Shown, Sound, decoding
from input_pipeline.media.container import Film
from input_pipeline.media.preview import MAX_SECONDS
from input_pipeline.media.video import rgb, square, upright

# Of a strip: how many frames, and the pixels of each, in which it stands whole on black.
FRAMES, WIDTH, HEIGHT = 16, 320, 180
QUALITY = 70
# As of a preview.
VERSION = 1


class Strip(NamedTuple):
    """What to show: a file, and seconds on a player's clock."""

    path: Path
    start: float
    end: float


def make(wanted: Clip | Strip) -> bytes:
    """A preview of a clip, or a strip. Raises as either."""
    return strip(Clip(*wanted)) if isinstance(wanted, Strip) else preview.make(wanted)


def strip(clip: Clip) -> bytes:
    """A JPEG [HEIGHT, FRAMES * WIDTH]: what is on screen in the middle of each of FRAMES parts.

    The clip is as long as a preview of it. Two frames are in memory at a time.

    Raises:
      FileNotFoundError: there is no such file. ValueError: it can't be read, or shows nothing then.
    """
    end = min(clip.end, clip.start + MAX_SECONDS)
    part = (end - clip.start) / FRAMES
    times = [clip.start + (number + 0.5) * part for number in range(FRAMES)]
    for read in WAYS:
        with decoding(clip) as film:
            silence = Sound(film, clip, listens=False)
            cells = _cells(read(film, silence, clip), film, times)
        if cells:
            return _joined(cells)
    raise ValueError(f"{clip.path}: no frame at {clip.start:g} seconds")


def _cells(shown: Shown, film: Film, times: list[float]) -> list[Image.Image]:
    """What is on screen at each of the times; nothing where no frame is found."""
    cells: list[Image.Image] = []
    held: av.VideoFrame | None = None
    mark: av.VideoFrame | None = None  # The first one, which says how all are turned.
    for time, frame in shown:
        if held is not None and mark is not None:
            due = sum(one < time - ROUNDED for one in times[len(cells) :])
            cells += [_cell(held, mark, film)] * due if due else []
        if len(cells) == len(times):
            return cells
        held, mark = frame, mark or frame
    if held is not None and mark is not None:
        cells += [_cell(held, mark, film)] * (len(times) - len(cells))
    return cells


def _cell(frame: av.VideoFrame, mark: av.VideoFrame, film: Film) -> Image.Image:
    """A frame, upright and whole, on black."""
    width, height = square(frame, film)
    # Without pixels, which says how large it is when it is upright.
    across, down = upright(np.empty((height, width, 0)), mark).shape[1::-1]
    shrink = min(WIDTH / across, HEIGHT / down)
    size = {"width": max(2, round(width * shrink)), "height": max(2, round(height * shrink))}
    picture = Image.fromarray(np.ascontiguousarray(upright(rgb(frame, **size), mark)))
    cell = Image.new("RGB", (WIDTH, HEIGHT))
    cell.paste(picture, ((WIDTH - picture.width) // 2, (HEIGHT - picture.height) // 2))
    return cell


def _joined(cells: list[Image.Image]) -> bytes:
    whole = Image.new("RGB", (WIDTH * len(cells), HEIGHT))
    for number, cell in enumerate(cells):
        whole.paste(cell, (number * WIDTH, 0))
    data = io.BytesIO()
    whole.save(data, "JPEG", quality=QUALITY)
    return data.getvalue()
