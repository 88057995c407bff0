"""A file as an index keeps it: the segments of a video, or a photo as one segment."""

from __future__ import annotations

import contextlib
import datetime
import errno
import io
import os
import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from animclip_jax import files
from input_pipeline.media import picture, subtitles
from input_pipeline.media.container import Film, clock_of, opened
from input_pipeline.media.segment_settings import SegmentSettings
from input_pipeline.media.segments import Segment, read_segments
from input_pipeline.media.timing import RATES

# What networks and this machine say for a moment, and FFmpeg never of a damaged file.
_PASSING = {
    *(errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNRESET, errno.ECONNABORTED),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET),
    *(errno.ENODEV, errno.ENXIO, errno.EMFILE, errno.ENFILE, errno.EACCES),
}
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d")


class Source(NamedTuple):
    """A video or a photo, and the files of what is said in it."""

    path: Path
    subtitles: tuple[Path, ...] = ()


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
    can't be used, each with the reason. unread: the same of those that can't be read now. rate: of
    a video, frames a second, as in "30000/1001". timecode: of its first frame, as in "10:00:00:00";
    with ";" before the frames where numbers are dropped. Both are "" where the file says none.
    """

    segments: list[Segment]
    codec: str
    width: int
    height: int
    taken: float | None
    bad: dict[str, str]
    unread: dict[str, str]
    rate: str = ""
    timecode: str = ""

    @property
    def seconds(self) -> float:
        """From its beginning to its end."""
        return self.segments[-1].end - self.segments[0].start


def read_file(task: Task, settings: SegmentSettings) -> Read:
    """Reads a video, or by its name a photo, which is shown for no time.

    Raises:
      FileNotFoundError, ValueError: as `read_segments`, `picture.read`. files.DiskError: no room
        for frames. OSError: a disk or a network failed, and the file may be good.
    """
    try:
        if task.path.suffix.lower() in picture.SUFFIXES:
            return _read_photo(task, settings)
        return _read_video(task, settings)
    except ValueError as error:
        _require_readable(task.path, error)
        raise


def rate_of(path: Path) -> Fraction | None:
    """Frames a second of a video, None where its file does not say. Raises as `opened`."""
    with opened(path) as film:
        return _rate(film)


def _require_readable(path: Path, error: ValueError) -> None:
    """Raises OSError where the file can't be decoded since it can't be read to its end."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in _PASSING:
        raise OSError(cause.errno, os.strerror(cause.errno), os.fspath(path)) from error
    # FFmpeg takes some errors of a disk for the end of a file, and says EIO of damaged files, too.
    with path.open("rb") as file:
        while file.read(2**20):
            pass


def _read_video(task: Task, settings: SegmentSettings) -> Read:
    segments = read_segments(task[:2], settings)
    lines, bad, unread = _read_subtitles(task)
    said = subtitles.said(lines, segments)
    segments = [one._replace(said=text) for one, text in zip(segments, said, strict=True)]
    header = picture.read_header(io.BytesIO(segments[0].thumbnail))
    with opened(task.path) as film:
        codec = film.stream.codec_context.codec.canonical_name
        taken = _when(_told(film, "creation_time"))
        rate, timecode = _rate(film), _told(film, "timecode")
    told = f"{rate.numerator}/{rate.denominator}" if rate else ""
    timecode = timecode if _TIMECODE.fullmatch(timecode) else ""
    shape = header.width, header.height
    return Read(segments, codec, *shape, taken, bad, unread, told, timecode)


def _told(film: Film, name: str) -> str:
    """What a file says of itself, or of its film; "" where it says nothing."""
    return film.file.metadata.get(name) or film.stream.metadata.get(name) or ""


def _rate(film: Film) -> Fraction | None:
    """Frames a second; None where the file says none that can be."""
    rate = clock_of(film).rate
    return rate if rate is not None and RATES[0] <= rate <= RATES[1] else None


def _read_subtitles(task: Task) -> tuple[list[subtitles.Line], dict[str, str], dict[str, str]]:
    """What is said, the files that can't be used, and those that can't be read now."""
    lines, bad, unread = subtitles.embedded(task.path), {}, {}
    for path in task.subtitles:
        try:
            lines += subtitles.read(path)
        except OSError as error:
            unread[path.name] = f"can't be read: {error.strerror}"
        except ValueError as error:
            bad[path.name] = str(error)
    return lines, bad, unread


def _read_photo(task: Task, settings: SegmentSettings) -> Read:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # Of odd metadata; errors are errors.
        pixels, taken = picture.read(task.path, picture.PHOTO), picture.taken(task.path)
    fitted = settings.fitted(pixels).tobytes()
    with files.writing(task.spool):
        task.spool.write_bytes(fitted * settings.num_frames)
    segment = Segment(0.0, 0.0, picture.thumbnail(pixels))
    height, width, _ = pixels.shape
    return Read([segment], "", width, height, taken, {}, {})


def _when(told: str) -> float | None:
    """A container's date, as in 2026-11-29T08:15:00.000000Z; None where it says none that can be.

    Clocks that were never set begin in 1904 or 1970.
    """
    with contextlib.suppress(ValueError, OverflowError, OSError):
        seconds = datetime.datetime.fromisoformat(told).timestamp()
        return seconds if seconds > 0 else None
    return None
