"""A few seconds of any video as a small MP4 that browsers play, on the clock of the original."""

from __future__ import annotations

import bisect
import contextlib
import functools
import heapq
import io
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.format import Flags
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from input_pipeline.media.container import Film, clock_of, opened, packets, stamps_of
from input_pipeline.media.timing import timing
from input_pipeline.media.video import is_opaque, rgb, square, upright
from input_pipeline.media.workers import cores

# Of a preview, at most: pixels, seconds, frames a second, bits a second of its picture.
LONG_SIDE, SHORT_SIDE = 854, 480
MAX_SECONDS, MAX_RATE, MAX_BITS = 30.0, 30, 1_500_000
# Written down where a preview is kept: raise it when the same clip makes another file.
VERSION = 1

TICKS, SAMPLES = 90_000, 48_000  # a second
BT601 = 6  # FFmpeg's number for it, AVCOL_SPC_SMPTE170M.
# Whole in memory, and so without a second pass: an index before each second of it.
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+delay_moov+default_base_moof"}
ENCODER = {
    **{"preset": "veryfast", "crf": "27", "bf": "0", "g": f"{MAX_RATE}"},
    **{"maxrate": f"{MAX_BITS}", "bufsize": f"{2 * MAX_BITS}"},
    # Else a picture that stands for seconds is left too few bits to be seen.
    "x264-params": "force-cfr=1",
}
# Stated in the file, since browsers guess by the size.
YUV: dict[str, Any] = {
    "format": "yuv420p",
    "dst_colorspace": Colorspace.ITU601,
    "dst_color_range": ColorRange.MPEG,
    "threads": 1,
}
THREADS = 4
# Frames whose times are in another order than they are shown in, at most (H.264 in AVI).
DISORDER = 8
# A decoder that begins at a key frame needs some that lie before the frame in the file.
REORDERED = 16
# How far apart sound and picture of one moment may lie in a file, in seconds of the film.
APART = 1.0
# A film that shows one picture for hours is not read to its end: so far apart they never lie.
FAR_APART = 10.0
EARLIER = 2.0
# A frame that begins so much after the clip is the first in it: times are rounded to thousandths.
ROUNDED = 0.005

Shown = Iterator[tuple[float, av.VideoFrame]]
Stamped = tuple[int, av.VideoFrame]


class Clip(NamedTuple):
    """What to show: a file, and seconds on a player's clock."""

    path: Path
    start: float
    end: float


def make(clip: Clip) -> bytes:
    """An MP4 (H.264 and AAC) of a clip, or of its beginning; players show the original's times.

    The memory it takes does not grow with the video. A video whose times can be trusted is sought
    in, others are read from their beginning, and decoded just before the clip.

    Raises:
      FileNotFoundError: there is no such file. ValueError: it can't be read, or shows nothing then.
    """
    clip = clip._replace(end=min(clip.end, clip.start + MAX_SECONDS))
    for read in (_sought, functools.partial(_sought, earlier=EARLIER), _counted):
        with opened(clip.path) as film:
            # Nobody else decodes in this process.
            film.stream.codec_context.thread_count = min(THREADS, cores())
            film.stream.codec_context.thread_type = "AUTO"
            sound = _Sound(film, clip)
            made = _written(read(film, sound, clip), film, sound, clip)
            if made is not None:
                return made
    raise ValueError(f"{clip.path}: no frame at {clip.start:g} seconds")


def _written(shown: Shown, film: Film, sound: _Sound, clip: Clip) -> bytes | None:
    """The frames of a clip as an MP4; None where there is none."""
    out: _Mp4 | None = None
    held: av.VideoFrame | None = None  # What is on screen when the clip begins.
    for time, frame in shown:
        if time >= clip.end and sound.is_whole(time):
            break
        if out is None:
            out = _Mp4(frame, film, sound.stream is not None, clip)
        for heard, voice in sound.taken():
            out.hear(heard, voice)
        if time <= clip.start + ROUNDED:
            held = frame
            continue
        if held is not None:
            out.show(clip.start, held)
            held = None
        out.show(time, frame)
    if out is None:
        return None
    if held is not None:
        out.show(clip.start, held)
    return out.finished()


