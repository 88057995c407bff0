"""What a query may be like: a file, a moment of an indexed video, a result of another search."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from animclip_jax.video_index.query import Part, weighted
from input_pipeline.media import picture

if TYPE_CHECKING:
    from animclip_jax.video_index.ranking import Moment
    from animclip_jax.video_index.reader import Index

_AT = re.compile(r"(.+)@(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", re.DOTALL)


class At(NamedTuple):
    """A moment of a file: seconds on a player's clock."""

    path: Path
    seconds: float


def written(text: str) -> tuple[Path | At, float]:
    """FILE, FILE@SECONDS or FILE@1:02:03.5, with ^WEIGHT behind it where it has one.

    A file that is called so is that file. Raises ValueError as `weighted`.
    """
    weight = 1.0
    if not os.path.exists(os.path.expanduser(text)):  # False, too, where a name is too long.
        text, weight = weighted(text)
    path = Path(os.path.expanduser(text))
    match = _AT.fullmatch(text)
    if match is None or os.path.exists(path):
        return path, weight
    hours, minutes, seconds = (float(part or 0) for part in match.groups()[1:])
    at = At(Path(os.path.expanduser(match[1])), 3600 * hours + 60 * minutes + seconds)
    return at, weight


def part(what: str | Path | At | np.ndarray | Moment, weight: float, index: Index) -> Part:
    """A part of a query that is like that.

    Args:
      what: a picture uint8 [H, W, 3]; the path of a picture or a video; a moment of an indexed
        video, as `At`, as text "FILE@SECONDS" or as a result of a search.
      weight: negative for what should not be alike.
    Raises:
      FileNotFoundError: there is no such file. ValueError: it can't be read, the video of a moment
        is not in the index, or the array has another shape or dtype.
    """
    if isinstance(what, str):
        what, factor = written(what)
        weight *= factor
    if isinstance(what, At):
        return Part(_embedding(index, index.at(*what)), weight)
    if isinstance(what, Path):
        is_picture = what.suffix.lower() in picture.SUFFIXES
        return Part(picture.read(what, picture.QUERY) if is_picture else what, weight)
    if isinstance(what, np.ndarray):
        if what.ndim != 3 or what.shape[2] != 3 or what.dtype != np.uint8:
            raise ValueError(f"a picture {what.dtype} {what.shape}: wanted uint8 [H, W, 3]")
        return Part(what, weight)
    return Part(_embedding(index, index.segment(what.id)), weight)


def _embedding(index: Index, segment: int) -> np.ndarray:
    return index.embeddings(np.array([segment]))[0]
