"""A video of any length -> segments a model can take: cut at shot changes and at fixed lengths.

Our design. A frame is looked at a few times a second; where its colours are mostly other ones than
a moment before, a shot ends. A shot longer than a window is divided into windows.
"""

from __future__ import annotations

import bisect
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animclip_jax import files
from input_pipeline.media.picture import thumbnail
from input_pipeline.media.segment_settings import SHORTEST, SegmentSettings
from input_pipeline.media.timing import Timing, positions
from input_pipeline.media.video import SHORT_SIDE, read_parts

# Frames are looked at that often, or oftener where a segment's frames ask for it.
SECONDS_BETWEEN = 0.25
# Share of a picture's pixels that have other colours than a moment before. On real clips this finds
# nine of ten cuts; where it takes motion for one, two segments come of a shot.
CUT = 0.4
# Pixels of a side of the picture that colours are counted in, and shades of a colour.
LOOKED_AT, SHADES = 64, 4


class Segment(NamedTuple):
    """A part of a video, and its middle frame as JPEG.

    start, end: seconds on a player's clock, which need not begin at 0 with the first frame. said:
    what its subtitles say then.
    """

    start: float
    end: float
    thumbnail: bytes
    said: str = ""


class Piece(NamedTuple):
    """A segment in parts of the video, and its pictures, one a part."""

    first: int
    pictures: list[np.ndarray]


def read_segments(task: tuple[Path, Path], settings: SegmentSettings) -> list[Segment]:
    """Reads a video in bounded memory, whatever its length.

    Args:
      task: the video, and the file to write the segments' frames to, one after the other, each
        uint8 [T, image_size, image_size, 3] as the model takes them. Those of a video
        without a cut and no longer than a window are the frames that `read_frames` gives.
    Raises:
      FileNotFoundError, ValueError: as `video.read_frames`. files.DiskError: no room for frames.
    """
    path, spool = task
    segments: list[Segment] = []
    for timing, wanted, pictures in read_parts(path, lambda one: _parts(one, settings), SHORT_SIDE):
        segments.clear()
        with files.writing(spool), spool.open("wb") as file:
            for first, shown in _pieces(pictures, wanted, timing, settings):
                chosen = positions(settings.num_frames, len(shown)).tolist()
                fitted = {n: settings.fitted(shown[n]) for n in set(chosen)}
                for n in chosen:
                    file.write(fitted[n].tobytes())
                start, end = _span(first, first + len(shown), wanted, timing)
                segments.append(Segment(start, end, thumbnail(shown[len(shown) // 2])))
    return segments


def _span(first: int, end: int, wanted: list[int], timing: Timing) -> tuple[float, float]:
    """When a player shows the parts from `first` on and before `end`, in seconds."""
    seconds = timing.seconds / len(wanted)  # of a part
    start = timing.shown(first * seconds, wanted[first])
    return start, timing.shown(end * seconds, wanted[end - 1])


def frames_of(spool: str | os.PathLike[str], settings: SegmentSettings) -> np.ndarray:
    """What `read_segments` wrote: uint8 [segments, T, H, W, 3], memory-mapped."""
    frames = np.memmap(spool, np.uint8, "r")
    size = settings.image_size
    return frames.reshape(-1, settings.num_frames, size, size, 3)


def _parts_a_window(seconds: float, settings: SegmentSettings) -> int:
    """Parts of such a window: an odd multiple of T, so that the middles of T are among theirs."""
    multiple = math.ceil(seconds / SECONDS_BETWEEN / settings.num_frames)
    return settings.num_frames * (multiple + 1 - multiple % 2)


def _windows(timing: Timing, settings: SegmentSettings) -> int:
    """Equal windows that the whole video makes; each needs a frame, whatever a header claims."""
    return max(1, min(math.ceil(timing.seconds / settings.window - 1e-6), len(timing.times)))


def _parts(timing: Timing, settings: SegmentSettings) -> int:
    windows = _windows(timing, settings)
    return windows * _parts_a_window(min(timing.seconds / windows, settings.window), settings)


def _pieces(
    pictures: Iterator[np.ndarray], wanted: list[int], timing: Timing, settings: SegmentSettings
) -> Iterator[Piece]:
    parts = len(wanted)
    breaks = [bisect.bisect_left(wanted, frame) for frame, _ in timing.breaks]
    longest = parts // _windows(timing, settings)
    shortest = max(1, math.ceil(SHORTEST * parts / timing.seconds))
    held: list[np.ndarray] = []
    before = None
    first = 0
    for number, picture in enumerate(pictures):
        colours = _colours(picture) if settings.shots else None
        is_cut = before is not None and colours is not None and _differ(before, colours) > CUT
        before = colours
        is_cut = is_cut and len(held) >= shortest and parts - number >= shortest
        # However short it is: a segment across a break would stand still for most of its time.
        if held and (is_cut or number in breaks):
            yield Piece(first, held)
            first, held = number, []
        elif len(held) == longest + shortest:
            # Only now, so that no shot ends in a segment of a few frames.
            yield Piece(first, held[:longest])
            first, held = first + longest, held[longest:]
        held.append(picture)
    if held:
        yield Piece(first, held)


def _colours(picture: np.ndarray) -> np.ndarray:
    """Shares of the picture that each colour has, float64 [SHADES ** 3]."""
    height, width = picture.shape[:2]
    small = picture[:: max(1, height // LOOKED_AT), :: max(1, width // LOOKED_AT)]
    red, green, blue = np.moveaxis(small // (256 // SHADES), -1, 0).astype(np.int64)
    colour = (red * SHADES + green) * SHADES + blue
    return np.bincount(colour.ravel(), minlength=SHADES**3) / colour.size


def _differ(before: np.ndarray, after: np.ndarray) -> float:
    """The share of the picture whose colours are other ones, 0 to 1."""
    return float(np.abs(before - after).sum() / 2)