def _sought(film: Film, sound: _Sound, clip: Clip, earlier: float = 0.0) -> Shown:
    """From a key frame before the clip on; nothing where none is found so, or the clock misleads.

    earlier: seconds before the clip, for files that know when frames are decoded, not shown.
    """
    clock = clock_of(film)
    if clock.restarts or Flags.no_timestamps in Flags(film.file.format.flags):
        return
    # No player shows what is before its zero.
    early = min(0, (film.stream.start_time or 0) - clock.zero)
    zero = clock.zero + early
    sound.shift = -float(zero * clock.unit)
    with contextlib.suppress(av.FFmpegError):  # It is read from its beginning then.
        place = zero + int((clip.start - earlier) / clock.unit)
        film.file.seek(place, stream=film.stream)
    begun = False
    stamped = ((one.pts, one) for one in _decoded(film, sound) if one.pts is not None)
    for stamp, frame in _in_order(stamped):
        time = float((stamp - zero) * clock.unit)
        if not begun and time > clip.start + ROUNDED:
            return
        begun = True
        yield time, frame


def _in_order(frames: Iterator[Stamped]) -> Iterator[Stamped]:
    """Frames come in the order of showing, their times in another one at times: sorted."""
    waiting: deque[av.VideoFrame] = deque()
    stamps: list[int] = []
    for stamp, frame in frames:
        waiting.append(frame)
        heapq.heappush(stamps, stamp)
        if len(waiting) > DISORDER:
            yield heapq.heappop(stamps), waiting.popleft()
    while waiting:
        yield heapq.heappop(stamps), waiting.popleft()


def _counted(film: Film, sound: _Sound, clip: Clip) -> Shown:
    """From a key frame before the clip on, found by reading the packets from the first one on."""
    keys: list[int] = []
    with opened(clip.path) as again:
        stamps = stamps_of(_noting(packets(again), keys))
        found = timing(stamps, clock_of(again))

    def time_of(number: int) -> float:
        return found.shown(found.at(number), number)

    first = max(0, bisect.bisect_right(range(len(stamps)), clip.start, key=time_of) - 1)
    key = keys[max(0, bisect.bisect_right(keys, first - REORDERED) - 1)] if keys else 0
    for number, frame in _in_order(_numbered(_decoded(film, sound, key), stamps, key)):
        if frame.pts is not None and frame.time_base is not None:
            sound.shift = time_of(number) - float(frame.pts * frame.time_base)
        yield time_of(number), frame


def _numbered(
    frames: Iterator[av.VideoFrame], stamps: list[int | None], first: int
) -> Iterator[Stamped]:
    """Each frame with its place among the stamps of all frames, found near the one before it.

    Without stamps they are counted.
    """
    at = first
    for frame in frames:
        if stamps[min(at, len(stamps) - 1)] is not None:
            near = range(max(0, at - REORDERED), min(len(stamps), at + 2 * REORDERED))
            known = next((number for number in near if stamps[number] == frame.pts), None)
            if known is None:
                continue
            at = known
        yield at, frame
        at = min(at + 1, len(stamps) - 1)


def _noting(packets: Iterator[av.Packet], keys: list[int]) -> Iterator[av.Packet]:
    """The packets, while `keys` gets the numbers of those that a decoder can begin with."""
    for number, packet in enumerate(packets):
        if packet.is_keyframe:
            keys.append(number)
        yield packet


def _decoded(film: Film, sound: _Sound, skipped: int = 0) -> Iterator[av.VideoFrame]:
    """The frames of all packets after the first ones; `sound` hears what lies between them."""
    number = 0
    packet: Any
    for packet in film.file.demux([film.stream, *sound.streams]):
        if packet.stream.index != film.stream.index:
            if number >= skipped:
                sound.hear(packet)
            if sound.last > sound.clip.end + FAR_APART:
                break
            continue
        if number >= skipped:
            # A decoder that begins in the middle may miss what frames are made of.
            with contextlib.suppress(av.InvalidDataError):
                yield from packet.decode()
        number += bool(packet.size) and not packet.is_discard
    else:
        return
    with contextlib.suppress(av.FFmpegError):
        yield from film.stream.codec_context.decode(None)


