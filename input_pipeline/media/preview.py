"""A few seconds of any video as a small MP4 that browsers play, on the clock of the original."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from input_pipeline.media.clip import ROUNDED, WAYS, Clip, Shown, Sound, decoding
from input_pipeline.media.container import Film
from input_pipeline.media.video import is_opaque, rgb, square, upright
from input_pipeline.media.workers import cores

# Of a preview, at most: pixels, seconds, frames a second, bits a second of its picture.
LONG_SIDE, SHORT_SIDE = 854, 480
MAX_SECONDS, MAX_RATE, MAX_BITS = 30.0, 30, 1_500_000
# Written down where a preview is kept: raise it when the same clip makes another file.
VERSION = 2

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


def make(clip: Clip) -> bytes:
    """An MP4 (H.264 and AAC) of a clip, or of its beginning; players show the original's times.

    The memory it takes does not grow with the video.

    Raises:
      FileNotFoundError: there is no such file. ValueError: it can't be read, or shows nothing then.
    """
    clip = clip._replace(end=min(clip.end, clip.start + MAX_SECONDS))
    for read in WAYS:
        with decoding(clip) as film:
            sound = Sound(film, clip)
            made = _written(read(film, sound, clip), film, sound, clip)
            if made is not None:
                return made
    raise ValueError(f"{clip.path}: no frame at {clip.start:g} seconds")


def _written(shown: Shown, film: Film, sound: Sound, clip: Clip) -> bytes | None:
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
        return _ending_at(self.clip.end, bytearray(self.data.getvalue()))

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


def _ending_at(seconds: float, mp4: bytearray) -> bytes:
    """The file, where every track says when it ends, on the clock of the original.

    Of fragments, the muxer says nothing. Chromium then takes the length of what is there for its
    end, and can't seek beyond it in a clip that begins later.
    """

    def tell(begin: int, end: int) -> None:
        for kind, start, stop in _boxes(mp4, begin, end):
            if kind in (b"moov", b"trak", b"mdia"):
                tell(start, stop)
            elif kind == b"mdhd":
                # Behind its version and two dates: ticks a second, and how many of them.
                (rate,) = struct.unpack_from(">I", mp4, start + 12)
                # The largest number means that it is not known.
                struct.pack_into(">I", mp4, start + 16, min(round(seconds * rate), 2**32 - 1))

    tell(0, len(mp4))
    return bytes(mp4)


def _boxes(mp4: bytearray, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box there, and where its content begins and ends."""
    while begin < end:
        size, kind = struct.unpack_from(">I4s", mp4, begin)
        yield kind, begin + 8, begin + size
        begin += size
