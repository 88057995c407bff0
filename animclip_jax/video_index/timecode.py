"""Frame rates and SMPTE time codes."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_NTSC = Fraction(1000, 1001)
_RATES = tuple(map(Fraction, (24, 25, 30, 48, 50, 60))) + tuple(
    rate * _NTSC for rate in (24, 30, 48, 60)
)
# A rate that is nearer to a standard one, as a share of it, is that one: files round theirs.
_ALMOST = Fraction(1, 4000)


class Base(NamedTuple):
    """What a time code counts: frames a second, and whether it drops numbers to keep time."""

    rate: Fraction
    drops: bool = False

    @property
    def each(self) -> int:
        """Numbers a second."""
        return round(self.rate)

    @property
    def dropped(self) -> int:
        """Numbers that each minute leaves out, except for every tenth: 2 of 30, 4 of 60."""
        return self.each // 15 if self.drops else 0

    def frames(self, seconds: float) -> int:
        """The frame that is next to a time."""
        return round(Fraction(seconds) * self.rate)

    def code(self, frame: int) -> str:
        """A frame's time code, as in 01:00:00:12, or 01:00:00;12; after a day it begins anew."""
        number = frame % (24 * 3600 * self.each - 24 * 54 * self.dropped)
        minute = 60 * self.each - self.dropped
        tens, rest = divmod(number, 10 * minute + self.dropped)
        number += self.dropped * (9 * tens + max(0, rest - self.dropped) // minute)
        seconds, part = divmod(number, self.each)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return f"{hour:02}:{minute:02}:{second:02}{';' if self.drops else ':'}{part:02}"

    def frame(self, code: str, each: int) -> int:
        """The frame of a time code that has `each` numbers a second."""
        hour, minute, second, part = map(int, re.split("[:;.]", code))
        minutes = 60 * hour + minute
        number = (60 * minutes + second) * self.each + part * self.each // each
        return number - self.dropped * (minutes - minutes // 10)


def exact(rate: Fraction) -> Fraction:
    """The standard rate that a file means, as 30000/1001 by 29.97; else its own."""
    near = min(_RATES, key=lambda one: abs(one - rate))
    return near if abs(rate - near) <= _ALMOST * near else rate


def editing(rate: Fraction) -> Fraction:
    """The rate of 24 to 60 frames a second that editors have, nearest to it or to a part of it."""
    while rate > _RATES[5] * (1 + _ALMOST):
        rate /= 2
    near = min(_RATES, key=lambda one: abs(one - rate))
    # A rate of no editor's needs no fraction.
    is_like = abs(rate - near) <= near / 100
    return near if is_like else min(_RATES[:6], key=lambda one: abs(one - rate))


def may_drop(rate: Fraction) -> bool:
    """Whether time codes of that rate may leave out numbers: 29.97 and 59.94."""
    return rate in (30 * _NTSC, 60 * _NTSC)
