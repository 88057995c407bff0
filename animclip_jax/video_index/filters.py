"""Which moments of an index may be found, whatever is searched for."""

from __future__ import annotations

import datetime
import fnmatch
import io
import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from animclip_jax.words import comparable, require_amounts

if TYPE_CHECKING:
    import numpy as np

    from animclip_jax.video_index.catalogue import Video
    from animclip_jax.video_index.reader import Index

SHAPES = LANDSCAPE, PORTRAIT, SQUARE = "landscape", "portrait", "square"
KINDS = VIDEO, PHOTO = "video", "photo"
# Sides of a square differ by no more than this share.
_ALMOST = 0.02


@dataclass(frozen=True)
class Filters:
    """What a video or photo must be; what is not given may be anything.

    folder: below the folder that was indexed, with all below it. name: a part of the file's name,
    or with * and ? the whole of it, whatever the case. since, until: days, as dates or as text,
    2026-11-29; that of a file is the day it was made, as the file says itself, else the day of its
    last change, on this machine's clock. longer, shorter: seconds that a video lasts, both
    inclusive; no photo lasts. shape: of SHAPES. kind: of KINDS.

    Raises ValueError where one of them can't be.
    """

    folder: str = ""
    name: str = ""
    since: datetime.date | str | None = None
    until: datetime.date | str | None = None
    longer: float | None = None
    shorter: float | None = None
    shape: str = ""
    kind: str = ""

    def __post_init__(self) -> None:
        for day in ("since", "until"):
            if isinstance(given := getattr(self, day), datetime.datetime):
                object.__setattr__(self, day, given.date())
            elif isinstance(given, str):
                try:
                    object.__setattr__(self, day, datetime.date.fromisoformat(given))
                except ValueError as error:
                    raise ValueError(f"{day}={given!r}: wanted a day such as 2026-11-29") from error
        for name, known in (("shape", SHAPES), ("kind", KINDS)):
            if getattr(self, name) not in ("", *known):
                found = f"{name}={getattr(self, name)!r}"
                raise ValueError(f"{found}: wanted one of {', '.join(known)}")
        lengths = {"longer": self.longer, "shorter": self.shorter}
        require_amounts({name: given for name, given in lengths.items() if given is not None})

    def allowed(self, index: Index) -> np.ndarray:
        """Which segments of an index may be found: bool [N]."""
        import numpy as np

        keeps = [self._keeps(index, number) for number in range(len(index.videos))]
        return np.repeat(np.array(keeps, bool), np.diff(index.starts))

    def _keeps(self, index: Index, number: int) -> bool:
        name = index.videos[number]
        video = index.catalogue.videos[name]
        return (
            self._is_there(name)
            and self._is_of_the_day(video)
            and (not self.kind or (self.kind == PHOTO) == video.photo)
            and self._lasts(index, number, video)
            and (not self.shape or self.shape == _shape(index, number, video))
        )

    def _is_there(self, name: str) -> bool:
        name, folder = comparable(name), comparable(self.folder)
        folder = posixpath.normpath(folder.strip("/")) if folder else "."
        if folder != "." and not name.startswith(f"{folder}/"):
            return False
        file, wanted = PurePosixPath(name).name.lower(), comparable(self.name).lower()
        if "*" in wanted or "?" in wanted:
            pattern = fnmatch.translate(wanted.replace("[", "[[]"))
            return re.match(pattern, file) is not None
        return wanted in file

    def _is_of_the_day(self, video: Video) -> bool:
        if self.since is None and self.until is None:
            return True
        seconds = video.stamp.mtime_ns / 1e9 if video.taken is None else video.taken
        day = datetime.datetime.fromtimestamp(seconds).date()
        return (self.since or day) <= day <= (self.until or day)  # type: ignore[operator]

    def _lasts(self, index: Index, number: int, video: Video) -> bool:
        if self.longer is None and self.shorter is None:
            return True
        first, end = index.starts[number], index.starts[number + 1]
        seconds = float(index.times[end - 1, 1] - index.times[first, 0])
        most = seconds if self.shorter is None else self.shorter
        return not video.photo and (self.longer or 0) <= seconds <= most


def _shape(index: Index, number: int, video: Video) -> str:
    """Of a video; one that was indexed before sizes were kept has that of its thumbnail."""
    width, height = video.width, video.height
    if not width:
        from input_pipeline.media import picture

        header = picture.read_header(io.BytesIO(index.thumbnail(index.starts[number])))
        width, height = header.width, header.height
    if abs(width - height) <= _ALMOST * max(width, height):
        return SQUARE
    return LANDSCAPE if width > height else PORTRAIT
