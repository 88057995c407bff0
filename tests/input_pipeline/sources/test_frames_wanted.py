"""Tests of what is kept of videos for a model that takes many frames, or large ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from PIL import Image

from input_pipeline.media import video
from input_pipeline.sources import opening, prepared
from input_pipeline.store import videos
from input_pipeline.store.videos import FrameSettings, FramesWanted


@pytest.fixture
def films(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (2, 320, 400, 3), np.uint8)
    video.write_video(tmp_path / "a.mp4", noise, 2)
    (tmp_path / "captions.jsonl").write_text('{"video": "a.mp4", "captions": ["noise"]}\n')
    return tmp_path


def seen(source: str, cache: Path, wanted: FramesWanted) -> tuple[int, tuple[int, int]]:
    """How many frames a model gets of the first video, and of what size (width, height)."""
    frames = opening.open_source(source, str(cache), wanted).fetch(np.int64(0)).numpy()
    return len(frames), Image.open(io.BytesIO(frames[0])).size


def test_a_folders_videos_are_decoded_as_the_model_needs(films: Path) -> None:
    source, cache = f"folder:{films}", films / "cache"
    assert seen(source, cache, FramesWanted(4, 224)) == (16, (320, 256))
    assert seen(source, cache, FramesWanted(24, 300)) == (24, (375, 300))
    assert seen(source, cache, FramesWanted(4, 224)) == (16, (320, 256))


def test_a_store_that_has_less_than_the_model_takes_says_so(
    films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collection = videos.Collection("films", [videos.Video("a", films / "a.mp4", ["noise"])])
    videos.prepare_videos(collection, films / "store", FrameSettings(8, 224))
    source, cache = f"folder:{films / 'store'}", films / "cache"
    capsys.readouterr()
    opening.open_source(source, str(cache), FramesWanted(8, 224))
    assert capsys.readouterr().err == ""
    opening.open_source(source, str(cache), FramesWanted(12, 336))
    assert capsys.readouterr().err == (
        f"{source}: keeps 8 frames of 224 pixels of a video, and the model takes 12 of 336: some "
        "are repeated and they are enlarged. To avoid that, prepare it with --num-frames=16 "
        "--short-side=336\n"
    )
    assert prepared.lacks(epath.Path(films / "store"), FramesWanted(9, 100)).startswith(
        "keeps 8 frames of 224 pixels of a video, and the model takes 9 of 100: some are repeated."
    )
