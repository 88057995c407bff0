"""A video file, opened: its film, the times of its frames, and why it can't be read."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
from av.format import Flags
from av.stream import Disposition

from animclip_jax import words
from input_pipeline.media.timing import UNKNOWN_RATE, Clock, Timing, timing

# What FFmpeg may take a file for: formats of one file. Playlists, lists of files and patterns of
# names (hls, dash, concat, image2, sdp) could open others.
FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "asf", "flv", "swf", "ogg", "rm"),
    *("gif", "h264", "hevc", "m4v", "mjpeg", "jpeg_pipe", "ivf", "obu", "dv", "mxf", "nut"),
)
# Players, browsers among them, show these files' times as they are; in others the first is 0:00.
ABSOLUTE = {"mov", "matroska"}
# 8K is half of it; a frame of more would take gigabytes.
MAX_PIXELS = 67_108_864
# Covers of albums and films, and pictures of chapters: streams of video to FFmpeg, to nobody else.
PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
# What a cover is encoded by where no mark says that it is one. Films may be, too.
STILLS = {"mjpeg", "png", "bmp", "gif", "tiff", "webp"}
# Bytes of a packet of a transport stream. The upper bit of the fourth says that it is encrypted.
TS_PACKET = 188
ENCRYPTED = "encrypted: its frames can't be read without a key; wanted a copy without protection"


class Film(NamedTuple):
    """A stream of moving pictures, and the open file that it is in."""

    file: av.container.InputContainer
    stream: av.VideoStream


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Film]:
    """The film in a file: of several streams the one marked as default, else the first.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it can't be read, or the block's work on it failed; with the file and the reason.
      MemoryError: reading it takes too much.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with _open(path) as file:
            yield Film(file, _stream(file))
    except MemoryError:  # FFmpeg's too: the limit, whoever set it, has words of its own.
        raise
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ValueError(f"{path}: can't be decoded as a video: {reason}") from error


def clock_of(film: Film) -> Clock:
    """How the stamps of a film's frames are to be read."""
    file, stream = film
    unit = stream.time_base or Fraction(1, UNKNOWN_RATE)
    zero = 0
    if file.start_time is not None and ABSOLUTE.isdisjoint(file.format.name.split(",")):
        zero = round(Fraction(file.start_time, av.time_base) / unit)
    flags = Flags(file.format.flags)
    # Of a bare stream the average is FFmpeg's default, the guess what the codec says.
    average = None if Flags.no_timestamps in flags else stream.average_rate
    rate = average or stream.guessed_rate
    return Clock(
        Fraction(unit.numerator, unit.denominator),
        Fraction(rate.numerator, rate.denominator) if rate else None,
        zero,
        Flags.ts_discont in flags,
    )


def packets(film: Film) -> Iterator[av.Packet]:
    """The packets of frames that are shown, as they lie in the file. Raises ValueError."""
    for packet in film.file.demux(film.stream):
        # What an edit list leaves out is decoded, for others need it, and not shown.
        if not packet.size or packet.is_discard:
            continue
        if packet.has_sidedata("encryption_info"):
            raise ValueError(ENCRYPTED)
        yield packet


def stamps_of(packets: Iterable[av.Packet]) -> list[int | None]:
    """The times that packets tell, in the order of showing."""
    # Up to where a clock starts anew.
    runs: list[list[int | None]] = [[]]
    last = None
    for packet in packets:
        if last is not None and packet.dts is not None and packet.dts < last:
            runs.append([])
        last = packet.dts if packet.dts is not None else last
        runs[-1].append(packet.pts)
    found: list[int | None] = []
    for run in runs:
        known = [stamp for stamp in run if stamp is not None]
        found += sorted(known) if len(known) == len(run) else run
    return found


def packet_timing(path: str | os.PathLike[str]) -> Timing:
    """When frames are shown, without decoding them: a decoder may find it otherwise.

    Raises FileNotFoundError, ValueError as `opened`.
    """
    with opened(path) as film:
        return timing(stamps_of(packets(film)), clock_of(film))


