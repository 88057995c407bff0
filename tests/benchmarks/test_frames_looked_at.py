"""When CLIP4Clip's frames and ours are shown."""

import numpy as np
import pytest

from benchmarks import frames_looked_at


def test_a_second_of_theirs_is_a_whole_number_of_frames():
    # 29.97 frames a second count as 29, so that the frame of "second" 11 is shown at 10.64 s.
    found = frames_looked_at.theirs(11.5, 30000 / 1001)
    assert len(found) == 12
    np.testing.assert_allclose(found[[0, 1, 11]], [0, 29 / 29.97, 11 * 29 / 29.97], atol=1e-4)


def test_of_many_seconds_theirs_are_chosen_by_linspace():
    found = frames_looked_at.theirs(30.0, 30.0)
    assert found.tolist() == [0, 2, 5, 7, 10, 13, 15, 18, 21, 23, 26, 29]
    assert frames_looked_at.theirs(7.5, 25.0).tolist() == [*range(8)]


def test_ours_are_middles_of_the_sixteen_that_are_kept():
    found = frames_looked_at.ours(16.0)
    assert len(found) == 12 and set(found % 1) == {0.5}
    assert found[0] == 0.5 and found[-1] == 15.5


def test_the_table_says_how_far_apart_they_are():
    cells = frames_looked_at.row([30.0, 8.0], 30.0).split("|")
    apart = np.abs(frames_looked_at.theirs(30.0, 30.0) - frames_looked_at.ours(30.0))
    assert cells[2].strip() == "50%" and cells[3].strip() == f"{apart.mean():.2f} s"
    assert apart.mean() > 0.5 and float(cells[5].split()[0]) == pytest.approx(1.0)
