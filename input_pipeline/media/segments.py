"""A video of any length -> segments a model can take: its shots, the long ones in windows."""

from __future__ import annotations

import bisect
import itertools
import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animclip_jax import files
from input_pipeline.media.picture import short_side, thumbnail
from input_pipeline.media.segment_settings import SHORTEST, SegmentSettings
from input_pipeline.media.shots import Shots
from input_pipeline.media.timing import Timing, positions
from input_pipeline.media.video import Reading, read_parts

# Of a segment's pictures, at most; less where its frames ask for it.
SECONDS_BETWEEN = 0.25


class Segment(NamedTuple):
    """A part of a video, and its middle frame as JPEG.

    start, end: seconds on a player's clock, which need not begin at 0 with the first frame. said:
    what its subtitles say then. continues: whether it goes on with the shot of the segment before,
    which was too long for one.
    """

    start: float
    end: float
    thumbnail: bytes
    said: str = ""
    continues: bool = False


class Edge(NamedTuple):
    """Where a piece begins or ends: seconds of the film, and the frame that is shown there."""

    seconds: float
    frame: int


class Piece(NamedTuple):
    """A segment in seconds of a player's clock, and its pictures, one a part of the video.

    continues: whether it begins where nothing changes.
    """

    start: float
    end: float
    pictures: list[np.ndarray]
    continues: bool


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
    side = short_side(settings.image_size)
    for timing, wanted, read in read_parts(path, lambda one: _parts(one, settings), side):
        segments.clear()
        parts = _with_changes(read, wanted, timing) if settings.shots else _alone(read)
        with files.writing(spool), spool.open("wb") as file:
            for start, end, shown, continues in _pieces(parts, wanted, timing, settings):
                chosen = positions(settings.num_frames, len(shown)).tolist()
                fitted = {n: settings.fitted(shown[n]) for n in set(chosen)}
                for n in chosen:
                    file.write(fitted[n].tobytes())
                middle = thumbnail(shown[len(shown) // 2])
                # Without shots nothing is known of what changes.
                goes_on = continues and settings.shots
                segments.append(Segment(start, end, middle, continues=goes_on))
    return segments


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


def _alone(read: Reading) -> Iterator[tuple[np.ndarray, None]]:
    for picture in read(None):
        yield picture, None


def _with_changes(
    read: Reading, wanted: list[int], timing: Timing
) -> Iterator[tuple[np.ndarray, int | None]]:
    """Each part's picture, and the frame that begins its shot where that is a new one.

    A picture waits until it is known, for a few seconds of the film.
    """
    shots = Shots(len(timing.times) / timing.seconds)
    waiting: deque[np.ndarray] = deque()
    number = 0
    for picture in itertools.chain(read(shots.look), [None]):
        if picture is None:
            shots.finish()
        else:
            waiting.append(picture)
        while waiting and wanted[number] < shots.settled:
            yield waiting.popleft(), _last_between(wanted, number, shots.changes)
            number += 1


def _last_between(wanted: list[int], number: int, frames: Sequence[int]) -> int | None:
    """Of frames in order, the last that a part shows, or that is between it and the one before."""
    place = bisect.bisect_right(frames, wanted[number])
    if number and place and frames[place - 1] > wanted[number - 1]:
        return frames[place - 1]
    return None


def _pieces(
    parts: Iterator[tuple[np.ndarray, int | None]],
    wanted: list[int],
    timing: Timing,
    settings: SegmentSettings,
) -> Iterator[Piece]:
    """The pieces, from the picture of each part and the frame that begins its shot, if that is new.

    However short it is, a piece ends at a break of the clock: a segment across it would stand still
    for most of its time.
    """
    breaks = [frame for frame, _ in timing.breaks]
    seconds = timing.seconds / len(wanted)  # of a part
    longest = len(wanted) // _windows(timing, settings)
    shortest = max(1, math.ceil(SHORTEST / seconds))
    begin, continues = Edge(0.0, 0), False
    held: list[np.ndarray] = []
    for number, (picture, change) in enumerate(parts):
        new = _last_between(wanted, number, breaks)
        if new is None and change is not None and _is_long_enough(begin, change, timing):
            new = change
        if new is not None:
            edge = Edge(timing.at(new), new)
            yield _piece(begin, edge.seconds, wanted[number - 1], held, timing, continues)
            begin, held, continues = edge, [], False
        elif len(held) == longest + shortest:
            # Only now, so that no shot ends in a segment of a few frames.
            rest = number - shortest
            edge = Edge(rest * seconds, wanted[rest])
            yield _piece(begin, edge.seconds, wanted[rest - 1], held[:longest], timing, continues)
            begin, held, continues = edge, held[longest:], True
        held.append(picture)
    if held:
        yield _piece(begin, timing.seconds, wanted[number], held, timing, continues)


def _is_long_enough(begin: Edge, change: int, timing: Timing) -> bool:
    """Whether neither the piece before a change nor what is left of the film is too short."""
    at = timing.at(change)
    return min(at - begin.seconds, timing.seconds - at) >= SHORTEST


def _piece(
    begin: Edge, end: float, last: int, held: list[np.ndarray], timing: Timing, continues: bool
) -> Piece:
    """What begins and ends at those seconds of the film, and shows frames up to `last`."""
    return Piece(timing.shown(*begin), timing.shown(end, last), held, continues)
