"""What a search finds, and in which order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Hit(NamedTuple):
    """A segment that was found.

    segment: its number in the index. coarse: cosine similarity. coarse_rank: 1 is best. fused: what
    ranks after re-ranking, and rank then; without re-ranking None, and the coarse rank.
    """

    segment: int
    coarse: float
    coarse_rank: int
    fused: float | None
    rank: int


class Moment(NamedTuple):
    """A result by the names of docs/search.md.

    rank: 1 is best. coarse_rank: before re-ranking. video: its path below the folder that was
    indexed. start, end: seconds. coarse: cosine similarity. reranked: the score that decided, None
    without re-ranking. id: names the segment in the API, also after an update of the index. photo:
    whether it is a photo, whose start and end are 0.
    """

    rank: int
    coarse_rank: int
    video: str
    start: float
    end: float
    coarse: float
    reranked: float | None
    id: str
    photo: bool


class Answer(NamedTuple):
    """Candidates by `rank`, and the seconds that each stage took."""

    hits: list[Hit]
    seconds: dict[str, float]

    @property
    def stage(self) -> str:
        """Of two-stage search the last that was done: "coarse" or "reranked"."""
        return "reranked" if "rerank" in self.seconds else "coarse"


def ranked(segments: np.ndarray, scores: np.ndarray, fused: np.ndarray | None) -> list[Hit]:
    """Hits by rank, of candidates int [K] whose cosine similarities float [K] fall."""
    order = np.arange(len(segments)) if fused is None else np.argsort(-fused, kind="stable")
    return [
        Hit(
            int(segments[place]),
            float(scores[place]),
            int(place) + 1,
            None if fused is None else float(fused[place]),
            rank,
        )
        for rank, place in enumerate(order, 1)
    ]
