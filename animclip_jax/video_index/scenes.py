"""Results by scene: of segments of one shot that were found, one stands for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from animclip_jax.video_index.ranking import Hit

T = TypeVar("T")
# Finds the best segments: how many at most, which are allowed, bool [N] or None for all.
Find = Callable[[int, np.ndarray | None], list[tuple[int, T]]]


def numbered(videos: list[tuple[int, tuple[int, ...]]]) -> np.ndarray:
    """The scene of each segment, int [N]; numbers rise.

    videos: of each video how many segments it has, and which of them continue the scene before.
    """
    starts = []
    for count, continues in videos:
        begins = np.ones(count, bool)
        begins[list(continues)] = False
        starts.append(begins)
    return np.cumsum(np.concatenate(starts)) - 1


def spread(
    find: Find[T],
    scene: np.ndarray,
    wanted: int,
    count: int,
    more: int,
    allowed: np.ndarray | None,
) -> list[tuple[int, T]]:
    """The best segments, of so many scenes where there are so many.

    Whoever has found too few scenes looks on without these.

    Args:
      find: gives segments, best first, each with what else is known of it.
      scene: int [N], of each segment. wanted: scenes; 0 for any number.
      count: how many segments to find at first. more: at each further look.
      allowed: bool [N], which segments may be found; None: all.
    """
    last = found = find(count, allowed)
    while wanted and len(last) >= count and len(found) < len(scene):
        known = np.unique(scene[[segment for segment, _ in found]])
        if len(known) >= wanted:
            break
        rest = ~np.isin(scene, known)
        count, last = more, find(more, rest if allowed is None else rest & allowed)
        found = [*found, *last]
    return found


def grouped(hits: list[Hit], scene: np.ndarray) -> list[Hit]:
    """Hits by rank, one a scene: its best, with all of its scene in `scene`, by time.

    Ranks, also those before re-ranking, are now those of scenes. A scene is as like the query as
    the segment that is most like it. It was seen or has words where any of its segments was or has.

    Args:
      hits: by rank. scene: int [N], of each segment.
    """
    found: dict[int, list[Hit]] = {}
    for hit in hits:
        found.setdefault(int(scene[hit.segment]), []).append(hit)
    coarse = {
        number: min(places)
        for number, some in found.items()
        if (places := [hit.coarse_rank for hit in some if hit.coarse_rank is not None])
    }
    before = {number: rank for rank, number in enumerate(sorted(coarse, key=coarse.__getitem__), 1)}
    return [
        some[0]._replace(
            rank=rank,
            coarse=max(hit.coarse for hit in some),
            coarse_rank=before.get(number),
            said=next((hit.said for hit in some if hit.said is not None), None),
            scene=tuple(sorted(some, key=lambda hit: hit.segment)),
        )
        for rank, (number, some) in enumerate(found.items(), 1)
    ]
