"""Tests of input_pipeline.media.preview."""

from __future__ import annotations

import bisect
import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from animclip_jax.serving.previews import LIMITS
from input_pipeline.media import clip, preview
from input_pipeline.media.clip import Clip
from input_pipeline.media.container import MAX_PIXELS
from input_pipeline.media.segments import SegmentSettings, read_segments
from input_pipeline.media.workers import Caller
from tests import clocks, films
from tests.clocks import MPEG4, TENTH

FOUR_SECONDS = [n / 10 for n in range(40)]
# What browsers can't play, by the encoder: PyAV's wheel has all of them.
CODECS: dict[str, dict[str, Any]] = {
    "clip.avi": {"codec": MPEG4, "unit": TENTH},
    "mjpeg.avi": {"codec": "mjpeg", "unit": TENTH},
    "h264.avi": {"b_frames": 2, "unit": TENTH},
    "hevc.mkv": {"codec": "libx265"},
    "hevc.mp4": {"codec": "libx265"},
    "mpeg4.mp4": {"codec": MPEG4},
    "ffv1.mkv": {"codec": "ffv1"},
    "mjpeg.mov": {"codec": "mjpeg", "unit": TENTH},
    "clip.ts": {"b_frames": 2, "unit": films.TS},
    "clip.flv": {},
    "clip.wmv": {"codec": "wmv2", "unit": TENTH},
    "clip.nut": {},
    "clip.h264": {"unit": TENTH, "format": "h264"},
}


class Picture(NamedTuple):
    """A frame of a preview: when it is shown, and which one of `greys` it is."""

    time: float
    number: int


def decoded(data: bytes, **stream: int) -> list[Any]:
    file: Any = av.open(io.BytesIO(data))
    with file:
        return [*file.decode(**stream)]


def pictures(data: bytes) -> list[Picture]:
    frames = decoded(data, video=0)
    # It was encoded twice, which darkens it.
    return [
        Picture(float(one.time), films.number_of(one.to_ndarray(format="rgb24") + 2.0))
        for one in frames
    ]


def at(shown: list[Picture], seconds: float) -> int:
    """The number of the frame on screen then."""
    return shown[bisect.bisect_right([one.time for one in shown], seconds) - 1].number


@pytest.mark.parametrize("name", CODECS)
def test_a_clip_shows_its_seconds_at_the_times_of_the_video(tmp_path: Path, name: str) -> None:
    path = films.write_film(tmp_path / name, FOUR_SECONDS, **CODECS[name])
    ((begin, *_),) = read_segments((path, tmp_path / "frames"), SegmentSettings(4, 32, shots=False))
    shown = pictures(preview.make(Clip(path, begin + 2.5, begin + 3.5)))
    assert shown[0].time == pytest.approx(begin + 2.5, abs=0.002)
    assert shown[-1].time == pytest.approx(begin + 3.4, abs=0.07)
    assert [at(shown, begin + 2.55 + n / 10) for n in range(10)] == [*range(25, 35)]


@pytest.mark.parametrize("sound", [None, (0, 4)])
def test_each_track_says_when_it_ends_on_the_clock_of_the_video(tmp_path: Path, sound: Any) -> None:
    """Browsers seek up to there; the length of what is shown, a second, is no end of it."""
    path = films.write_film(tmp_path / "film.mp4", FOUR_SECONDS, codec=MPEG4, sound=sound)
    file: Any = av.open(io.BytesIO(preview.make(Clip(path, 2.5, 3.5))))
    with file:
        ends = [float(stream.duration * stream.time_base) for stream in file.streams]
    assert ends == [3.5] * (1 if sound is None else 2)


def test_an_end_beyond_what_a_file_can_say_is_not_known() -> None:
    """2^32 ticks are 13 hours and a quarter."""
    box = bytearray(
        struct.pack(">I4sI", 8 + 24, b"mdhd", 0) + bytes(8) + struct.pack(">III", 90_000, 0, 0)
    )
    assert preview._ending_at(50_000.0, box)[24:28] == b"\xff" * 4


