"""Video files -> frames and frames -> video files (PyAV, Pillow); no TensorFlow."""

from __future__ import annotations

import bisect
import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image

from animclip_jax import files

# What FFmpeg may take a file for: formats of one file. Playlists, lists of files and patterns of
# names (hls, dash, concat, image2, sdp) could open others.
FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "asf", "flv", "swf", "ogg", "rm"),
    *("gif", "h264", "hevc", "m4v", "mjpeg", "jpeg_pipe", "ivf", "obu", "dv", "mxf", "nut"),
)
# 8K is half of it; a frame of more would take gigabytes.
MAX_PIXELS = 67_108_864
# Width of a pixel over its height, or the reverse: 2.2 is about the widest of film.
MAX_ASPECT = 4
# Frames a second of a video that does not tell its times.
UNKNOWN_RATE = 25


def read_frames(
    path: str | os.PathLike[str], num_frames: int, short_side: int | None = None
) -> np.ndarray:
    """Frames evenly spaced in time: what is shown in the middle of each of num_frames equal parts.

    A video of fewer frames repeats some. Rotation marks of phones and pixels that aren't square are
    honoured; where short_side is given, frames whose short side is longer are shrunk to it.

    Returns:
      uint8 [num_frames, H, W, 3], RGB.
    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it can't be decoded to its end, holds no frame, or is in a format that could open
        other files.
    """
    with _readable(path):
        # Packets tell the times without decoding. Where the decoder makes other frames of them,
        # the video is decoded again, with the true times.
        times = _packet_times(path)
        while True:
            needed = set(positions_in_time(num_frames, times).tolist())
            frames: dict[int, np.ndarray] = {}
            times = []
            for number, (frame, aspect) in enumerate(_decode(path)):
                times.append(frame.pts)
                if number in needed:
                    frames[number] = _picture(frame, aspect, short_side)
            wanted = positions_in_time(num_frames, times)
            if not times or frames.keys() >= set(wanted.tolist()):
                break
        if not times:
            raise ValueError("no video frame in it, wanted 1 or more")
    return _stack([frames[n] for n in wanted.tolist()])


class Timing(NamedTuple):
    """When each frame of a video is shown, in `unit` seconds; None where a frame does not say."""

    times: list[int | None]
    unit: Fraction

    @property
    def seconds(self) -> float:
        """The duration, as `positions_in_time` counts it; at UNKNOWN_RATE where times lack."""
        known = [time for time in self.times if time is not None]
        if len(known) < len(self.times) or len(known) < 2 or known[0] == known[-1]:
            return max(1, len(self.times)) / UNKNOWN_RATE
        span = max(known) - min(known)
        return float(span * self.unit * len(known) / (len(known) - 1))


def read_parts(
    path: str | os.PathLike[str], parts: Callable[[Timing], int], short_side: int
) -> Iterator[tuple[Timing, Iterator[np.ndarray]]]:
    """One frame for each of many equal parts of a video, without holding all of them.

    Yields a way to read the video, and a second one where the first, once it was read to its end,
    proved wrong: packets tell the times without decoding, but a decoder may make other frames of
    them. What came of the first is to be thrown away then.

    Args:
      parts: into how many parts a video of that timing is divided.
      short_side: frames whose short side is longer are shrunk to it.

    Yields:
      the timing, and the frames uint8 [H, W, 3] that are on screen in the middle of each part.
    Raises:
      FileNotFoundError, ValueError: as `read_frames`, also while the frames are read.
    """
    with _readable(path), _open(path) as container:
        unit = container.streams.video[0].time_base or Fraction(1, UNKNOWN_RATE)
    with _readable(path):
        timing = Timing(_packet_times(path), unit)
    while True:
        wanted = positions_in_time(parts(timing), timing.times)
        found: list[int | None] = []
        yield timing, _at(path, wanted, short_side, found)
        right = Timing(found, unit)
        if wanted.tolist() == positions_in_time(parts(right), found).tolist():
            return
        timing = right


def _at(
    path: str | os.PathLike[str], wanted: np.ndarray, short_side: int, found: list[int | None]
) -> Iterator[np.ndarray]:
    """The frames of those numbers, which never fall; `found` gets the times of all frames."""
    times = np.bincount(wanted)
    with _readable(path):
        for number, (frame, aspect) in enumerate(_decode(path)):
            found.append(frame.pts)
            if number < len(times) and times[number]:
                picture = _picture(frame, aspect, short_side)
                for _ in range(times[number]):
                    yield picture
        if not found:
            raise ValueError("no video frame in it, wanted 1 or more")


def positions_in_time(num_frames: int, times: Sequence[int | None]) -> np.ndarray:
    """Which frames are on screen in the middle of num_frames equal parts of a video's duration.

    Args:
      times: when each frame is shown, in any unit. The last one is shown for the mean of the other
        durations. Frames whose times are unknown or run backwards count as equally long.
    Returns:
      int64 [num_frames], the same as `positions` where the frame rate is constant.
    """
    known = [time for time in times if time is not None]
    steps = len(known) - 1
    backwards = any(after < before for before, after in zip(known, known[1:], strict=False))
    if len(known) < len(times) or backwards or steps < 1 or known[0] == known[-1]:
        return positions(num_frames, max(len(times), 1))
    span = known[-1] - known[0]
    middles = [
        known[0] + (2 * n + 1) * span * (steps + 1) // (2 * num_frames * steps)
        for n in range(num_frames)
    ]
    return np.array([bisect.bisect_right(known, middle) - 1 for middle in middles])


