"""A file as an index keeps it: the segments of a video, or a photo as one segment."""

from __future__ import annotations

import contextlib
import datetime
import io
import warnings
from pathlib import Path
from typing import NamedTuple

from animclip_jax import files
from input_pipeline.media import picture, subtitles
from input_pipeline.media.container import opened
from input_pipeline.media.segment_settings import SegmentSettings
from input_pipeline.media.segments import Segment, read_segments


class Task(NamedTuple):
    """What to read, and the file to write its frames to, as `read_segments` does.

    subtitles: files of what is said in it.
    """

    path: Path
    spool: Path
    subtitles: tuple[Path, ...] = ()


class Read(NamedTuple):
    """What an index keeps of a file.

    codec: of a video, by FFmpeg's name. width, height: as it is shown, to the same scale. taken:
    seconds since 1970, where the file says when it was made. bad: names of files of subtitles that
    can't be used, each with the reason.
    """

    segments: list[Segment]
    codec: str
    width: int
    height: int
    taken: float | None
    bad: dict[str, str]


def read_file(task: Task, settings: SegmentSettings) -> Read:
    """Reads a video, or by its name a photo, which is shown for no time.

    Raises:
      FileNotFoundError, ValueError: as `read_segments`, `picture.read`. files.DiskError: no room
        for frames.
    """
    if task.path.suffix.lower() in picture.SUFFIXES:
        return _read_photo(task, settings)
    segments = read_segments(task[:2], settings)
    lines, bad = _read_subtitles(task)
    said = subtitles.said(lines, segments)
    segments = [one._replace(said=text) for one, text in zip(segments, said, strict=True)]
    header = picture.read_header(io.BytesIO(segments[0].thumbnail))
    with opened(task.path) as film:
        codec = film.stream.codec_context.codec.canonical_name
        told = film.file.metadata.get("creation_time") or film.stream.metadata.get("creation_time")
    return Read(segments, codec, header.width, header.height, _when(told), bad)


def _read_subtitles(task: Task) -> tuple[list[subtitles.Line], dict[str, str]]:
    """What is said, and the files that can't be used."""
    lines, bad = subtitles.embedded(task.path), {}
    for path in task.subtitles:
        try:
            lines += subtitles.read(path)
        except (OSError, ValueError) as error:
            bad[path.name] = str(error)
    return lines, bad


def _read_photo(task: Task, settings: SegmentSettings) -> Read:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # Of odd metadata; errors are errors.
        pixels, taken = picture.read(task.path, picture.PHOTO), picture.taken(task.path)
    fitted = settings.fitted(pixels).tobytes()
    with files.writing(task.spool):
        task.spool.write_bytes(fitted * settings.num_frames)
    segment = Segment(0.0, 0.0, picture.thumbnail(pixels))
    height, width, _ = pixels.shape
    return Read([segment], "", width, height, taken, {})


def _when(told: str | None) -> float | None:
    """A container's date, as in 2026-11-29T08:15:00.000000Z; None where it says none that can be.

    Clocks that were never set begin in 1904 or 1970.
    """
    with contextlib.suppress(ValueError, OverflowError, OSError):
        seconds = datetime.datetime.fromisoformat(told or "").timestamp()
        return seconds if seconds > 0 else None
    return None
