"""Tests of input_pipeline.video."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline import video

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ANIMCLIP_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
ODD = DATA / "oddvideos" / "manifest.jsonl"


def clip(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frame n is grey of level 20 n with a red block in its upper left corner."""
    levels = np.arange(count, dtype=np.uint8)[:, None, None, None] * 20
    frames = np.broadcast_to(levels, (count, height, width, 3)).copy()
    frames[:, :16, :16] = (250, 0, 0)
    return frames


def levels(frames: np.ndarray) -> list[int]:
    return (frames[:, 24:40, 24:40].mean(axis=(1, 2, 3)) / 20).round().astype(int).tolist()


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_written_frames_are_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    video.write_video(path, clip(10), 8)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    frames = video.read_frames(path, 10)
    assert frames.shape == (10, 48, 64, 3) and frames.dtype == np.uint8
    assert levels(frames) == list(range(10))
    assert (np.abs(frames[:, 4:12, 4:12].astype(int) - [250, 0, 0]) < 25).all()


def test_frames_are_evenly_spaced(tmp_path: Path) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(12), 25)
    assert levels(video.read_frames(tmp_path / "clip.mp4", 4)) == [1, 4, 7, 10]
    assert levels(video.read_frames(tmp_path / "clip.mp4", 1)) == [6]
    assert levels(video.read_frames(tmp_path / "clip.mp4", 24)) == [n // 2 for n in range(24)]


def test_positions_are_the_middles_of_equal_parts() -> None:
    assert video.positions(4, 16).tolist() == [2, 6, 10, 14]
    assert video.positions(3, 3).tolist() == [0, 1, 2]
    assert video.positions(4, 1).tolist() == [0, 0, 0, 0]


def test_wrong_counts_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(12), 25)
    for claimed in (0, 5, 500):
        monkeypatch.setattr(video, "_count_packets", lambda path, claimed=claimed: claimed)
        assert levels(video.read_frames(tmp_path / "clip.mp4", 4)) == [1, 4, 7, 10]


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [((0, 1, -1, 0), (0, -1)), ((-1, 0, 0, -1), (-1, -1)), ((0, -1, 1, 0), (-1, 0))],
)
def test_marks_of_turned_phones_are_honoured(
    tmp_path: Path, matrix: tuple[int, ...], corner: tuple[int, int]
) -> None:
    path = tmp_path / "clip.mp4"
    video.write_video(path, clip(4), 8)
    data = bytearray(path.read_bytes())
    # The track header's matrix a b u c d v x y w, of which a to d turn the picture.
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (part << 16 for part in matrix)
    data[start : start + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(bytes(data))
    frames = video.read_frames(path, 2)
    turned = matrix[0] == 0
    assert frames.shape[1:3] == ((64, 48) if turned else (48, 64))
    y, x = (slice(4, 12) if end == 0 else slice(-12, -4) for end in corner)
    assert (np.abs(frames[:, y, x].astype(int) - [250, 0, 0]) < 25).all()


def test_truncated_and_false_videos_are_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    video.write_video(path, clip(12), 8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="clip.mp4: can't be decoded"):
        video.read_frames(path, 4)
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match="clip.mp4: can't be decoded"):
        video.read_frames(path, 4)
    with pytest.raises(FileNotFoundError, match="gone.mp4: no such file"):
        video.read_frames(tmp_path / "gone.mp4", 4)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(4), 8)
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'clip.mp4'}'\n")
    with pytest.raises(ValueError, match="list.mp4: can't be decoded"):
        video.read_frames(playlist, 4)


@pytest.mark.parametrize(
    ("size", "kept"), [((60, 100), (0, 20, 60, 80)), ((100, 60), (20, 0, 80, 60))]
)
def test_fit_takes_the_centre(size: tuple[int, int], kept: tuple[int, int, int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    y0, x0, y1, x1 = kept
    assert (video.fit(picture, 60) == picture[y0:y1, x0:x1]).all()


def test_fit_is_a_bicubic_resize_of_the_short_side() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (75, 102, 3), np.uint8)
    # int(32 x 102 / 75 = 43.5) = 43 columns, of which (43 - 32) / 2 = 5.5, to even 6, are left out.
    resized = Image.fromarray(picture).resize((43, 32), Image.Resampling.BICUBIC)
    fitted = video.fit(picture, 32)
    assert fitted.shape == (32, 32, 3) and fitted.dtype == np.uint8
    assert (fitted == np.asarray(resized)[:, 6:38]).all()


def test_odd_sides_are_written(tmp_path: Path) -> None:
    video.write_video(tmp_path / "clip.mp4", clip(3, 47, 63), 8)
    assert video.read_frames(tmp_path / "clip.mp4", 3).shape == (3, 48, 64, 3)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, *_: object) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(video, "_write_mp4", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        video.write_video(tmp_path / "clip.mp4", clip(3), 8)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't write '.avi', wanted .mp4 or .gif"):
        video.write_video(tmp_path / "clip.avi", clip(3), 8)
    with pytest.raises(ValueError, match="wanted uint8"):
        video.write_video(tmp_path / "clip.mp4", clip(3)[0], 8)
    with pytest.raises(ValueError, match="0 frames a second"):
        video.write_video(tmp_path / "clip.mp4", clip(3), 0)


@pytest.mark.skipif(not ODD.exists(), reason=f"no {ODD}")
def test_odd_videos_are_read_or_named() -> None:
    for line in ODD.read_text().splitlines():
        entry = json.loads(line)
        path = ODD.parent / entry["file"]
        if entry["outcome_pyav"] == "decodes":
            assert video.read_frames(path, 2).shape[0] == 2, entry
        else:
            with pytest.raises(ValueError, match=entry["file"]):
                video.read_frames(path, 2)
