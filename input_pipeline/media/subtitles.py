"""What is said in a video, by its subtitles: files beside it, and tracks of text in it."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from input_pipeline.media.container import clock_of, opened
from input_pipeline.media.segments import Segment

# FFmpeg's formats of files of subtitles, by their suffixes.
FORMATS = {".srt": "srt", ".vtt": "webvtt"}
# FFmpeg's codecs of text; other tracks are pictures.
CODECS = {"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"}
# Two thousand times what a film says.
MAX_BYTES = 2**26
# A language, as in film.en.srt, film.pt-BR.srt.
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
# How a subtitle is drawn: colours, places.
_DRAWING = re.compile(r"\{\\[^}]*\}")


class Line(NamedTuple):
    """A subtitle: its text, and seconds on a player's clock."""

    start: float
    end: float
    text: str


def stem_of(name: str, stems: Iterable[str]) -> str | None:
    """Which of the videos of those names, without their suffixes, a file of subtitles is beside.

    None where it is of another format, or beside none.
    """
    path = Path(name)
    if path.suffix.lower() not in FORMATS:
        return None
    if path.stem in stems:
        return path.stem
    stem, _, language = path.stem.rpartition(".")
    return stem if stem in stems and _LANGUAGE.fullmatch(language) else None


def read(path: Path) -> list[Line]:
    """The lines of a file of subtitles.

    Raises:
      ValueError: there are none, with the reason. OSError: it can't be read now.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{size} bytes of subtitles, wanted {MAX_BYTES} at most")
    kind, options = FORMATS[path.suffix.lower()], {"protocol_whitelist": "file"}
    try:
        with av.open(str(path.absolute()), format=kind, options=options) as file:
            packets = file.demux(file.streams.subtitles[0])
            lines = [line for packet in packets for line in _lines(packet, 0.0)]
    except OSError:  # FFmpeg's too: of this machine, not of the file.
        raise
    except av.FFmpegError as error:
        raise ValueError(
            "can't be read as subtitles: damaged, or neither UTF-8 nor UTF-16; save it again as "
            "UTF-8"
        ) from error
    if not lines:
        raise ValueError(
            "no subtitle in it, wanted UTF-8 with times such as 00:00:01,000 --> 00:00:02,500"
        )
    return lines


def embedded(path: Path) -> list[Line]:
    """The lines of a video's tracks of text. Raises as `opened`; of a broken track those before."""
    with opened(path) as film:
        streams = [one for one in film.file.streams.subtitles if _is_text(one)]
        if not streams:
            return []
        clock = clock_of(film)
        zero = float(clock.zero * clock.unit)
        lines: list[Line] = []
        broken: set[int] = set()
        # All tracks at once: each reading takes the whole file.
        for packet in film.file.demux(streams):
            if packet.stream_index not in broken:
                try:
                    lines += _lines(packet, zero)
                except MemoryError:  # FFmpeg's too.
                    raise
                except av.FFmpegError:
                    broken.add(packet.stream_index)
        return lines


def _is_text(stream: Any) -> bool:
    """Whether a track is one of text that can be decoded; of others PyAV does not know the name."""
    return stream.codec_context is not None and stream.name in CODECS


def _lines(packet: Any, zero: float) -> Iterator[Line]:
    """zero: the seconds that a player shows as 0:00."""
    if not packet.size or packet.pts is None:
        return
    start = float(packet.pts * Fraction(packet.time_base)) - zero
    end = start + max(0.0, float((packet.duration or 0) * Fraction(packet.time_base)))
    for one in packet.decode():
        text = _DRAWING.sub("", one.dialogue.decode("utf-8", "replace"))
        if text := " ".join(text.split()):
            yield Line(start, end, text)


def said(lines: Sequence[Line], segments: Sequence[Segment]) -> list[str]:
    """What is said in each segment; a line is said in the one that shows its middle."""
    starts = [one.start for one in segments]
    found: list[dict[str, None]] = [{} for _ in segments]  # once, where tracks say the same
    for line in sorted(lines):
        middle = (line.start + line.end) / 2
        if segments[0].start <= middle <= segments[-1].end:
            found[bisect.bisect_right(starts, middle) - 1][line.text] = None
    return [" ".join(one) for one in found]
