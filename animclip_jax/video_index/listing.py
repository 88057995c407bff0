"""The videos and photos of a folder, and what is there but can't be used now.

Not seen is not deleted: what a folder that can't be read, or a link, may hide is told apart from
what is gone.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from animclip_jax.video_index.catalogue import Stamp
from input_pipeline.media import picture, subtitles, video

T = TypeVar("T")

LINKED_FOLDER = "a link to a folder; links to folders are not followed"
EMPTY = "an empty folder, which held videos: is a disk not mounted?"


@dataclass
class Listing:
    """Videos and photos of a folder by their paths below it, in `/`.

    subtitles: of a video, the files beside it. others: how many files are none of these by their
    names. left: what can't be used now, by its path, with the reason; of a folder, that is so of
    all below it. empty: folders with nothing in them.
    """

    videos: dict[str, Stamp] = field(default_factory=dict)
    subtitles: dict[str, tuple[tuple[str, Stamp], ...]] = field(default_factory=dict)
    others: int = 0
    left: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether files that were listed could not be read then: they may be at the next run."""
        beside = (name for several in self.subtitles.values() for name, _ in several)
        return not self.left.keys().isdisjoint([*self.videos, *beside])

    def in_order(self, found: dict[str, T]) -> dict[str, T]:
        """What is known by name: first of files that are listed, as they are, then of others."""
        names = dict.fromkeys([*self.videos, *sorted(found)])
        return {name: found[name] for name in names if name in found}

    def hides(self, name: str) -> bool:
        """Whether a video may be there without being seen."""
        return name in self.left or any(
            os.fspath(above) in self.left for above in PurePosixPath(name).parents
        )


def list_videos(root: Path, index: Path, photos: bool = True) -> Listing:
    """Every video and photo below a folder, but for hidden ones and what is in the index.

    photos: False lists videos alone.

    Raises OSError where the folder itself can't be read.
    """
    found = Listing()
    real_index = os.path.realpath(index)

    def unreadable(error: OSError) -> None:
        if Path(error.filename) == root:
            raise error
        found.left[_below(root, error.filename)] = f"a folder that can't be read: {error.strerror}"

    for folder, below, names in os.walk(root, onerror=unreadable):
        if not below and not names and Path(folder) != root:
            found.empty.append(_below(root, folder))
        here, below[:] = sorted(below), []
        for name in here:
            path = os.path.join(folder, name)
            if name.startswith(".") or os.path.realpath(path) == real_index:
                continue
            if os.path.islink(path):
                found.left[_below(root, path)] = LINKED_FOLDER
            else:
                below.append(name)
        shown = sorted(name for name in names if not name.startswith("."))
        found.others += len(names) - len(shown)
        _list_files(found, root, Path(folder), shown, photos)
    return found


def is_photo(name: str) -> bool:
    """Whether a file of that name is read as a photo."""
    return PurePosixPath(name).suffix.lower() in picture.SUFFIXES


def problem_of(path: Path, stamp: Stamp) -> str | None:
    """Why a file can't be read now, or not as what it was; None where its content is to blame."""
    try:
        with path.open("rb") as file:
            file.read(1)
            state = os.fstat(file.fileno())
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if Stamp(state.st_size, state.st_mtime_ns) != stamp:
        return "changed while it was read"
    return None


def _list_files(found: Listing, root: Path, folder: Path, names: list[str], photos: bool) -> None:
    """Adds the files of a folder, by their names, and to videos the subtitles beside them."""
    # In order, and quick to ask: a folder may hold a hundred thousand files.
    films = dict.fromkeys(name for name in names if Path(name).suffix.lower() in video.SUFFIXES)
    stems = {Path(name).stem for name in films}
    beside: dict[str, list[tuple[str, Stamp]]] = {stem: [] for stem in stems}
    for name in names:
        stem = subtitles.stem_of(name, stems)
        if stem is None and name not in films and not (photos and is_photo(name)):
            found.others += 1
        elif stamp := _stamp(found, root, folder / name):
            below = _below(root, folder / name)
            if stem is None:
                found.videos[below] = stamp
            else:
                beside[stem].append((below, stamp))
    for name in films:
        if some := beside[Path(name).stem]:
            found.subtitles[_below(root, folder / name)] = tuple(some)


def _stamp(found: Listing, root: Path, path: Path) -> Stamp | None:
    """The state of a file; None, with the reason in `found.left`, where it can't be used now."""
    name = _below(root, path)
    try:
        state = os.stat(path)
    except OSError as error:
        if os.path.islink(path):
            itself = error.errno == errno.ELOOP
            found.left[name] = "a link to itself" if itself else "a link to nothing"
        elif not isinstance(error, FileNotFoundError):  # Deleted since its folder was listed.
            found.left[name] = f"can't be accessed: {error.strerror}"
        return None
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        found.left[name] = "a link out of the folder"
    elif not stat.S_ISREG(state.st_mode):
        found.left[name] = "not a file: a pipe, a socket or a device"
    else:
        return Stamp(state.st_size, state.st_mtime_ns)
    return None


def _below(root: Path, path: str | Path) -> str:
    return Path(path).relative_to(root).as_posix()
