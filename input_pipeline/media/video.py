"""Video files -> frames and frames -> video files (PyAV, Pillow); no TensorFlow."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from animclip_jax import files
from input_pipeline.media.container import Film, clock_of, decode, opened, packet_timing
from input_pipeline.media.picture import on_white
from input_pipeline.media.timing import Timing, positions_in_time, timing

# What is taken for a video by its name, for a folder of videos holds other files too.
SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".ts"),
        *(".mts", ".m2ts", ".mpg", ".mpeg", ".m1v", ".m2v", ".vob", ".wmv", ".asf", ".flv"),
        *(".f4v", ".swf", ".ogv", ".ogg", ".rm", ".rmvb", ".gif", ".h264", ".264", ".hevc"),
        *(".265", ".mjpeg", ".mjpg", ".ivf", ".obu", ".dv", ".mxf", ".nut"),
    )
)
# Width of a pixel over its height, or the reverse: 2.2 is about the widest of film.
MAX_ASPECT = 4
# The second has the times of all frames that the first one found. Of a film that grows, as while a
# camera records it, each pass would find more.
PASSES = 2
# Looks at a frame; and what reads frames while each is looked at.
Look = Callable[[av.VideoFrame], None]
Reading = Callable[[Look | None], Iterator[np.ndarray]]
# Frames a second of a GIF. Browsers play a frame of under two hundredths of a second for ten; one
# of over 655 seconds can't be stored.
MIN_GIF_RATE, MAX_GIF_RATE = 0.01, 50


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
      ValueError: it can't be decoded to its end, holds no frame, is in a format that could open
        other files, or changes while it is read.
    """
    # Packets tell the times without decoding. Where the decoder makes other frames of them, the
    # video is decoded again, with the true times.
    times = packet_timing(path).times
    state = _state(path)
    for _ in range(PASSES):
        needed = set(positions_in_time(num_frames, times).tolist())
        frames: dict[int, np.ndarray] = {}
        with opened(path) as film:
            found = []
            for number, frame in enumerate(decode(film)):
                found.append(frame.pts)
                if number in needed:
                    frames[number] = _picture(frame, film, short_side)
            times = timing(found, clock_of(film)).times
        wanted = positions_in_time(num_frames, times).tolist()
        if frames.keys() >= set(wanted):
            return _stack([frames[n] for n in wanted])
        if _state(path) != state:
            break
    raise _changed(path)


def read_parts(
    path: str | os.PathLike[str], parts: Callable[[Timing], int], short_side: int
) -> Iterator[tuple[Timing, list[int], Reading]]:
    """One frame for each of many equal parts of a video, without holding all of them.

    Yields a way to read the video, and a second one where the first, once it was read to its end,
    proved wrong: packets tell the times without decoding, but a decoder may make other frames of
    them. What came of the first is to be thrown away then.

    Args:
      parts: into how many parts a video of that timing is divided.
      short_side: frames whose short side is longer are shrunk to it.

    Yields:
      the timing, which frame is on screen in the middle of each part, and what reads those frames,
      uint8 [H, W, 3]: it is given a function that looks at every frame of the video, or None.
    Raises:
      FileNotFoundError, ValueError: as `read_frames`, also while the frames are read.
    """
    guess = packet_timing(path)
    state = _state(path)
    for _ in range(PASSES):
        wanted = positions_in_time(parts(guess), guess.times).tolist()
        found: list[Timing] = []
        yield guess, wanted, functools.partial(_at, path, wanted, short_side, found)
        if found == [guess]:
            return
        if _state(path) != state:
            break
        (guess,) = found
    raise _changed(path)


def _state(path: str | os.PathLike[str]) -> tuple[int, int]:
    """What changes with a file that is written to."""
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


def _changed(path: str | os.PathLike[str]) -> ValueError:
    return ValueError(f"{path}: changed while it was read; wait until it is whole, then try again")


def _at(
    path: str | os.PathLike[str],
    wanted: Sequence[int],
    short_side: int,
    found: list[Timing],
    look: Look | None,
) -> Iterator[np.ndarray]:
    """The frames of those numbers, which never fall; `found` gets the timing of all frames."""
    times = np.bincount(wanted)
    stamps = []
    with opened(path) as film:
        for number, frame in enumerate(decode(film)):
            stamps.append(frame.pts)
            if look is not None:
                look(frame)
            if number < len(times) and times[number]:
                picture = _picture(frame, film, short_side)
                for _ in range(times[number]):
                    yield picture
        found.append(timing(stamps, clock_of(film)))


