"""Odd video files that tests make: any times, any container, with sound or a cover."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

THOUSANDTH, TS = Fraction(1, 1000), Fraction(1, 90000)


def greys(count: int) -> np.ndarray:
    """Frames uint8 [count, 48, 64, 3]; frame n is grey of level 16 + 5 n."""
    return np.broadcast_to(
        (16 + 5 * np.arange(count, dtype=np.uint8))[:, None, None, None], (count, 48, 64, 3)
    )


def number_of(frame: np.ndarray) -> int:
    """Which one of `greys` a frame is."""
    return round((float(frame.mean()) - 16) / 5)


def write_film(
    path: Path,
    times: Sequence[float],
    pictures: np.ndarray | None = None,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    b_frames: int = 0,
    unit: Fraction = THOUSANDTH,
    sound: tuple[float, float] | None = None,
    beep: tuple[float, float] = (0.0, 0.0),
    format: str | None = None,
) -> Path:
    """Writes `pictures`, else `greys`, each shown from its time in seconds on.

    sound: from which second on there is silence, and for how many. beep: between which seconds a
    tone is heard in it.
    """
    pictures = greys(len(times)) if pictures is None else pictures
    with av.open(str(path), "w", format=format, options=options or {}) as file:
        stream: Any = file.add_stream(codec, rate=10)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = unit
        if codec == "libx264":
            stream.options = {"bf": str(b_frames), "g": "5"}
        if codec in ("mpeg4", "mjpeg", "wmv2"):
            stream.options = {"qmin": "1", "qmax": "1"}
        voice = sound and file.add_stream("libopus" if "vp9" in codec else "aac", rate=48000)
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(Fraction(time).limit_denominator(1000) / unit), unit
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if sound:
            _write_silence(file, voice, *sound, beep)
    return path


def write_turned(path: Path) -> Path:
    """Writes a MOV of three pictures, dark on the left and light on the right, to be turned by 90°.

    Its pictures are 64 x 48 pixels; a player shows 48 x 64.
    """
    half = np.full((48, 64, 3), 90, np.uint8)
    half[:, 32:] = 250
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.set_display_rotation(90)
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(half, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def _write_silence(
    file: Any, voice: Any, start: float, seconds: float, beep: tuple[float, float] = (0.0, 0.0)
) -> None:
    for number in range(round(seconds * 48000 / 1024)):
        at = start + (1024 * number + np.arange(1024)) / 48000
        tone = 9000 * np.sin(2 * np.pi * 440 * at) * ((beep[0] <= at) & (at < beep[1]))
        samples = np.repeat(tone.astype(np.int16), 2)[None]
        frame = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
        frame.rate, frame.time_base = 48000, Fraction(1, 48000)
        frame.pts = round(start * 48000) + 1024 * number
        file.mux(voice.encode(frame))
    file.mux(voice.encode(None))


def cover() -> bytes:
    """A green JPEG, larger than the films here."""
    buffer = io.BytesIO()
    Image.new("RGB", (320, 320), (0, 200, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_covered(
    path: Path, kind: str, film: bool = True, sound: bool = False, marked: bool = True
) -> Path:
    """Six of `greys` at 10 a second and a cover: kind "stream", its first, or "attachment"."""
    with av.open(str(path), "w") as file:
        picture: Any = None
        if kind == "stream":
            picture = file.add_stream("mjpeg", rate=1)
            picture.width = picture.height = 320
            picture.pix_fmt = "yuvj420p"
            if marked:
                picture.disposition = av.stream.Disposition.attached_pic
        else:
            file.add_attachment("cover.jpg", "image/jpeg", cover())
        stream: Any = film and file.add_stream("libx264", rate=10)
        if film:
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        voice = sound and file.add_stream("aac", rate=48000)
        file.start_encoding()
        if picture is not None:
            packet = av.Packet(cover())
            packet.stream, packet.pts, packet.dts = picture, 0, 0
            file.mux(packet)
        if film:
            for one in greys(6):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(one), format="rgb24")
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        if sound:
            _write_silence(file, voice, 0, 1)
    return path


def marked_first(path: Path) -> None:
    """Puts an MP4's marks (udta, which holds its cover) before its streams."""
    data = path.read_bytes()
    start = data.index(b"moov") - 4
    parts, place = [], start + 8
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        parts.append(data[place : place + size])
        place += size
    parts.sort(key=lambda part: {b"mvhd": 0, b"udta": 1}.get(part[4:8], 2))
    path.write_bytes(data[: start + 8] + b"".join(parts))


def mark_encrypted(path: Path) -> None:
    """Says in the header of a live WebM that its frames are encrypted; they are not."""
    data = path.read_bytes()
    tracks = data.rindex(bytes.fromhex("1654ae6b"))  # The first is a table of contents.
    track = data.index(b"\xae", tracks + 4)
    key = _element("47e1", b"\x05") + _element("47e2", b"a key's name")
    mark = _element("6d80", _element("6240", _element("5033", b"\x01") + _element("5035", key)))
    start, length = _size(data, track + 1)
    entry = data[start : start + length] + mark
    start_all, length_all = _size(data, tracks + 4)
    rest = data[start_all + length_all :]
    path.write_bytes(data[:tracks] + _element("1654ae6b", _element("ae", entry)) + rest)


def _element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + b"\x01" + len(content).to_bytes(7, "big") + content


def _size(data: bytes, place: int) -> tuple[int, int]:
    """Where an element's content starts, and its length, by the size that stands at `place`."""
    width = 9 - data[place].bit_length()
    size = int.from_bytes(data[place : place + width], "big") & ~(1 << 7 * width)
    return place + width, size
