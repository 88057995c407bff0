"""When a player shows a segment. What is wanted is what Chromium 150's currentTime says of these
files (tests/test_moments_in_a_browser.py asks it), and the ffmpeg command's clock where Chromium
can't play them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from input_pipeline.media import video
from input_pipeline.media.segments import SegmentSettings, frames_of, read_segments
from tests import clocks, films
from tests.clocks import LATE, NOW, TENTH, VP9

SETTINGS = SegmentSettings(num_frames=4, image_size=32, shots=False)


def spans(path: Path, settings: SegmentSettings = SETTINGS) -> list[tuple[float, float]]:
    found = read_segments((path, path.with_suffix(".frames")), settings)
    return [(round(one.start, 2), round(one.end, 2)) for one in found]


def numbers(path: Path, count: int) -> list[int]:
    return [films.number_of(frame) for frame in video.read_frames(path, count)]


@pytest.mark.parametrize("kind", clocks.KINDS)
def test_a_segment_has_the_times_that_a_player_shows(tmp_path: Path, kind: str) -> None:
    path = clocks.KINDS[kind].write(tmp_path)
    assert spans(path) == [clocks.KINDS[kind].span]
    if "variable" in kind:
        assert numbers(path, 6) == [2, 3, 3, 6, 7, 9]
    else:
        assert numbers(path, 4) == [2, 7, 12, 17]


def test_an_avi_whose_frames_have_the_times_of_others_is_read_in_order(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.avi", NOW, unit=TENTH, b_frames=2)
    with av.open(str(path)) as file:
        stamps: list[Any] = [frame.pts for frame in file.decode(video=0)]
    assert stamps != sorted(stamps), "AVI knows when packets are decoded, not when they are shown"
    ((start, end),) = spans(path)
    assert end - start == 2 and start <= 0.2
    assert numbers(path, 4) == [2, 7, 12, 17]


def test_a_cut_by_copying_begins_with_what_is_shown(tmp_path: Path) -> None:
    path = clocks.cut_by_copying(tmp_path)
    assert spans(path) == [(0, 1.2)]
    assert numbers(path, 4) == [9, 12, 15, 18]


@pytest.mark.parametrize(
    "starts", [(0, 0), (0, 2), (2, 0), (50, 0), (100, 0), (0, 100), (0, 7200), (40_000, 0)]
)
def test_joined_transport_streams_are_as_long_as_their_parts(
    tmp_path: Path, starts: tuple[float, float]
) -> None:
    path = clocks.joined(tmp_path, *starts)
    assert spans(path) == [(0, 4)]
    assert numbers(path, 8) == [2, 7, 12, 17, 22, 27, 32, 37]
    assert spans(path, SegmentSettings(4, 32, 2.0, shots=False)) == [(0, 2), (2, 4)]


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.webm", VP9)])
def test_a_recording_that_slept_has_a_segment_before_and_one_after(
    tmp_path: Path, name: str, codec: str
) -> None:
    times = [*NOW, *(7200 + time for time in LATE)]
    path = films.write_film(tmp_path / name, times, codec=codec)
    assert spans(path) == [(0, 2), (7202, 7204)]
    shown = frames_of(path.with_suffix(".frames"), SETTINGS)
    found = [[films.number_of(frame) for frame in segment] for segment in shown]
    np.testing.assert_allclose(found, [[2, 7, 12, 17], [22, 27, 32, 37]], atol=1)
    assert numbers(path, 8) == [2, 7, 12, 17, 22, 27, 32, 37]
