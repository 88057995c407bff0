"""Videos into a store: each decoded once, into evenly spaced JPEG frames."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from input_pipeline.media.picture import SHORT_SIDE, short_side
from input_pipeline.media.video import read_frames
from input_pipeline.store import making
from input_pipeline.store.partial import Encoded

# What is kept of a video. Whoever caches a store makes these part of its name.
NUM_FRAMES, QUALITY = 16, 90


class Video(NamedTuple):
    """A file to prepare; `id` is its name in the store, `fields` what else is known of it."""

    id: str
    path: Path
    captions: list[str]
    fields: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Collection:
    """What to prepare.

    source: as it was written. missing: names of videos that belong to it and can't be had, with the
    reason. splits: by name, the videos of each split with the captions they have there; without any
    the store is one whole.
    """

    source: str
    videos: Sequence[Video]
    missing: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameSettings:
    """What is kept of a video: so many frames, shrunk to a short side in pixels, as JPEG."""

    num_frames: int = NUM_FRAMES
    short_side: int = SHORT_SIDE
    quality: int = QUALITY

    def __post_init__(self) -> None:
        for name, found, most in (
            ("num_frames", self.num_frames, 4096),
            ("short_side", self.short_side, 8192),
            ("quality", self.quality, 100),
        ):
            if not 1 <= found <= most:
                raise ValueError(f"{name}: found {found}, wanted 1 to {most}")


class FramesWanted(NamedTuple):
    """What a model takes of a video: so many frames, of so many pixels a side."""

    num_frames: int = 1
    image_size: int = 1

    @property
    def kept(self) -> FrameSettings:
        """What a store keeps for it: no frame has to be repeated or enlarged."""
        return FrameSettings(max(NUM_FRAMES, self.num_frames), short_side(self.image_size))


def prepare_videos(
    collection: Collection,
    directory: Path,
    settings: FrameSettings = FrameSettings(),  # noqa: B008 (frozen)
    effort: making.Effort = making.Effort(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Writes the store `directory` of all videos that can be decoded, see `prepare_store`."""
    return making.prepare_store(work_of(collection, settings), directory, effort)


def work_of(collection: Collection, settings: FrameSettings) -> making.Work:
    """What it takes to prepare videos."""
    videos = collection.videos

    def read(number: int) -> making.Original:
        path = videos[number].path
        return making.Original(path, stamp(path))

    return making.Work(
        collection.source,
        "video",
        [making.Item(video.id, video.captions, video.fields) for video in videos],
        read,
        functools.partial(encode_video, settings=settings),
        {"frames": asdict(settings)},
        collection.missing,
        collection.splits,
        making.state([stamp(video.path) for video in videos]),
    )


def encode_video(path: Path, settings: FrameSettings) -> Encoded:
    """Evenly spaced frames, shrunk where they are larger. Raises what `video.read_frames` does."""
    encoded = []
    for frame in read_frames(path, settings.num_frames, settings.short_side):
        image = Image.fromarray(frame)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=settings.quality)
        encoded.append(buffer.getvalue())
    return Encoded(encoded, *image.size)


def stamp(path: Path) -> list[int] | None:
    """Which state of a file its frames are of: size in bytes and time in ns, None without it."""
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]
