"""Tests of input_pipeline.media.strip."""

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import preview, strip
from input_pipeline.media.clip import Clip
from input_pipeline.media.strip import FRAMES, HEIGHT, WIDTH, Strip
from tests import films
from tests.clocks import MPEG4, TENTH

FOUR_SECONDS = [n / 10 for n in range(40)]
KINDS: dict[str, dict[str, Any]] = {
    "clip.mp4": {"b_frames": 2},
    "clip.avi": {"codec": MPEG4, "unit": TENTH},
    "clip.ts": {"b_frames": 2, "unit": films.TS},
    "clip.h264": {"unit": TENTH, "format": "h264"},
    "clip.mkv": {"codec": "libx265", "sound": (0, 4)},
}


def cells(data: bytes) -> np.ndarray:
    """uint8 [FRAMES, HEIGHT, WIDTH, 3]."""
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (FRAMES * WIDTH, HEIGHT))
        pixels = np.asarray(image.convert("RGB"))
    return pixels.reshape(HEIGHT, FRAMES, WIDTH, 3).swapaxes(0, 1)


def numbers(data: bytes) -> list[int]:
    """Which of `greys` each cell shows, which is 4:3 and so between black bars."""
    shown = cells(data)
    assert shown[:, :, :38].max() < 12 and shown[:, :, -38:].max() < 12
    return [films.number_of(one) for one in shown[:, 10:-10, 60:-60]]


@pytest.mark.parametrize("name", KINDS)
def test_it_shows_what_is_on_screen_in_the_middle_of_each_part(tmp_path: Path, name: str) -> None:
    path = films.write_film(tmp_path / name, FOUR_SECONDS, **KINDS[name])
    parts = [0.52 + 3.2 * (n + 0.5) / FRAMES for n in range(FRAMES)]
    found = numbers(strip.make(Strip(path, 0.52, 3.72)))
    assert found == [int(10 * time + 1e-6) for time in parts]


def test_beyond_the_last_frame_that_one_stays(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mp4", FOUR_SECONDS[:10])
    found = numbers(strip.make(Strip(path, 0.5, 2.1)))
    assert found[:4] == [5, 6, 7, 8] and set(found[4:]) == {9}


def test_of_a_long_clip_it_shows_the_beginning(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mp4", [float(n) for n in range(45)])
    found = numbers(strip.make(Strip(path, 5.0, 45.0)))
    span = preview.MAX_SECONDS
    assert found == [int(5 + span * (n + 0.5) / FRAMES) for n in range(FRAMES)]


def test_a_turned_video_is_upright_and_whole(tmp_path: Path) -> None:
    path = films.write_turned(tmp_path / "clip.mov")
    shown = cells(strip.make(Strip(path, 0.0, 0.3)))[0].mean(-1)
    lit = np.flatnonzero(shown[HEIGHT // 2] > 45)
    assert lit[0] == pytest.approx((WIDTH - 135) / 2, abs=3)
    assert lit[-1] == pytest.approx((WIDTH + 135) / 2, abs=3)
    top, bottom = shown[:80, 120:200].mean(), shown[-80:, 120:200].mean()
    assert max(top, bottom) > 230 and 70 < min(top, bottom) < 110, "it lay on its side"


def test_what_can_not_be_shown_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    for name in ("none.mp4", "broken.mp4"):
        with pytest.raises((FileNotFoundError, ValueError), match=name):
            strip.make(Strip(tmp_path / name, 0.0, 1.0))


def test_a_clip_is_a_preview(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "clip.mp4", FOUR_SECONDS[:10])
    made = strip.make(Clip(path, 0.0, 0.5))
    with av.open(io.BytesIO(made)) as file:
        assert file.streams.video[0].codec_context.name == "h264"