def check_rate(path: str | os.PathLike[str], fps: float) -> None:
    """Raises ValueError where a video of that name can't have so many frames a second."""
    if not 0 < fps < math.inf:
        raise ValueError(f"{path}: {fps} frames a second, wanted more than 0")
    if Path(path).suffix.lower() == ".gif" and not MIN_GIF_RATE <= fps <= MAX_GIF_RATE:
        raise ValueError(
            f"{path}: {fps:g} frames a second, wanted {MIN_GIF_RATE} to {MAX_GIF_RATE} in a .gif: "
            "browsers play faster ones at a tenth of their rate. An .mp4 may have any rate"
        )


def write_video(path: str | os.PathLike[str], frames: np.ndarray, fps: float) -> int:
    """Writes frames uint8 [T, H, W, 3] as .mp4 (H.264, yuv420p) or an endless .gif, by the suffix.

    The file appears whole or not at all. An odd side of an .mp4 repeats its last row or column,
    which yuv420p can't do without. Raises ValueError for another suffix, shape or rate.

    Returns:
      how many frames the file has: of a .gif, equal neighbours are one that is shown for longer.
    """
    path = Path(path)
    if frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames) or frames.dtype != np.uint8:
        raise ValueError(f"{path}: frames {frames.dtype} {frames.shape}, wanted uint8 [T, H, W, 3]")
    check_rate(path, fps)
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"{path}: can't write {path.suffix!r}, wanted {' or '.join(writers)}")
    with files.replacing(path) as temporary:
        return write(temporary, frames, fps)


def _picture(frame: av.VideoFrame, film: Film, short_side: int | None) -> np.ndarray:
    """A frame of square pixels, upright: uint8 [H, W, 3]."""
    width, height = square(frame, film)
    if short_side is not None and short_side < min(width, height):
        shrink = Fraction(short_side, min(width, height))
        width, height = round(width * shrink), round(height * shrink)
    pixels = _resized(rgb(frame), width, height)
    return np.ascontiguousarray(upright(pixels, frame))


def square(frame: av.VideoFrame, film: Film) -> tuple[int, int]:
    """Width and height of a frame in square pixels, before it is turned."""
    aspect = film.stream.sample_aspect_ratio or Fraction(1)
    if not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        aspect = Fraction(1)  # A broken mark.
    # Longer, never shorter, so that nothing is lost.
    width = round(frame.width * max(aspect, Fraction(1)))
    height = round(frame.height / min(aspect, Fraction(1)))
    return width, height


def upright(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Pixels [H, W, C] of a frame as its display matrix shows them.

    They are turned by quarters, mirrored, or both. The nine numbers say where the picture's point
    (x, y) is shown: (a x + c y, b x + d y), and a place that does not matter. An angle between two
    quarters counts as the nearer one.
    """
    # Not `frame.rotation`: that is an angle, which of a mirrored picture says half.
    mark: Any = frame.side_data.get("DISPLAYMATRIX")
    if mark is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(mark), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels = pixels.swapaxes(0, 1)
        across, down = c, b
    else:
        across, down = a, d
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def is_opaque(frame: av.VideoFrame) -> bool:
    """Whether no part of a frame can be transparent."""
    return not (frame.format.has_palette or any(one.is_alpha for one in frame.format.components))


def rgb(frame: av.VideoFrame, **size: Any) -> np.ndarray:
    """uint8 [H, W, 3], on a white ground where the frame is transparent.

    size: width and height, where these are others than the frame's.
    """
    if is_opaque(frame):
        return frame.to_ndarray(format="rgb24", **size)
    return np.asarray(on_white(Image.fromarray(frame.to_ndarray(format="rgba", **size))))


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _stack(frames: list[np.ndarray]) -> np.ndarray:
    """Frames of one shape; a video that changes its size keeps the first frame's."""
    height, width = frames[0].shape[:2]
    return np.stack([_resized(frame, width, height) for frame in frames])


def _write_mp4(path: Path, frames: np.ndarray, fps: float) -> int:
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
    return len(frames)


def _write_gif(path: Path, frames: np.ndarray, fps: float) -> int:
    first, *rest = (Image.fromarray(frame) for frame in frames)
    # GIFs count hundredths of a second. Each frame ends at the hundredth next to its true end, so
    # that what is rounded off does not add up. Pillow is given milliseconds.
    ends = np.round(np.arange(len(frames) + 1) * 100 / fps).astype(int)
    durations = (10 * np.diff(ends)).tolist()
    first.save(path, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    with Image.open(path) as image:
        return getattr(image, "n_frames", 1)
