"""A file as an index keeps it: the segments of a video, or a photo as one segment."""

from __future__ import annotations

import contextlib
import datetime
import io
import warnings
from pathlib import Path
from typing import NamedTuple

from animclip_jax import files
from input_pipeline.media import picture
from input_pipeline.media.container import opened
from input_pipeline.media.segment_settings import SegmentSettings
from input_pipeline.media.segments import Segment, read_segments


class Task(NamedTuple):
    """What to read, and the file to write its frames to, as `read_segments` does."""

    path: Path
    spool: Path


class Read(NamedTuple):
    """What an index keeps of a file.

    codec: of a video, by FFmpeg's name. width, height: as it is shown, to the same scale. taken:
    seconds since 1970, where the file says when it was made.
    """

    segments: list[Segment]
    codec: str
    width: int
    height: int
    taken: float | None


def read_file(task: Task, settings: SegmentSettings) -> Read:
    """Reads a video, or by its name a photo, which is shown for no time.

    Raises:
      FileNotFoundError, ValueError: as `read_segments`, `picture.read`. files.DiskError: no room
        for frames.
    """
    if task.path.suffix.lower() in picture.SUFFIXES:
        return _read_photo(task, settings)
    segments = read_segments(task, settings)
    header = picture.read_header(io.BytesIO(segments[0].thumbnail))
    with opened(task.path) as film:
        codec = film.stream.codec_context.codec.canonical_name
        told = film.file.metadata.get("creation_time") or film.stream.metadata.get("creation_time")
    return Read(segments, codec, header.width, header.height, _when(told))


def _read_photo(task: Task, settings: SegmentSettings) -> Read:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # Of odd metadata; errors are errors.
        pixels, taken = picture.read(task.path, picture.PHOTO), picture.taken(task.path)
    fitted = settings.fitted(pixels).tobytes()
    with files.writing(task.spool):
        task.spool.write_bytes(fitted * settings.num_frames)
    segment = Segment(0.0, 0.0, picture.thumbnail(pixels))
    height, width, _ = pixels.shape
    return Read([segment], "", width, height, taken)


def _when(told: str | None) -> float | None:
    """A container's date, as in 2026-11-29T08:15:00.000000Z; None where it says none that can be.

    Clocks that were never set begin in 1904 or 1970.
    """
    with contextlib.suppress(ValueError, OverflowError, OSError):
        seconds = datetime.datetime.fromisoformat(told or "").timestamp()
        return seconds if seconds > 0 else None
    return None
