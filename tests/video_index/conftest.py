"""A model, and an index of a folder of videos made with it."""

from pathlib import Path

import pytest

from animclip_jax import exported
from animclip_jax.video_index.update import update
from input_pipeline.segments import SegmentSettings
from tests import searchable


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searchable.write_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def model(model_path: Path) -> exported.Exported:
    return exported.load(model_path)


@pytest.fixture(scope="session")
def settings(model: exported.Exported) -> SegmentSettings:
    return SegmentSettings(model.config.num_frames, model.config.clip.image_size)


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, model, model_path, settings) -> Path:
    """An index, with its videos beside it; tests leave both as they are."""
    home = tmp_path_factory.mktemp("indexed")
    videos = searchable.write_videos(home / "videos")
    update(home / "index", videos, model, model_path, settings, searchable.EFFORT)
    return home / "index"
