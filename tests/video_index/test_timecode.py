"""Time codes against OpenTimelineIO's."""

from fractions import Fraction

import opentimelineio
import pytest

from animclip_jax.video_index.timecode import Base, editing, exact, may_drop

NTSC = Fraction(1000, 1001)
BASES = [Base(Fraction(rate)) for rate in (24, 25, 30, 48, 50, 60)]
BASES += [Base(rate * NTSC, drops) for rate in (30, 60) for drops in (False, True)]
BASES += [Base(24 * NTSC)]


@pytest.mark.parametrize("base", BASES, ids=lambda base: f"{float(base.rate):.5g} {base.drops}")
def test_frames_have_the_codes_that_the_library_gives(base):
    minutes = [60 * base.each * n + more for n in range(1, 700, 9) for more in range(-30, 30)]
    for frame in [*range(0, 20_000, 7), *minutes]:
        time = opentimelineio.opentime.RationalTime(frame, float(base.rate))
        wanted = opentimelineio.opentime.to_timecode(time, float(base.rate), base.drops)
        assert base.code(frame) == wanted
        assert base.frame(wanted, base.each) == frame


def test_a_day_begins_anew():
    for base, frames in ((Base(Fraction(25)), 2_160_000), (Base(30 * NTSC, True), 2_589_408)):
        assert base.code(frames) == base.code(0) != base.code(frames - 1)


def test_codes_of_another_rate_keep_the_clock():
    assert Base(Fraction(25)).code(Base(Fraction(25)).frame("10:00:02:15", 30)) == "10:00:02:12"


@pytest.mark.parametrize(
    "rate, meant, edited",
    [
        ("30000/1001", "30000/1001", "30000/1001"),
        ("2997/100", "30000/1001", "30000/1001"),
        ("23976/1000", "24000/1001", "24000/1001"),
        ("24/1", "24", "24"),
        ("25/1", "25", "25"),
        ("2983/100", "2983/100", "30000/1001"),
        ("120/1", "120", "60"),
        ("120000/1001", "120000/1001", "60000/1001"),
        ("10/1", "10", "24"),
        ("90/1", "90", "48"),
    ],
)
def test_rates_are_those_of_editors(rate, meant, edited):
    assert exact(Fraction(rate)) == Fraction(meant)
    assert editing(Fraction(rate)) == Fraction(edited)
    assert may_drop(Fraction(edited)) == ("00/1001" in edited and not edited.startswith("24"))
