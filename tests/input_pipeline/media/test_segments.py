"""Tests of input_pipeline.media.segments."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import picture, segments, video
from input_pipeline.media.segments import SegmentSettings, frames_of, read_segments
from input_pipeline.media.timing import Timing
from tests.searchable import BLUE, GREEN, GREY, RED, shot
from tests.textures import dissolved, still

SETTINGS = SegmentSettings(num_frames=4, image_size=32)


def times(path: Path, settings: SegmentSettings = SETTINGS) -> list[tuple[float, float]]:
    found = read_segments((path, path.with_suffix(".frames")), settings)
    return [(round(one.start, 2), round(one.end, 2)) for one in found]


@pytest.mark.parametrize("count, fps", [(16, 8), (3, 8), (1, 5), (77, 10), (90, 30)])
def test_a_short_video_is_one_segment_of_the_frames_that_training_evaluates(
    tmp_path: Path, count: int, fps: int
) -> None:
    path, spool = tmp_path / "clip.mp4", tmp_path / "frames"
    write = np.random.default_rng(0).integers(0, 99, (count, 48, 64, 3), np.uint8)
    video.write_video(path, write + np.arange(count, dtype=np.uint8)[:, None, None, None], fps)
    settings = SegmentSettings(4, 32, shots=False)
    (one,) = read_segments((path, spool), settings)
    wanted = np.stack([picture.fit(frame, 32) for frame in video.read_frames(path, 4, 256)])
    np.testing.assert_array_equal(frames_of(spool, settings), wanted[None])
    assert one.start == 0 and one.end == pytest.approx(count / fps)


@pytest.mark.parametrize("image_size, seen", [(32, 256), (256, 256), (300, 300), (512, 320)])
def test_a_larger_model_sees_larger_frames(tmp_path: Path, image_size: int, seen: int) -> None:
    """Frames are never shrunk below the model's size, which would enlarge them again."""
    path, spool = tmp_path / "clip.mp4", tmp_path / "frames"
    noise = np.random.default_rng(0).integers(0, 255, (2, 320, 400, 3), np.uint8)
    video.write_video(path, noise, 2)
    settings = SegmentSettings(2, image_size, shots=False)
    assert len(read_segments((path, spool), settings)) == 1
    wanted = np.stack(
        [picture.fit(frame, image_size) for frame in video.read_frames(path, 2, seen)]
    )
    np.testing.assert_array_equal(frames_of(spool, settings), wanted[None])


