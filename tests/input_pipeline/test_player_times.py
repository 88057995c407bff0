"""When a player shows a segment. What is wanted is what Chromium 150's currentTime says of these
files, tried by hand, and the ffmpeg command's clock where Chromium can't play them.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from input_pipeline.media import video
from input_pipeline.media.segments import SegmentSettings, frames_of, read_segments
from tests import films

SETTINGS = SegmentSettings(num_frames=4, image_size=32, shots=False)
# Frames of two seconds at 10 a second, from 0, 2 and 10 seconds on.
NOW, LATE, LATER = ([start + n / 10 for n in range(20)] for start in (0, 2, 10))
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+delay_moov"}
LIVE = {"live": "1"}
VP9, MPEG4 = "libvpx-vp9", "mpeg4"
TENTH = Fraction(1, 10)


def spans(path: Path, settings: SegmentSettings = SETTINGS) -> list[tuple[float, float]]:
    found = read_segments((path, path.with_suffix(".frames")), settings)
    return [(round(one.start, 2), round(one.end, 2)) for one in found]


def numbers(path: Path, count: int) -> list[int]:
    return [films.number_of(frame) for frame in video.read_frames(path, count)]


CONTAINERS: dict[str, tuple[str, dict[str, Any], tuple[float, float]]] = {
    "mp4": ("clip.mp4", {"times": NOW}, (0, 2)),
    "mp4 with an edit list": ("clip.mp4", {"times": NOW, "b_frames": 2}, (0, 2)),
    "mp4 that starts late": ("clip.mp4", {"times": LATE, "b_frames": 2}, (2, 4)),
    "mp4 late beside sound": ("clip.mp4", {"times": LATE, "sound": (0, 4)}, (2, 4)),
    "mp4 before its sound": ("clip.mp4", {"times": NOW, "sound": (1, 2)}, (0, 2)),
    "mp4 in fragments": ("clip.mp4", {"times": NOW, "options": FRAGMENTS}, (0, 2)),
    "mp4 in late fragments": ("clip.mp4", {"times": LATE, "options": FRAGMENTS}, (2, 4)),
    "mov that starts late": ("clip.mov", {"times": LATE}, (2, 4)),
    "mkv that starts late": ("clip.mkv", {"times": LATE}, (2, 4)),
    "webm, live": ("clip.webm", {"times": NOW, "codec": VP9, "options": LIVE}, (0, 2)),
    "webm, late": ("clip.webm", {"times": LATER, "codec": VP9}, (10, 12)),
    "webm, live and late": ("clip.webm", {"times": LATER, "codec": VP9, "options": LIVE}, (10, 12)),
    "webm late beside sound": (
        "clip.webm", {"times": LATER, "codec": VP9, "sound": (0, 12)}, (10, 12),
    ),
    "ts": ("clip.ts", {"times": NOW, "b_frames": 2, "unit": films.TS}, (0, 2)),
    "ts that starts late": ("clip.ts", {"times": LATE, "unit": films.TS}, (0, 2)),
    "ts late beside sound": (
        "clip.ts", {"times": LATE, "sound": (0, 4), "unit": films.TS}, (2.02, 4.02),
    ),
    "flv that starts late": ("clip.flv", {"times": LATE}, (0, 2)),
    "avi": ("clip.avi", {"times": NOW, "codec": MPEG4, "unit": TENTH}, (0, 2)),
    "h264 without a container": (
        "clip.h264", {"times": NOW, "unit": TENTH, "format": "h264"}, (0, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_segment_has_the_times_that_a_player_shows(tmp_path: Path, kind: str) -> None:
    name, how, wanted = CONTAINERS[kind]
    path = films.write_film(tmp_path / name, **how)
    assert spans(path) == [wanted]
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
    whole = films.write_film(tmp_path / "whole.mp4", NOW)
    path = tmp_path / "clip.mp4"
    # From frame 8 on: the group begins with frame 5, which is kept and not shown.
    with av.open(str(whole)) as source, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        packet: Any
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts * packet.time_base >= 0.5:
                shift = round(Fraction(8, 10) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                file.mux(packet)
    assert spans(path) == [(0, 1.2)]
    assert numbers(path, 4) == [9, 12, 15, 18]


def test_a_variable_rate_is_followed(tmp_path: Path) -> None:
    times = [0, 0.1, 0.2, 0.3, 1.5, 1.6, 1.7, 2.5, 3.0, 3.1]
    for name, codec in (("clip.mp4", "libx264"), ("clip.webm", VP9)):
        path = films.write_film(tmp_path / name, times, codec=codec)
        # The last one is shown for the mean of the others.
        assert spans(path) == [(0, 3.44)]
        assert numbers(path, 6) == [2, 3, 3, 6, 7, 9]


def joined(directory: Path, *starts: float) -> Path:
    """Transport streams of two seconds, one file after the other; the clocks start there."""
    directory.mkdir(exist_ok=True)
    data = b""
    for number, start in enumerate(starts):
        pictures = films.greys(40)[20 * number : 20 * number + 20]
        times = [start + n / 10 for n in range(20)]
        part = films.write_film(
            directory / f"{number}.ts", times, pictures, unit=films.TS, b_frames=2
        )
        data += part.read_bytes()
    path = directory / "joined.ts"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "starts", [(0, 0), (0, 2), (2, 0), (50, 0), (100, 0), (0, 100), (0, 7200), (40_000, 0)]
)
def test_joined_transport_streams_are_as_long_as_their_parts(
    tmp_path: Path, starts: tuple[float, float]
) -> None:
    path = joined(tmp_path, *starts)
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