@pytest.mark.parametrize("kind", clocks.KINDS)
def test_whatever_its_clock_a_preview_shows_what_the_index_means(tmp_path: Path, kind: str) -> None:
    path = clocks.KINDS[kind].write(tmp_path)
    start, end = clocks.KINDS[kind].span
    times = clocks.KINDS[kind].how["times"]
    for begin in (start, start + 0.9):
        shown = pictures(preview.make(Clip(path, begin, end)))
        assert shown[0].time == pytest.approx(begin, abs=0.03), "a 30th of a second"
        for moment in np.arange(begin + 0.05, end - 0.3, 0.1):
            number = bisect.bisect_right(times, times[0] + moment - start) - 1
            assert abs(at(shown, moment) - number) <= 1, moment


@pytest.mark.parametrize("starts", [(0, 0), (50, 0), (0, 7200), (40_000, 0)])
def test_a_joined_stream_is_shown_as_it_goes_on(
    tmp_path: Path, starts: tuple[float, float]
) -> None:
    path = clocks.joined(tmp_path, *starts)
    shown = pictures(preview.make(Clip(path, 1.0, 3.5)))
    assert [at(shown, 1.05 + n / 10) for n in range(25)] == [*range(10, 35)]
    shown = pictures(preview.make(Clip(path, 2.5, 3.5)))
    assert [at(shown, 2.55 + n / 10) for n in range(10)] == [*range(25, 35)]


def test_a_cut_by_copying_begins_with_what_is_shown(tmp_path: Path) -> None:
    shown = pictures(preview.make(Clip(clocks.cut_by_copying(tmp_path), 0.0, 1.2)))
    assert [at(shown, 0.05 + n / 10) for n in range(12)] == [*range(8, 20)]