class _Sound:
    """What is heard beside a film during a clip.

    shift: seconds from its stamps to a player's clock, if known. last: until when it was heard.
    """

    def __init__(self, film: Film, clip: Clip):
        found = film.file.streams.audio
        self.stream = found[0] if found and found[0].codec_context is not None else None
        self.streams = [self.stream] if self.stream else []
        self.clip = clip
        self.shift: float | None = None
        self.heard: deque[tuple[float, av.AudioFrame]] = deque()
        self.last = float("-inf")

    def hear(self, packet: Any) -> None:
        """Decodes a packet; what can't be decoded is silence."""
        with contextlib.suppress(av.FFmpegError):
            for frame in packet.decode():
                if frame.pts is not None and self.shift is not None:
                    self.last = float(frame.pts * frame.time_base) + self.shift
                    if self.clip.start <= self.last < self.clip.end:
                        self.heard.append((self.last, frame))

    def taken(self) -> Iterator[tuple[float, av.AudioFrame]]:
        """What was heard since it was taken last."""
        while self.heard:
            yield self.heard.popleft()

    def is_whole(self, time: float) -> bool:
        """Whether all of the clip was heard when the film is there, or nothing more will be."""
        end = self.clip.end
        return self.stream is None or self.last >= end or time >= end + APART


class _Mp4:
    """The file in the making, in memory."""

    def __init__(self, frame: av.VideoFrame, film: Film, has_sound: bool, clip: Clip):
        width, height = square(frame, film)
        shrink = min(1.0, LONG_SIDE / max(width, height), SHORT_SIDE / min(width, height))
        # Two rows and columns share a colour.
        self.size: dict[str, Any] = {
            "width": max(2, round(width * shrink / 2) * 2),
            "height": max(2, round(height * shrink / 2) * 2),
        }
        self.mark, self.clip = frame, clip
        self.last = float("-inf")
        self.picture: av.VideoFrame | None = None
        self.soon: tuple[float, av.VideoFrame] | None = None  # Shown only if nothing follows soon.
        self.data = io.BytesIO()
        self.file = av.open(self.data, "w", format="mp4", options=FRAGMENTS)
        self.film: Any = self.file.add_stream("libx264", rate=MAX_RATE, options=ENCODER)
        self.film.height, self.film.width = upright(rgb(frame, **self.size), frame).shape[:2]
        self.film.pix_fmt = "yuv420p"
        self.film.codec_context.colorspace = BT601
        self.film.codec_context.color_range = ColorRange.MPEG
        self.film.codec_context.time_base = Fraction(1, TICKS)
        self.film.codec_context.thread_count = min(2, cores())
        self.sound: Any = has_sound and self.file.add_stream("aac", rate=SAMPLES, layout="stereo")
        if self.sound:
            self.sound.bit_rate = 96_000
        self.broken = False

    def show(self, time: float, frame: av.VideoFrame) -> None:
        """Shows a frame from a time on, unless it is after the clip, or another follows at once."""
        if not self.last < time < self.clip.end:
            return
        soon, self.soon = self.soon, None
        if soon is not None and time >= self.last + 1.8 / MAX_RATE:
            self._encode(*soon)
        if time < self.last + 0.9 / MAX_RATE:
            self.soon = (time, frame)
        else:
            self._encode(time, frame)

    def hear(self, time: float, frame: av.AudioFrame) -> None:
        """Adds sound of the clip; what is of another kind than before ends it."""
        if self.broken:
            return
        frame.pts, frame.time_base = round(time * SAMPLES), Fraction(1, SAMPLES)
        try:
            self.file.mux(self.sound.encode(frame))
        except (av.FFmpegError, ValueError):
            self.broken = True

    def finished(self) -> bytes | None:
        """The file; None where it shows nothing."""
        if self.soon is not None:
            self._encode(*self.soon)
        if self.picture is None:
            return None
        # What is shown last is shown to the end.
        if self.last < self.clip.end - 2 / MAX_RATE:
            self._mux(self.clip.end - 1 / MAX_RATE)
        self.file.mux(self.film.encode(None))
        if self.sound and not self.broken:
            self.file.mux(self.sound.encode(None))
        self.file.close()
        return self.data.getvalue()

    def _encode(self, time: float, frame: av.VideoFrame) -> None:
        if is_opaque(frame) and "DISPLAYMATRIX" not in self.mark.side_data:
            small = frame.reformat(**self.size, **YUV)
        else:
            pixels = np.ascontiguousarray(upright(rgb(frame, **self.size), self.mark))
            small = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(**YUV)
        # Else the encoder would make it of the kind that it was.
        small.pict_type = PictureType.NONE
        self.picture = small
        self._mux(time)

    def _mux(self, time: float) -> None:
        frame: Any = self.picture
        frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
        self.file.mux(self.film.encode(frame))
        self.last = time
