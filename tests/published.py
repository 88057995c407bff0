"""Places to publish small indexes at, and the index that they publish."""

from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from animclip_jax.engines import qdrant
from animclip_jax.engines.place import LANCEDB, QDRANT, Place
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.catalogue import Video

ENGINES = (LANCEDB, QDRANT)
URL = "http://qdrant.test"


def place(engine: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where nothing is published yet. For a server stands the client's own mode in memory."""
    if engine == LANCEDB:
        return Place(LANCEDB, str(folder / "lance"))
    client = QdrantClient(":memory:")
    monkeypatch.setattr(qdrant, "client_of", lambda place: (client, "animclip"))
    return Place(QDRANT, URL)


def change(index: Path, **videos: Video | None) -> dict[str, Video]:
    """Writes other entries of videos, by stem; None forgets one. Gives those that were there."""
    catalogue = catalogues.read(index)
    before = dict(catalogue.videos)
    for stem, video in videos.items():
        if video is None:
            del catalogue.videos[f"{stem}.mp4"]
        else:
            catalogue.videos[f"{stem}.mp4"] = video
    catalogues.write(index, catalogue)
    return before
