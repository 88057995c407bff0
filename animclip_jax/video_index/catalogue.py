"""What an index holds: catalogue.json, which alone says what counts, and a lock for its writer.

Features lie in shards (shards.py). A shard is written whole before the catalogue that names it
takes the place of the one before, in one step: a kill at any moment leaves the one or the other.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from animclip_jax import files
from animclip_jax.models.reranker import CODE_DTYPES
from input_pipeline.media import quarantine
from input_pipeline.media.segment_settings import SegmentSettings

CATALOGUE, LOCK = "catalogue.json", "lock"
# Version 1 counted times from a video's first frame, not as players do, read mirrored films as
# turned ones, and took covers for films.
FORMAT, VERSION = "animclip-index", 2
_KINDS = {"root": str, "model": str, "model_path": str, "reranks": bool}


class Stamp(NamedTuple):
    """Which state of a file is meant."""

    size: int
    mtime_ns: int


class Video(NamedTuple):
    """A video or photo that is in the index: rows `first` to `first + segments` of a shard are its.

    What an index that is older than a field lacks: codec, by FFmpeg's name, "" also of a photo;
    photo, whether it is one; width, height, as it is shown, to the same scale, 0 where unknown;
    taken, in seconds since 1970, None where the file does not say it; subtitles, files beside it;
    division, by which way its shots were found, as in `segment_settings`; continues, which of its
    segments, the first being 0, go on with the shot of the segment before; rate, frames a second,
    as in "30000/1001", "" where it is not known; timecode, of the first frame, as in "10:00:00:00",
    where the file has one.
    """

    stamp: Stamp
    shard: str
    first: int
    segments: int
    codec: str = ""
    photo: bool = False
    width: int = 0
    height: int = 0
    taken: float | None = None
    subtitles: tuple[tuple[str, Stamp], ...] = ()
    division: int = 1
    continues: tuple[int, ...] = ()
    rate: str = ""
    timecode: str = ""


class Quarantined(NamedTuple):
    """A file that can't be read."""

    stamp: Stamp
    reason: str


@dataclass
class Catalogue:
    """What is indexed.

    root: the folder of videos and photos. model: the model's fingerprint. model_path: where it was.
    reranks: whether it re-ranks. code_dtype: of the video codes. videos, which may be photos, and
    quarantined: by path below root.
    """

    root: str
    model: str
    model_path: str
    reranks: bool
    code_dtype: str
    settings: SegmentSettings
    videos: dict[str, Video] = field(default_factory=dict)
    quarantined: dict[str, Quarantined] = field(default_factory=dict)

    @property
    def shards(self) -> list[str]:
        """The shards that hold any of its videos, oldest first."""
        return sorted({video.shard for video in self.videos.values()})

    @property
    def counts(self) -> tuple[int, int]:
        """How many videos there are, and how many photos."""
        photos = sum(video.photo for video in self.videos.values())
        return len(self.videos) - photos, photos


def state(directory: Path) -> tuple[int, int, int] | None:
    """What changes with every exchange of the catalogue; None where there is none."""
    try:
        found = os.stat(directory / CATALOGUE)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def read(directory: Path) -> Catalogue:
    """The catalogue of an index.

    Raises:
      FileNotFoundError: there is none. ValueError: it is of another format or damaged.
    """
    path, advice = directory / CATALOGUE, f"remove {directory} and index again"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; animclip index makes an index")
    document: dict[str, Any] = files.read_object(path, advice)
    try:
        found = document.pop("format"), document.pop("version")
        if found == (FORMAT, 1):
            raise ValueError("version 1 has wrong times and pictures of some videos")
        if found != (FORMAT, VERSION):
            raise ValueError(
                f"format {found[0]!r} version {found[1]!r}, wanted {FORMAT!r} {VERSION}"
            )
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: not the catalogue of an index: {error}; {advice}") from error
    return parsed(document, path, advice)