def positions(num_frames: int, total: int) -> np.ndarray:
    """The middle of each of num_frames equal parts of `total` frames: int64 [num_frames]."""
    return (2 * np.arange(num_frames) + 1) * total // (2 * num_frames)


def fit(picture: np.ndarray, size: int) -> np.ndarray:
    """OpenAI CLIP's preprocessing of a picture: bicubic resize of the short side, centre crop.

    Only what the crop shows is resized, so that a long thin picture takes no memory. The whole
    picture resized, across and then down, and cropped gives the same, except that one value in a
    thousand may be rounded to the next grey level. (Pillow 13 resizes a picture over twice as tall
    as wide down first, which differs by 1 to 3 grey levels where there is fine detail.)

    Args:
      picture: uint8 [H, W, 3], RGB.
    Returns:
      uint8 [size, size, 3].
    """
    height, width = picture.shape[:2]
    short = min(height, width)
    rows, columns = _centre(height, short, size), _centre(width, short, size)
    image = Image.fromarray(picture[rows.first : rows.last, columns.first : columns.last])
    box = (columns.start, rows.start, columns.stop, rows.stop)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box))


class _Part(NamedTuple):
    """Of one side of a picture: the pixels that a filter reads, and in these what it shows."""

    first: int
    last: int
    start: float
    stop: float


def _centre(length: int, short: int, size: int) -> _Part:
    """What a centre crop of `size` pixels shows of a side, once `short` pixels have that size."""
    resized = int(size * length / short)
    left_out = round((resized - size) / 2.0)
    scale = length / resized
    start, stop = left_out * scale, (left_out + size) * scale
    # The bicubic filter reaches two pixels of the coarser grid to each side.
    reach = math.ceil(2 * max(scale, 1.0)) + 1
    first = max(math.floor(start) - reach, 0)
    last = min(math.ceil(stop) + reach, length)
    return _Part(first, last, start - first, min(stop, length) - first)


def write_video(path: str | os.PathLike[str], frames: np.ndarray, fps: float) -> None:
    """Writes frames uint8 [T, H, W, 3] as .mp4 (H.264, yuv420p) or an endless .gif, by the suffix.

    The file appears whole or not at all. An odd side of an .mp4 repeats its last row or column,
    which yuv420p can't do without. Raises ValueError for another suffix or shape.
    """
    path = Path(path)
    if frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames) or frames.dtype != np.uint8:
        raise ValueError(f"{path}: frames {frames.dtype} {frames.shape}, wanted uint8 [T, H, W, 3]")
    if not fps > 0:
        raise ValueError(f"{path}: {fps} frames a second, wanted more than 0")
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"{path}: can't write {path.suffix!r}, wanted {' or '.join(writers)}")
    with files.replacing(path) as temporary:
        write(temporary, frames, fps)


@contextlib.contextmanager
def _readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Says of which file a decoder's error is."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        yield
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise ValueError(f"{path}: can't be decoded as a video: {error}") from error


def _open(path: str | os.PathLike[str]) -> av.container.InputContainer:
    # The file alone, whatever it is called: neither the network nor a format that opens others.
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    try:
        container = av.open(os.path.abspath(path), options=options)
    except av.ArgumentError as error:
        raise ValueError(f"no video format that is read ({', '.join(FORMATS)})") from error
    if not container.streams.video:
        container.close()
        raise ValueError("no video stream in it")
    codec = container.streams.video[0].codec_context
    if codec.width * codec.height > MAX_PIXELS:
        container.close()
        raise ValueError(f"{codec.width} x {codec.height} pixels, wanted {MAX_PIXELS} at most")
    # Whoever reads many videos does so in many processes.
    codec.thread_count = 1
    return container


def _packet_times(path: str | os.PathLike[str]) -> list[int | None]:
    with _open(path) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    known = sorted(time for time in times if time is not None)
    return [*known] if len(known) == len(times) else times


def _decode(path: str | os.PathLike[str]) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Every frame in the order of showing, with the width of a pixel over its height."""
    with _open(path) as container:
        aspect = container.streams.video[0].sample_aspect_ratio or Fraction(1)
        for frame in container.decode(video=0):
            yield frame, aspect


def _picture(frame: av.VideoFrame, aspect: Fraction, short_side: int | None) -> np.ndarray:
    """A frame of square pixels, upright: uint8 [H, W, 3]."""
    if not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        aspect = Fraction(1)  # A broken mark.
    # Longer, never shorter, so that nothing is lost.
    width = round(frame.width * max(aspect, Fraction(1)))
    height = round(frame.height / min(aspect, Fraction(1)))
    if short_side is not None and short_side < min(width, height):
        shrink = Fraction(short_side, min(width, height))
        width, height = round(width * shrink), round(height * shrink)
    pixels = _resized(frame.to_ndarray(format="rgb24"), width, height)
    # The mark says by how many degrees, counterclockwise, the picture has to be turned.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _stack(frames: list[np.ndarray]) -> np.ndarray:
    """Frames of one shape; a video that changes its size keeps the first frame's."""
    height, width = frames[0].shape[:2]
    return np.stack([_resized(frame, width, height) for frame in frames])


def _write_mp4(path: Path, frames: np.ndarray, fps: float) -> None:
    odd = [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)]
    frames = np.pad(frames, odd, mode="edge")
    with av.open(os.fspath(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _write_gif(path: Path, frames: np.ndarray, fps: float) -> None:
    first, *rest = (Image.fromarray(frame) for frame in frames)
    duration = round(1000 / fps)
    first.save(path, "GIF", save_all=True, append_images=rest, duration=duration, loop=0)