def test_a_shot_ends_where_the_colours_change(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    shots = [shot(GREEN, 20), shot(BLUE, 28), shot(RED, 16)]
    video.write_video(path, np.concatenate(shots), 8)
    found = times(path)
    ends = [end for _, end in found]
    assert ends == [2.5, 6.0, 8.0], "to the frame"
    assert [start for start, _ in found] == [0.0, *ends[:-1]]
    frames = frames_of(path.with_suffix(".frames"), SETTINGS)
    assert frames.shape == (3, 4, 32, 32, 3)
    corner = frames[:, :, -1, -1].astype(int)
    for row, colour in enumerate((GREEN, BLUE, RED)):
        assert np.abs(corner[row] - colour).max() < 30, "no frame of another shot"
    assert len(times(path, SegmentSettings(4, 32, shots=False))) == 1


def test_a_shot_ends_where_colours_stay_and_in_a_dissolve(tmp_path: Path) -> None:
    before, after = still(0, 53), still(1, 75)
    turned = np.concatenate([before, before[:, ::-1, ::-1]])
    video.write_video(tmp_path / "turned.mp4", turned, 25)
    assert times(tmp_path / "turned.mp4") == [(0.0, 2.12), (2.12, 4.24)]
    video.write_video(tmp_path / "dissolve.mp4", dissolved(before, after, 20), 25)
    (_, end), _ = times(tmp_path / "dissolve.mp4")
    assert 33 / 25 < end < 53 / 25
    for name in ("turned", "dissolve"):
        frames = frames_of(tmp_path / f"{name}.frames", SETTINGS)
        apart = np.abs(frames[0, :3].astype(int) - frames[1, -1]).mean((1, 2, 3))
        assert apart.min() > 20, "no frame of another shot"
        assert len(times(tmp_path / f"{name}.mp4", SegmentSettings(4, 32, shots=False))) == 1


def test_a_flash_and_a_camera_that_moves_end_no_shot(tmp_path: Path) -> None:
    flash = shot(GREEN, 40)
    flash[3:5] = 255
    video.write_video(tmp_path / "flash.mp4", flash, 8)
    assert times(tmp_path / "flash.mp4") == [(0.0, 5.0)]
    wide = np.random.default_rng(1).integers(0, 255, (6, 40, 3), np.uint8).repeat(16, axis=1)
    wide = wide.repeat(8, axis=0)
    pan = np.stack([wide[:, 6 * n : 6 * n + 64] for n in range(40)])
    video.write_video(tmp_path / "pan.mp4", pan, 8)
    assert times(tmp_path / "pan.mp4") == [(0.0, 5.0)]


def test_a_long_shot_is_divided_into_equal_windows(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    video.write_video(path, shot(GREY, 100), 4)
    assert times(path) == [(0.0, 8.33), (8.33, 16.67), (16.67, 25.0)]
    assert times(path, SegmentSettings(4, 32, window=25.0)) == [(0.0, 25.0)]


def test_a_window_goes_on_with_its_shot_and_a_new_shot_does_not(tmp_path: Path) -> None:
    path, spool = tmp_path / "clip.mp4", tmp_path / "frames"
    video.write_video(path, np.concatenate([shot(GREY, 100), shot(GREEN, 20), shot(RED, 60)]), 4)
    found = read_segments((path, spool), SETTINGS)
    starts = [round(one.start) for one in found]
    assert [starts.index(shot) for shot in (0, 25, 30)] == [0, 3, 4], "windows lie within shots"
    assert [one.continues for one in found] == [False, True, True, False, False, True]
    windows = read_segments((path, spool), SegmentSettings(4, 32, shots=False))
    assert len(windows) == 5 and not any(one.continues for one in windows), "nothing is known"


def test_no_segment_is_shorter_than_a_second_nor_much_longer_than_a_window(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    path = tmp_path / "clip.mp4"
    colours = random.integers(0, 255, (14, 3))
    shots = [shot(tuple(colour), int(random.integers(1, 60))) for colour in colours]
    video.write_video(path, np.concatenate(shots), 8)
    found = times(path, SegmentSettings(4, 32, window=4.0))
    assert len(found) > 8
    lengths = np.array([end - start for start, end in found])
    longest = 4.0 + segments.SHORTEST + segments.SECONDS_BETWEEN
    assert lengths.min() >= segments.SHORTEST and lengths.max() < longest
    assert all(before[1] == after[0] for before, after in zip(found, found[1:], strict=False))
    assert found[-1][1] == pytest.approx(sum(map(len, shots)) / 8, abs=0.02)


def test_the_thumbnail_is_the_middle_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    frames = shot(RED, 15)
    frames[6:9] = GREEN
    video.write_video(path, frames, 8)
    (one,) = read_segments((path, tmp_path / "frames"), SETTINGS)
    picture = np.asarray(Image.open(io.BytesIO(one.thumbnail)))
    assert picture.shape == (48, 64, 3) and np.abs(picture.mean((0, 1)) - GREEN).max() < 20


def test_times_that_packets_tell_wrongly_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, spool = tmp_path / "clip.mp4", tmp_path / "frames"
    video.write_video(path, shot(GREY, 100), 4)
    right = times(path), frames_of(path.with_suffix(".frames"), SETTINGS)
    for claimed in ([], [*range(5)], [*range(500)], [0, 1, 90, 10**12]):
        wrong = Timing(claimed, Fraction(1, 25))
        monkeypatch.setattr(video, "packet_timing", lambda path, wrong=wrong: wrong)
        found = read_segments((path, spool), SETTINGS)
        assert [(round(one.start, 2), round(one.end, 2)) for one in found] == right[0]
        np.testing.assert_array_equal(frames_of(spool, SETTINGS), right[1])


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all" * 99)
    with pytest.raises(ValueError, match="broken.mp4: can't be decoded"):
        read_segments((tmp_path / "broken.mp4", tmp_path / "frames"), SETTINGS)
    with pytest.raises(FileNotFoundError, match="none.mp4: no such file"):
        read_segments((tmp_path / "none.mp4", tmp_path / "frames"), SETTINGS)
    with pytest.raises(ValueError, match="window 1: wanted 2 to 600 seconds"):
        SegmentSettings(4, 32, window=1.0)
