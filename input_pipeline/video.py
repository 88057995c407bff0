"""Video files -> frames and frames -> video files (PyAV, Pillow); no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def read_frames(path: str | os.PathLike[str], num_frames: int) -> np.ndarray:
    """Frames evenly spaced over a video: the middle one of each of num_frames equal parts.

    A video of fewer frames repeats some. Rotation marks of phones are honoured.

    Returns:
      uint8 [num_frames, H, W, 3], RGB.
    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it can't be decoded to its end, or holds no frame.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        # Containers declare wrong counts. Packets are counted without decoding; where the decoder
        # makes another number of frames of them, the video is decoded again with the true number.
        total = _count_packets(path)
        while True:
            wanted = positions(num_frames, max(total, 1))
            needed = set(wanted.tolist())
            frames: dict[int, np.ndarray] = {}
            decoded = 0
            for decoded, frame in enumerate(_decode(path), 1):
                if decoded - 1 in needed:
                    frames[decoded - 1] = _upright(frame)
            if decoded in (0, total):
                break
            total = decoded
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise ValueError(f"{path}: can't be decoded as a video: {error}") from error
    if not decoded:
        raise ValueError(f"{path}: no video frame in it, wanted 1 or more")
    return _stack(path, [frames[n] for n in wanted.tolist()])


def positions(num_frames: int, total: int) -> np.ndarray:
    """The middle of each of num_frames equal parts of `total` frames: int64 [num_frames]."""
    return (2 * np.arange(num_frames) + 1) * total // (2 * num_frames)


def fit(picture: np.ndarray, size: int) -> np.ndarray:
    """OpenAI CLIP's preprocessing of a picture: bicubic resize of the short side, centre crop.

    Args:
      picture: uint8 [H, W, 3], RGB.
    Returns:
      uint8 [size, size, 3].
    """
    height, width = picture.shape[:2]
    if width <= height:
        new_width, new_height = size, int(size * height / width)
    else:
        new_width, new_height = int(size * width / height), size
    image = Image.fromarray(picture).resize((new_width, new_height), Image.Resampling.BICUBIC)
    left, top = round((new_width - size) / 2.0), round((new_height - size) / 2.0)
    return np.asarray(image.crop((left, top, left + size, top + size)))


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary, frames, fps)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _open(path: str | os.PathLike[str]) -> av.container.InputContainer:
    # The file alone: a playlist must not open other files or the network.
    return av.open(os.fspath(path), options={"protocol_whitelist": "file"})


def _count_packets(path: str | os.PathLike[str]) -> int:
    with _open(path) as container:
        _require_video(container)
        return sum(1 for packet in container.demux(video=0) if packet.size)


def _decode(path: str | os.PathLike[str]) -> Iterator[av.VideoFrame]:
    with _open(path) as container:
        _require_video(container)
        yield from container.decode(video=0)


def _require_video(container: av.container.InputContainer) -> None:
    if not container.streams.video:
        raise ValueError("no video stream in it")


def _upright(frame: av.VideoFrame) -> np.ndarray:
    # The mark says by how many degrees, counterclockwise, the picture has to be turned.
    quarter_turns = round(frame.rotation / 90)
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns))


def _stack(path: str | os.PathLike[str], frames: list[np.ndarray]) -> np.ndarray:
    """Frames of one shape; a video that changes its size keeps the first frame's."""
    height, width = frames[0].shape[:2]
    same = [
        frame
        if frame.shape[:2] == (height, width)
        else np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))
        for frame in frames
    ]
    return np.stack(same)


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