def test_a_picture_that_stands_is_shown_for_the_whole_clip(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mkv", [0, 100, 200])
    shown = pictures(preview.make(Clip(path, 40.0, 50.0)))
    assert {one.number for one in shown} == {0}
    assert shown[0].time == 40.0 and 49.9 < shown[-1].time < 50.0
    last = pictures(preview.make(Clip(path, 205.0, 210.0)))
    assert {one.number for one in last} == {2}


def test_a_frame_is_shown_though_one_stood_just_before_it(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mp4", [0, 0.01, 3, 3.5])
    shown = pictures(preview.make(Clip(path, 0.0, 4.0)))
    assert at(shown, 2.0) == 1


def test_a_long_segment_is_shown_from_its_beginning(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.avi", [*range(40)], codec=MPEG4, unit=Fraction(1))
    shown = pictures(preview.make(Clip(path, 2.0, 40.0)))
    assert shown[0] == (2.0, 2) and 31 <= shown[-1].time < 32


def test_a_thousand_frames_a_second_are_thinned(tmp_path: Path) -> None:
    times = [n / 1000 for n in range(1000)]
    still = np.broadcast_to(films.greys(1), (1000, 48, 64, 3))
    path = films.write_film(tmp_path / "clip.mkv", times, still)
    assert 25 <= len(pictures(preview.make(Clip(path, 0.0, 1.0)))) <= 2 * preview.MAX_RATE


@pytest.mark.parametrize(
    ("width", "height", "wanted"), [(3840, 2160, (854, 480)), (1080, 1920, (480, 854))]
)
def test_a_large_picture_is_made_small(
    tmp_path: Path, width: int, height: int, wanted: tuple[int, int]
) -> None:
    large = np.full((2, height, width, 3), 100, np.uint8)
    path = films.write_film(tmp_path / "clip.avi", [0, 0.1], large, codec=MPEG4, unit=TENTH)
    data = preview.make(Clip(path, 0.0, 0.2))
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.video[0]
        assert (stream.width, stream.height) == wanted
    assert len(data) < 100_000


def test_the_largest_picture_is_made_small_within_the_memory_of_a_server(tmp_path: Path) -> None:
    side = 8192
    assert side * side == MAX_PIXELS
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width = stream.height = side
        frame = av.VideoFrame(side, side, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(3):
            frame.pts, frame.time_base = number, TENTH
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    caller = Caller(preview.make, LIMITS)
    data = caller(Clip(path, 0.0, 0.3))
    caller.close()
    assert isinstance(data, bytes) and len(data) < 100_000, data


def test_noise_for_half_a_minute_is_a_few_megabytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 480, 640, 3), np.uint8)
    path = films.write_film(tmp_path / "clip.avi", [*range(30)], noise, codec="mjpeg", unit=TENTH)
    data = preview.make(Clip(path, 0.0, 30.0))
    assert len(data) < preview.MAX_SECONDS * preview.MAX_BITS / 8 * 1.5


def test_what_lies_far_before_a_clip_is_not_decoded(tmp_path: Path) -> None:
    times = [n / 2 for n in range(2000)]
    still = np.broadcast_to(films.greys(1), (2000, 48, 64, 3))
    for name, unit in {"clip.mkv": films.THOUSANDTH, "clip.ts": films.TS}.items():
        path = films.write_film(tmp_path / name, times, still, unit=unit)
        assert count_of_decoded(Clip(path, 900.0, 901.0)) < 60, name


def count_of_decoded(wanted: Clip) -> int:
    count = 0

    def counting(film: Any, sound: Any, skipped: int = 0) -> Any:
        nonlocal count
        for frame in original(film, sound, skipped):
            count += 1
            yield frame

    with pytest.MonkeyPatch.context() as patch:
        original = clip._decoded
        patch.setattr(clip, "_decoded", counting)
        preview.make(wanted)
    return count


def heard(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, and how loud it is then: float [N] each."""
    frames = decoded(data, audio=0)
    times = [frame.time + np.arange(frame.samples) / frame.sample_rate for frame in frames]
    loudness = [np.abs(frame.to_ndarray()).max(0) for frame in frames]
    return np.concatenate(times), np.concatenate(loudness)


@pytest.mark.parametrize(
    ("name", "how"),
    [("clip.avi", {"codec": MPEG4, "unit": TENTH}), ("clip.ts", {"unit": films.TS}), ("a.mkv", {})],
)
def test_sound_is_heard_when_it_is_in_the_video(tmp_path: Path, name: str, how: Any) -> None:
    path = films.write_film(tmp_path / name, FOUR_SECONDS, sound=(0, 4), beep=(2.0, 2.5), **how)
    times, loudness = heard(preview.make(Clip(path, 1.5, 3.0)))
    assert times[0] == pytest.approx(1.5, abs=0.06) and times[-1] == pytest.approx(3.0, abs=0.06)
    loud = times[loudness > 0.1]
    assert loud[0] == pytest.approx(2.0, abs=0.06) and loud[-1] == pytest.approx(2.5, abs=0.06)


def test_a_picture_under_an_hour_of_sound_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mkv", [0], sound=(0, 60))
    count = 0

    def hearing(sound: Any, packet: Any) -> None:
        nonlocal count
        count += 1
        hear(sound, packet)

    with pytest.MonkeyPatch.context() as patch:
        hear = clip.Sound.hear
        patch.setattr(clip.Sound, "hear", hearing)
        shown = pictures(preview.make(Clip(path, 0.0, 5.0)))
    assert {one.number for one in shown} == {0} and shown[-1].time > 4.9
    assert count < 16 * 48000 / 1024


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    path = films.write_turned(tmp_path / "clip.avi.mov")
    shown = decoded(preview.make(Clip(path, 0.0, 0.3)), video=0)[0].to_ndarray(format="rgb24")
    assert shown.shape == (64, 48, 3)
    top, bottom = shown[:28].mean(), shown[-28:].mean()
    assert max(top, bottom) > 230 and 70 < min(top, bottom) < 110, "it lay on its side"


def test_what_can_not_be_shown_is_told_with_its_reason(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mkv", FOUR_SECONDS)
    (tmp_path / "list.mkv").write_text(f"ffconcat version 1.0\nfile {path.name}\n")
    for name, reason in {
        "none.avi": "no such file",
        "list.mkv": "not a video format that can be read",
    }.items():
        with pytest.raises((FileNotFoundError, ValueError), match=f"{name}: .*{reason}"):
            preview.make(Clip(tmp_path / name, 0.0, 1.0))


@pytest.mark.parametrize("matrix", [1, 2, 6], ids=["BT.709", "not stated", "BT.601"])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p"])
def test_colours_are_those_of_the_video(tmp_path: Path, matrix: int, pixels: str) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        stream.codec_context.colorspace = matrix
        green = np.full((48, 64, 3), (20, 180, 60), np.uint8)
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(green, format="rgb24")))
        file.mux(stream.encode(None))
    wanted = decoded(path.read_bytes(), video=0)[0].to_ndarray(format="rgb24").mean((0, 1))
    shown = decoded(preview.make(Clip(path, 0.0, 0.3)), video=0)[0]
    assert (shown.colorspace, shown.color_range) == (6, 1), "stated, so that no browser guesses"
    np.testing.assert_allclose(shown.to_ndarray(format="rgb24").mean((0, 1)), wanted, atol=5)
