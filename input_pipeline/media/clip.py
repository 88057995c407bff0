"""A few seconds of a video: its frames and its sound, on a player's clock."""

from __future__ import annotations

import bisect
import contextlib
import functools
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.format import Flags

from input_pipeline.media.container import Film, clock_of, opened, packets, stamps_of
from input_pipeline.media.timing import timing
from input_pipeline.media.workers import cores

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


@contextlib.contextmanager
def decoding(clip: Clip) -> Iterator[Film]:
    """The file of a clip, whose decoder may use some threads: nobody else decodes in this process.

    Raises FileNotFoundError and ValueError as `opened`.
    """
    with opened(clip.path) as film:
        film.stream.codec_context.thread_count = min(THREADS, cores())
        film.stream.codec_context.thread_type = "AUTO"
        yield film


def _sought(film: Film, sound: Sound, clip: Clip, earlier: float = 0.0) -> Shown:
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


def _counted(film: Film, sound: Sound, clip: Clip) -> Shown:
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


def _decoded(film: Film, sound: Sound, skipped: int = 0) -> Iterator[av.VideoFrame]:
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


class Sound:
    """What is heard beside a film during a clip.

    listens: whether it is wanted. shift: seconds from its stamps to a player's clock, if known.
    last: until when it was heard.
    """

    def __init__(self, film: Film, clip: Clip, listens: bool = True):
        found = film.file.streams.audio if listens else ()
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


# Ways to read a clip, each for videos where those before it find nothing. A video whose times can
# be trusted is sought in, others are read from their beginning, and decoded just before the clip.
WAYS: tuple[Callable[[Film, Sound, Clip], Shown], ...] = (
    _sought,
    functools.partial(_sought, earlier=EARLIER),
    _counted,
)
