"""Tests of input_pipeline.media.timing."""

from __future__ import annotations

from fractions import Fraction

import pytest

from input_pipeline.media.timing import Clock, Timing, positions, positions_in_time, timing

HUNDREDTH = Fraction(1, 100)
FILE = Clock(HUNDREDTH, Fraction(10))
STREAM = Clock(HUNDREDTH, Fraction(10), restarts=True)
TENTHS = [10 * n for n in range(20)]


def test_positions_are_the_middles_of_equal_parts() -> None:
    assert positions(4, 16).tolist() == [2, 6, 10, 14]
    assert positions(3, 3).tolist() == [0, 1, 2]
    assert positions(4, 1).tolist() == [0, 0, 0, 0]


def test_positions_in_time_of_a_constant_rate_are_the_middles() -> None:
    for total in range(1, 40):
        for num_frames in (1, 3, 4, 16):
            wanted = positions(num_frames, total).tolist()
            for times in ([7 * n + 5 for n in range(total)], timing([None] * total, FILE).times):
                assert positions_in_time(num_frames, times).tolist() == wanted


def test_positions_in_time_follow_the_clock() -> None:
    # The first frame is shown for 6, the others for 1; the last one for the mean of 2: 12 in all.
    times = [0, 6, 7, 8, 9, 10]
    assert positions_in_time(6, times).tolist() == [0, 0, 0, 2, 4, 5]
    # Times that stand still say nothing.
    assert positions_in_time(3, [4, 4, 4]).tolist() == [0, 1, 2]
    assert positions_in_time(2, []).tolist() == [0, 0]


def test_a_film_begins_where_its_file_says() -> None:
    found = timing([200 + time for time in TENTHS], FILE)
    assert (found.times, found.start, found.seconds) == (TENTHS, 2.0, 2.0)
    assert found.shown(0.5, 5) == 2.5
    found = timing([200 + time for time in TENTHS], FILE._replace(zero=150))
    assert (found.times, found.start) == (TENTHS, 0.5)
    assert timing([-50, -40], FILE).start == 0.0, "no player shows what is before its zero"


@pytest.mark.parametrize(
    ("clock", "fall"),
    [(FILE, -110), (FILE, -360_000), (STREAM, -10), (STREAM, -190), (STREAM, -360_000)],
)
def test_after_a_fall_the_film_goes_on(clock: Clock, fall: int) -> None:
    found = timing([*TENTHS, *(190 + fall + time for time in TENTHS)], clock)
    assert found.times == [*TENTHS, *(200 + time for time in TENTHS)]
    assert (found.start, found.seconds, found.breaks) == (0.0, 4.0, ())


def test_where_a_stream_jumps_a_player_goes_on_without_a_gap() -> None:
    for jump in (1010, 360_000, 9_500_000):
        found = timing([*TENTHS, *(190 + jump + time for time in TENTHS)], STREAM)
        assert found.times == [*TENTHS, *(200 + time for time in TENTHS)]
        assert found.breaks == () and found.shown(3.0, 30) == 3.0


def test_where_a_file_jumps_a_player_jumps_and_the_film_goes_on() -> None:
    found = timing([*TENTHS, *(190 + 360_000 + time for time in TENTHS)], FILE)
    assert found.times == [*TENTHS, *(200 + time for time in TENTHS)]
    ((frame, seconds),) = found.breaks
    assert frame == 20 and seconds == pytest.approx(3599.9)
    assert found.shown(1.9, 19) == 1.9 and found.shown(2.0, 20) == pytest.approx(3601.9)


def test_a_picture_that_stands_is_no_break() -> None:
    for clock, standing in ((FILE, 29_000), (STREAM, 900)):
        times = [*TENTHS, 190 + standing, 200 + standing]
        assert timing(times, clock).times == times
    slow = [1500 * n + 200 * (n % 2) for n in range(9)]
    assert timing(slow, STREAM).times == slow, "13 to 17 seconds are usual there"


def test_frames_of_one_moment_may_come_in_another_order() -> None:
    found = timing([0, 30, 10, 20, 40, 70, 50, 60], FILE)
    assert found.times == [0, 10, 20, 30, 40, 50, 60, 70]


def test_a_frame_without_a_time_is_shown_after_the_one_before() -> None:
    assert timing([0, 10, None, 30, None, None], FILE).times == [0, 10, 20, 30, 40, 50]
    found = timing([None, None, 30, 40], FILE)
    assert (found.times, found.start) == ([0, 10, 20, 30], 0.1)


def test_without_times_the_rate_counts() -> None:
    assert timing([None] * 20, FILE) == Timing([*range(20)], Fraction(1, 10))
    assert timing([None] * 20, FILE).seconds == 2.0
    for rate in (None, Fraction(0), Fraction(90_000), Fraction(1, 3600)):
        assert timing([None] * 20, FILE._replace(rate=rate)).seconds == 0.8, "25 a second"


def test_one_frame_is_shown_for_as_long_as_its_rate_says() -> None:
    assert timing([70], FILE) == Timing([0], HUNDREDTH, 10, 0.7)
    assert timing([70], FILE).seconds == 0.1
    assert timing([], FILE).seconds == 0.1


def test_absurd_times_end_nowhere() -> None:
    found = timing([-(2**62), 2**62, 0, None], FILE)
    assert len(found.times) == 4 and found.times == sorted(found.times)
    assert positions_in_time(4, found.times).tolist() == [0, 1, 2, 3]
