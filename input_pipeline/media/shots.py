"""Where one shot of a film gives way to the next: cuts, dissolves, fades through a plain colour.

Our design. Every frame is looked at, made very small. A cut is a step between two frames that is
much greater than the other steps around it, unless what comes after a moment is again what was
before: then it was a flash. In a dissolve or a fade each frame is a mixture of one before and one
after it, and of a plain colour, while these two have little in common. Where things or the camera
move, frames are no such mixtures.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

WIDTH, HEIGHT = 32, 18
# A cut is a step of at least so many grey levels, and so many times as great as the second greatest
# within so many seconds: one other cut may be near. Seconds that a flash may last.
LEAST_STEP, TIMES, AROUND, FLASH = 7.0, 2.2, 0.4, 0.25
# Of a step, what a picture after a cut differs at least from those before it.
STAYS = 0.5
# Frames a second that are compared for changes that take time, and seconds that are looked over.
SAMPLES, SPANS = 12, (0.5, 1.0, 2.0)
# Such a change costs the correlation of its two ends and the share of it that is no mixture, the
# latter so many times; this is the most it may cost.
NO_MIXTURE, MOST_COST = 6.0, 0.6
# How far from the middle of a span a change's middle may be, in spans.
OFF_CENTRE = 0.1
# Grey levels of contrast, the standard deviation: below it a picture is plain.
PLAIN = 3.0
# Seconds. A picture that is plain for longer ends a shot. Changes are no nearer to each other.
LONG_PLAIN, APART = 2.0, 1.0


class _Sample(NamedTuple):
    """A frame by its number, less its mean colour: float32 [P]. power: the mean square of it."""

    number: int
    picture: np.ndarray
    power: float


class _Mixed(NamedTuple):
    """A change that takes time, from one frame to another, and what speaks against it."""

    first: int
    middle: int
    last: int
    cost: float


class Shots:
    """Finds the changes while frames are decoded.

    changes: the numbers of the frames that shots begin with, but for the first shot, in order.
    settled: before that frame no other change will be found.
    """

    def __init__(self, rate: float) -> None:
        """rate: frames a second."""
        self.changes: list[int] = []
        self.settled = 0
        self._rate = rate
        self._around = max(3, round(AROUND * rate))
        self._every = max(1, round(rate / SAMPLES))
        self._spans = [max(2, round(span * rate / self._every / 2)) * 2 for span in SPANS]
        self._small = VideoReformatter()
        self._count = 0
        self._frames: deque[np.ndarray] = deque(maxlen=2 * self._around + 1)
        self._steps: deque[float] = deque(maxlen=2 * self._around + 1)
        self._samples: deque[_Sample] = deque(maxlen=max(self._spans) + 1)
        self._mixed: _Mixed | None = None
        self._goes_on = True  # The shot, however long its picture is plain.

    def look(self, frame: av.VideoFrame) -> None:
        """Takes the next frame, in the order of showing."""
        small = self._small.reformat(
            frame, WIDTH, HEIGHT, "yuv444p", interpolation=Interpolation.AREA, threads=1
        )
        picture = small.to_ndarray().reshape(3, -1).astype(np.float32)
        before = self._frames[-1] if self._frames else picture
        self._frames.append(picture)
        self._steps.append(float(np.abs(picture - before).mean()))
        number, self._count = self._count, self._count + 1
        if number >= self._around:
            self._find_cut(self._around)
        if number % self._every == 0:
            self._take_sample(number, picture)
            self._settle(number)

    def finish(self) -> None:
        """Says that there are no more frames."""
        for behind in range(min(self._around, self._count) - 1, -1, -1):
            self._find_cut(behind)
        self._keep_mixed()
        self.settled = self._count

    def _find_cut(self, behind: int) -> None:
        """Whether there is a cut at the frame that is so far behind the last one."""
        place = len(self._frames) - 1 - behind
        step = self._steps[place]
        first = max(0, place - self._around)
        others = sorted([*self._steps][first : place + self._around + 1])
        # Its own step must be the greatest, so that the second greatest of the others is the third.
        if step < LEAST_STEP or step < others[-1] or len(others) < 3 or step < TIMES * others[-3]:
            return
        frames, flash = [*self._frames], max(3, round(FLASH * self._rate))
        before = np.stack(frames[max(0, place - flash) : place])
        after = np.stack(frames[place : place + flash + 1])
        if np.abs(before[:, None] - after).mean((2, 3)).min() >= STAYS * step:
            bisect.insort(self.changes, self._count - 1 - behind)

    def _take_sample(self, number: int, picture: np.ndarray) -> None:
        centred = (picture - picture.mean(1, keepdims=True)).ravel()
        power = float(centred @ centred) / centred.size
        if power < PLAIN**2:
            plain = number - self._samples[-1].number if self._samples else 0
            if plain > LONG_PLAIN * self._rate:
                self._samples.clear()
                self._goes_on = False
            return
        if not self._goes_on:
            self._propose(_Mixed(number - self._every, number, number, 0.0))
            self._goes_on = True
        self._samples.append(_Sample(number, centred, power))
        for span in self._spans:
            if span < len(self._samples):
                self._find_mixed([*self._samples][-span - 1 :])

    def _find_mixed(self, samples: list[_Sample]) -> None:
        """Whether the samples between the ends are mixtures of both, half and half in the middle.

        Each is projected on the plane of the ends: p times the first and q times the last.
        """
        (_, begin, first), *between, (_, end, last) = samples
        both = float(begin @ end) / begin.size
        correlation = both / math.sqrt(first * last)
        # A picture and its negative have a plain colour between them, and no plane.
        if not -0.99 < correlation <= MOST_COST:
            return
        pictures = np.stack([one.picture for one in between])
        to_first, to_last = pictures @ begin / begin.size, pictures @ end / begin.size
        area = first * last - both**2
        p, q = (to_first * last - to_last * both) / area, (to_last * first - to_first * both) / area
        middle = 1 + int(np.argmax(q > p))
        if abs(middle / (len(samples) - 1) - 0.5) > OFF_CENTRE:
            return
        power = np.array([one.power for one in between])
        left = np.maximum(0, power - p * to_first - q * to_last).mean()
        cost = correlation + NO_MIXTURE * float(left) / (first + last - 2 * both)
        if cost <= MOST_COST:
            numbers = samples[0].number, samples[middle].number, samples[-1].number
            self._propose(_Mixed(*numbers, cost))

    def _propose(self, found: _Mixed) -> None:
        """Of changes that overlap, keeps the one that costs least."""
        held = self._mixed
        if held is not None and found.first >= held.last:
            self._keep_mixed()
            held = None
        if held is None or found.cost < held.cost:
            self._mixed = found

    def _keep_mixed(self) -> None:
        """A change that takes time counts where no cut explains it."""
        held, self._mixed = self._mixed, None
        if held is None:
            return
        apart = APART * self._rate
        if not any(
            held.first < one <= held.last or abs(one - held.middle) < apart for one in self.changes
        ):
            bisect.insort(self.changes, held.middle)

    def _settle(self, number: int) -> None:
        """Moves `settled` on, to where neither a cut nor a mixture can be found any more."""
        oldest = self._samples[0].number if self._samples else number
        known = number - self._around - APART * self._rate
        if self._mixed is not None and min(oldest, known) >= self._mixed.last:
            self._keep_mixed()
        held = number if self._mixed is None else self._mixed.first
        self.settled = max(0, min(number - self._around, oldest, held))
