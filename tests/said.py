"""Subtitles that tests make: files of them, and tracks in a video."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

Lines = Sequence[tuple[float, float, str]]
Packets = Sequence[tuple[float, float, str | bytes]]
_ASS = b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\n[Events]\n"


def srt(lines: Lines) -> str:
    """A file of SubRip, of (start, end, text) in seconds."""
    return "".join(
        f"{number}\n{_time(start)} --> {_time(end)}\n{text}\n\n"
        for number, (start, end, text) in enumerate(lines, 1)
    )


def vtt(lines: Lines) -> str:
    """A file of WebVTT."""
    return "WEBVTT\n\n" + srt(lines).replace(",", ".")


def _time(seconds: float) -> str:
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"


def embed(film: Path, lines: Packets, path: Path, *more: Packets) -> Path:
    """Writes a film again with a track of text, or several, in .mkv or .mp4."""
    is_mp4 = path.suffix == ".mp4"
    with av.open(str(film)) as given, av.open(str(path), "w") as file:
        shown = file.add_stream_from_template(given.streams.video[0])
        tracks: list[Any] = [file.add_stream("mov_text" if is_mp4 else "srt") for _ in (0, *more)]
        for track in tracks:
            track.codec_context.subtitle_header = _ASS
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = shown
                file.mux(packet)
        for track, told in zip(tracks, (lines, *more), strict=True):
            unit: Any = track.time_base or shown.time_base
            for start, end, text in told:
                line = _packet(text, is_mp4)
                line.stream, line.time_base = track, unit
                line.pts = line.dts = round(start / unit)
                line.duration = round((end - start) / unit)
                file.mux(line)
    return path


def _packet(text: str | bytes, is_mp4: bool) -> Any:
    """Text as a track holds it; bytes are written as they are."""
    if isinstance(text, bytes):
        return av.Packet(text)
    data = text.encode()
    return av.Packet(len(data).to_bytes(2, "big") + data if is_mp4 else data)