def parsed(document: dict[str, Any], where: object, advice: str) -> Catalogue:
    """The catalogue that a document without format and version holds, as `asdict` wrote it.

    Raises ValueError, which names `where` and gives the advice, where it is damaged.
    """
    try:
        settings = SegmentSettings(**document.pop("settings"))
        videos = {
            name: _checked(name, Video(*fields)) for name, fields in document.pop("videos").items()
        }
        quarantined = {
            name: Quarantined(Stamp(*stamp), reason)
            for name, (stamp, reason) in document.pop("quarantined").items()
        }
        for name, kind in _KINDS.items():
            if not isinstance(document[name], kind):
                raise ValueError(f"{name} is {document[name]!r:.80}, wanted {kind.__name__}")
        if document["code_dtype"] not in CODE_DTYPES:
            raise ValueError(f"code_dtype is {document['code_dtype']!r:.80}, wanted {CODE_DTYPES}")
        return Catalogue(**document, settings=settings, videos=videos, quarantined=quarantined)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: not the catalogue of an index: {error}; {advice}") from error


def _checked(name: str, video: Video) -> Video:
    """A video as it was written; raises ValueError where its place in a shard can be no place."""
    beside = tuple((file, Stamp(*stamp)) for file, stamp in video.subtitles)
    continues = tuple(video.continues)
    video = video._replace(stamp=Stamp(*video.stamp), subtitles=beside, continues=continues)
    places = video.first, video.segments, video.width, video.height, video.division
    numbers = (*video.stamp, *places)
    right = all(type(one) is int for one in numbers) and video.first >= 0 and video.segments > 0
    if not right or not re.fullmatch(r"\d{8}", str(video.shard)):
        raise ValueError(f"{name}: no place in a shard: {list(video)}")
    if not all(type(one) is int and 0 < one < video.segments for one in continues):
        raise ValueError(
            f"{name}: continues is {list(continues)!r:.80}, wanted numbers below {video.segments}"
        )
    if not re.fullmatch(r"([1-9]\d{0,9}/[1-9]\d{0,9})?", str(video.rate)):
        raise ValueError(f"{name}: rate is {video.rate!r:.80}, wanted such as '30000/1001'")
    if not re.fullmatch(r"(\d\d:\d\d:\d\d[:;.]\d\d)?", str(video.timecode)):
        raise ValueError(
            f"{name}: timecode is {video.timecode!r:.80}, wanted such as '10:00:00:00'"
        )
    if not isinstance(video.taken, float | None):
        raise ValueError(f"{name}: taken is {video.taken!r:.80}, wanted seconds or null")
    return video


def write(directory: Path, catalogue: Catalogue) -> None:
    """Takes the place of the catalogue before, in one step."""
    document = {"format": FORMAT, "version": VERSION} | asdict(catalogue)
    files.write_json(directory / CATALOGUE, document)


def save(directory: Path, catalogue: Catalogue) -> None:
    """Writes the catalogue, and quarantine.jsonl for people."""
    write(directory, catalogue)
    bad = ((name, one.reason) for name, one in catalogue.quarantined.items())
    files.write_lines(directory / quarantine.NAME, quarantine.lines(bad))


def require_same(directory: Path, found: Catalogue, wanted: Catalogue) -> None:
    """Raises ValueError where an index is of another model, folder or settings."""
    for name in ("model", "root", "settings"):
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            raise ValueError(
                f"{directory}: an index with another {name}: {there}, not {here}; index into "
                "another folder, or remove this one"
            )


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Has an index for this process alone, and makes its folder.

    Raises:
      BlockingIOError: another process has it. FileExistsError: the folder holds something else.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ours = (directory / CATALOGUE).exists() or (directory / LOCK).exists()
    if not ours and any(directory.iterdir()):
        raise FileExistsError(
            f"{directory}: holds something other than an index; choose another folder"
        )
    with files.locked(directory / LOCK, f"{directory}: another animclip index is writing it now"):
        yield
