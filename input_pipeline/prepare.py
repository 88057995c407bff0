"""Decodes videos once, in worker processes, into a store of evenly spaced JPEG frames."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from tqdm import tqdm

from input_pipeline import quarantine, store, workers
from input_pipeline.partial import Encoded, Partial
from input_pipeline.video import read_frames

# What is kept of a video. Whoever caches a store makes these part of its name.
NUM_FRAMES, SHORT_SIDE, QUALITY = 16, 256, 90
QUARANTINE, SPLITS = "quarantine.jsonl", "splits"


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


@dataclass(frozen=True)
class Effort:
    """How it is done: none of these changes what is written.

    processes: None takes all cores. max_bad: share of the collection that may be bad.
    """

    processes: int | None = None
    limits: workers.Limits = workers.Limits()
    max_bad: float = 0.5


def prepare_videos(
    collection: Collection,
    directory: Path,
    settings: FrameSettings = FrameSettings(),  # noqa: B008 (frozen)
    effort: Effort = Effort(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Writes the store `directory` of all videos that can be decoded, in their order.

    The others go to its quarantine.jsonl, with the reason; one that crashes the decoder or passes a
    limit costs itself alone. What is decoded is kept in `directory`.partial until the store is
    whole, so that the same call goes on where another was killed. Returns the store's summary.

    Raises:
      FileExistsError: the store is there, and of other videos or settings.
      ValueError: too many videos are bad, or what is there was begun with other settings.
    """
    details = {"frames": asdict(settings), "digest": _digest(collection, settings)}
    if directory.exists():
        return _same(directory, details)
    with Partial(directory.with_name(f"{directory.name}.partial"), asdict(settings)) as partial:
        if directory.exists():  # Another process has made it meanwhile.
            summary = _same(directory, details)
        else:
            stamps = {video.id: _stamp(video.path) for video in collection.videos}
            bad = _encode_all(collection, stamps, partial, settings, effort)
            _write_store(collection, bad, partial, directory, details)
            summary = store.read_summary(directory)
        partial.remove()
    return summary


def encode_video(path: Path, settings: FrameSettings) -> Encoded:
    """Evenly spaced frames, shrunk where they are larger. Raises what `video.read_frames` does."""
    encoded = []
    for frame in read_frames(path, settings.num_frames, settings.short_side):
        image = Image.fromarray(frame)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=settings.quality)
        encoded.append(buffer.getvalue())
    return Encoded(encoded, *image.size)


def write_quarantine(path: Path, bad: Mapping[str, str]) -> None:
    """Writes {file: reason} as JSON lines, see `quarantine.lines`; without any all are good."""
    store.write_lines(path, quarantine.lines(bad.items()))


def check_share(
    source: str, bad: Mapping[str, str], total: int, max_bad: float, where: str = ""
) -> None:
    """Raises ValueError where more than that share of a collection can't be used."""
    if len(bad) > max_bad * total:
        file, reason = next(iter(bad.items()))
        raise ValueError(
            f"{source}: {len(bad)} of {total} videos can't be used, wanted {max_bad:.0%} at most; "
            f"{where}such as {file}: {reason}"
        )


def _encode_all(
    collection: Collection,
    stamps: dict[str, list[int] | None],
    partial: Partial,
    settings: FrameSettings,
    effort: Effort,
) -> dict[str, str]:
    """Encodes what is not there yet; what failed in another run may fit today's limits.

    Returns why the others can't be used.
    """
    todo = [video for video in collection.videos if not partial.has(video.id, stamps[video.id])]
    total = len(collection.videos) + len(collection.missing)
    bad = dict(collection.missing)
    _stop_if_too_many(bad, total, effort, partial, collection.source)
    encode = functools.partial(encode_video, settings=settings)
    results = workers.run(
        encode,
        [video.path for video in todo],
        effort.processes or workers.cores(),
        effort.limits,
    )
    done = len(collection.videos) - len(todo)
    name = f"preparing {collection.source}"
    with tqdm(total=done + len(todo), desc=name, initial=done, unit="video", disable=None) as bar:
        for number, result in results:
            video = todo[number]
            if isinstance(result, workers.Failure):
                bad[video.id] = result.reason
                _stop_if_too_many(bad, total, effort, partial, collection.source)
            else:
                partial.add(video.id, stamps[video.id], result)
            bar.update()
    order = [*collection.missing, *(video.id for video in collection.videos)]
    return {id: bad[id] for id in order if id in bad}


def _write_store(
    collection: Collection,
    bad: dict[str, str],
    partial: Partial,
    directory: Path,
    details: dict[str, Any],
) -> None:
    temporary = partial.directory / "store"
    with store.StoreWriter(directory, collection.source, details, temporary) as writer:
        for video in collection.videos:
            if video.id not in bad:
                frames, width, height = partial.read(video.id)
                writer.add(video.id, frames, video.captions, width, height, dict(video.fields))
        for name, videos in collection.splits.items():
            lines = ({"id": id, "captions": captions} for id, captions in videos.items())
            writer.write_lines(f"{SPLITS}/{name}.jsonl", lines)
        writer.write_lines(QUARANTINE, quarantine.lines(bad.items()))
        details["num_quarantined"] = len(bad)


def _stop_if_too_many(
    bad: dict[str, str], total: int, effort: Effort, partial: Partial, source: str
) -> None:
    if len(bad) > effort.max_bad * total:
        path = partial.directory / QUARANTINE
        write_quarantine(path, bad)
        check_share(source, bad, total, effort.max_bad, f"they are listed in {path}, ")


def _same(directory: Path, details: dict[str, Any]) -> dict[str, Any]:
    """The summary of the store that is there, if that is the one that is wanted."""
    if not (directory / store.SUMMARY).is_file():
        raise FileExistsError(f"{directory}: already there, and no store; choose another place")
    summary = store.read_summary(directory)
    for name, wanted in details.items():
        if summary.get(name) != wanted:
            raise FileExistsError(
                f"{directory}: a store is already there, of {summary['source']} with other videos, "
                f"captions or settings ({name}: found {summary.get(name)}, wanted {wanted}); "
                "remove it to write it anew, or choose another place"
            )
    return summary


def _digest(collection: Collection, settings: FrameSettings) -> str:
    videos = [
        [video.id, os.fspath(video.path), video.captions, dict(video.fields)]
        for video in collection.videos
    ]
    splits = {name: dict(videos) for name, videos in collection.splits.items()}
    content = json.dumps([asdict(settings), videos, dict(collection.missing), splits])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _stamp(path: Path) -> list[int] | None:
    """Which state of a file its frames are of: size in bytes and time in ns, None without it."""
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]