def decode(film: Film) -> Iterator[av.VideoFrame]:
    """Every frame, in the order of showing.

    Raises ValueError where there is none, or where it breaks: after how many of how many.
    """
    count = 0
    try:
        for frame in film.file.decode(film.stream):
            count += 1
            yield frame
    except (MemoryError, OSError):  # Of this machine, not of the film.
        raise
    except av.FFmpegError as error:
        total = film.stream.frames or _count(film)
        before = f"{count:,} of " if total > count else ""
        frames = words.count(max(total, count), "frame")
        raise ValueError(f"breaks after {before}{frames}: damaged or cut short") from error
    if not count and _is_scrambled(film):
        raise ValueError(ENCRYPTED)
    if not count and film.stream.frames:
        raise ValueError(
            f"none of its {words.count(film.stream.frames, 'frame')} is in the file: cut short"
        )
    if not count:
        raise ValueError("no video frame in it, wanted 1 or more")


def _open(path: str | os.PathLike[str]) -> av.container.InputContainer:
    # The file alone, whatever it is called: neither the network nor a format that opens others.
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    try:
        return av.open(os.path.abspath(path), options=options)
    except (av.ArgumentError, av.InvalidDataError, av.EOFError) as error:
        with open(path, "rb") as file:
            raise ValueError(_why_not(file)) from error


def _why_not(file: BinaryIO) -> str:
    """Why a file can't be opened."""
    start = file.read(8)
    if not start:
        return "the file is empty"
    if start[4:] == b"ftyp":
        length = os.fstat(file.fileno()).st_size
        parts = dict(_parts(file))
        if b"moov" not in parts:
            return "an MP4 or MOV without its index (moov): cut short, or never finished"
        if (wanted := max(parts.values())) > length:
            return f"an MP4 or MOV that is cut short: {length} of {wanted} bytes"
    return f"damaged, or not a video format that can be read ({', '.join(FORMATS)})"


def _parts(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The outermost parts of an MP4: each one's name, and the byte where it ends."""
    place = 0
    while True:
        file.seek(place)
        start = file.read(16)
        if len(start) < 8:
            return
        size = int.from_bytes(start[:4], "big")
        if size == 1:  # A long one: its size stands behind its name.
            size = int.from_bytes(start[8:], "big")
        yield start[4:8], place + size
        if size < 8:  # To the end of the file, or no part at all.
            return
        place += size


def _stream(file: av.container.InputContainer) -> av.VideoStream:
    films = [one for one in file.streams.video if not _is_picture(one, file)]
    if not films:
        others = {stream.type for stream in file.streams} - {"video"}
        kinds = sorted(others) + ["a cover picture"] * bool(file.streams.video)
        raise ValueError(f"no video stream in it, only {' and '.join(kinds) or 'its header'}")
    film = next((one for one in films if one.disposition & Disposition.default), films[0])
    if "enc_key_id" in film.metadata:  # Matroska's and WebM's; of others the packets say so.
        raise ValueError(ENCRYPTED)
    codec = film.codec_context
    if codec is None:
        raise ValueError("its codec is not known: damaged, cut short, or too new")
    if codec.width * codec.height > MAX_PIXELS:
        raise ValueError(f"{codec.width} x {codec.height} pixels, wanted {MAX_PIXELS} at most")
    # Whoever reads many videos does so in many processes.
    codec.thread_count = 1
    return film


def _is_picture(stream: av.VideoStream, file: av.container.InputContainer) -> bool:
    """Whether a stream of video is a picture that comes with a film or with music."""
    if stream.disposition & PICTURES:
        return True
    alone = len(file.streams.video) == 1 and not file.streams.audio
    codec = stream.codec_context
    if alone or codec is None or codec.name not in STILLS:
        return False
    with _open(file.name) as again:
        packets = (packet for packet in again.demux(stream.index) if packet.size)
        return len([*itertools.islice(packets, 2)]) < 2


def _is_scrambled(film: Film) -> bool:
    """Whether a broadcast's packets are marked as encrypted, which hides its frames altogether."""
    if film.file.format.name != "mpegts":
        return False
    with open(film.file.name, "rb") as file:
        start = file.read(TS_PACKET * 1000)
    marks = (start[place + 3] for place in range(0, len(start) - 3, TS_PACKET))
    return any(mark & 0x80 for mark in marks)


def _count(film: Film) -> int:
    """How many frames a file has, where its header does not say: 0 where that can't be found."""
    with contextlib.suppress(FileNotFoundError, ValueError), opened(film.file.name) as again:
        return len(stamps_of(packets(again)))
    return 0
