"""When each frame of a video is shown: by the film's own clock, and by that of a player.

Most files have one clock. A transport stream that was joined, or a recording that slept, has a
clock that falls or jumps. There the film goes on after the usual duration of a frame.
"""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

# Frames a second of a video that says nothing about its times, and what is believed of a header.
UNKNOWN_RATE = 25
RATES = (Fraction(1, 10), Fraction(1000))
# A longer step is a break, unless steps of a tenth of it are usual: where the format's clock may
# start anew (players assume the same there), and in other formats, where a picture may stand long.
LONGEST_STEP, LONGEST_STANDING = 10, 300
# Where no clock starts anew, frames of one moment may come in another order (H.264 in AVI does). A
# greater fall is a break.
DISORDER = 1


class Clock(NamedTuple):
    """What a file says of its times.

    unit: seconds of a tick. rate: frames a second, None where it is unknown. zero: ticks that a
    player shows as 0:00. restarts: whether the format's clock may start anew, as it does where
    transport streams are joined; players go on there without a gap.
    """

    unit: Fraction
    rate: Fraction | None
    zero: int = 0
    restarts: bool = False


class Timing(NamedTuple):
    """When each frame is shown.

    times: ticks since the first frame, which never fall, one a frame. unit: seconds of a tick.
    usual: ticks that a frame is shown for as a rule. start: seconds that a player shows at the
    first frame. breaks: (number of a frame, seconds by which a player's clock jumps ahead of the
    film's at that frame).
    """

    times: list[int]
    unit: Fraction
    usual: int = 1
    start: float = 0.0
    breaks: tuple[tuple[int, float], ...] = ()

    @property
    def seconds(self) -> float:
        """The film's duration; the last frame is shown for the mean of the other durations."""
        count = len(self.times)
        if count < 2 or not self.times[-1]:
            return float(max(1, count) * self.usual * self.unit)
        return float(self.times[-1] * self.unit * count / (count - 1))

    def at(self, frame: int) -> float:
        """Seconds of the film before a frame is shown; of one beyond the last, before that."""
        return float(self.times[min(frame, len(self.times) - 1)] * self.unit)

    def shown(self, seconds: float, frame: int) -> float:
        """What a player's clock says `seconds` after the film's begin, while it shows `frame`."""
        return self.start + seconds + sum(jump for first, jump in self.breaks if first <= frame)


def timing(stamps: Sequence[int | None], clock: Clock) -> Timing:
    """The timing of frames in the order of showing, each with its time in ticks, or None."""
    rate = clock.rate if clock.rate and RATES[0] <= clock.rate <= RATES[1] else None
    if all(stamp is None for stamp in stamps):
        return Timing([*range(len(stamps))], 1 / (rate or Fraction(UNKNOWN_RATE)))
    steps = [
        after - before
        for before, after in zip(stamps, stamps[1:], strict=False)
        if before is not None and after is not None and after > before
    ]
    by_rate = max(1, round(1 / ((rate or UNKNOWN_RATE) * clock.unit)))
    usual = statistics.median_low(steps) if steps else by_rate
    runs = _runs(_filled(stamps, usual), usual, clock)
    start = max(0.0, float((runs[0][0] - clock.zero) * clock.unit))
    times: list[int] = []
    breaks = []
    for before, run in zip([None, *runs], runs, strict=False):
        begin = times[-1] + usual if before else 0
        jump = run[0] - before[-1] - usual if before else 0
        if jump > 0 and not clock.restarts:
            breaks.append((len(times), float(jump * clock.unit)))
        times += [begin + stamp - run[0] for stamp in run]
    return Timing(times, clock.unit, usual, start, tuple(breaks))


def _filled(stamps: Sequence[int | None], usual: int) -> list[int]:
    """A frame that says nothing is shown `usual` ticks after the one before it."""
    first, known = next((n, stamp) for n, stamp in enumerate(stamps) if stamp is not None)
    last = known - (first + 1) * usual
    found = []
    for stamp in stamps:
        last = last + usual if stamp is None else stamp
        found.append(last)
    return found


def _runs(stamps: Sequence[int], usual: int, clock: Clock) -> list[list[int]]:
    """The frames between breaks, each run in order."""
    longest = LONGEST_STEP if clock.restarts else LONGEST_STANDING
    most = max(longest / clock.unit, Fraction(10 * usual))
    least = 0 if clock.restarts else -DISORDER / clock.unit
    runs = [[stamps[0]]]
    for before, after in zip(stamps, stamps[1:], strict=False):
        if least <= after - before <= most:
            runs[-1].append(after)
        else:
            runs.append([after])
    return [sorted(run) for run in runs]


def positions_in_time(num_frames: int, times: Sequence[int]) -> np.ndarray:
    """Which frames are on screen in the middle of num_frames equal parts of a video's duration.

    Args:
      times: when each frame is shown, in any unit; they never fall. The last one is shown for the
        mean of the other durations.
    Returns:
      int64 [num_frames], the same as `positions` where the frame rate is constant.
    """
    steps = len(times) - 1
    if steps < 1 or times[0] == times[-1]:
        return positions(num_frames, max(len(times), 1))
    span = times[-1] - times[0]
    middles = [
        times[0] + (2 * n + 1) * span * (steps + 1) // (2 * num_frames * steps)
        for n in range(num_frames)
    ]
    return np.array([bisect.bisect_right(times, middle) - 1 for middle in middles])


def positions(num_frames: int, total: int) -> np.ndarray:
    """The middle of each of num_frames equal parts of `total` frames: int64 [num_frames]."""
    return (2 * np.arange(num_frames) + 1) * total // (2 * num_frames)
