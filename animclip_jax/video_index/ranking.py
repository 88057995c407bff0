"""What a search finds, and in which order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from animclip_jax.words import readable

# Of reciprocal rank fusion: how little the first places of a list count more than those behind.
FUSION = 60


class Hit(NamedTuple):
    """A segment that was found.

    segment: its number in the index. coarse: cosine similarity. coarse_rank: 1 is best; None where
    it was found by its words alone. fused: what ranks after re-ranking, None without. rank: in the
    end. said: its words around those that were looked for, None where these are not said. scene:
    the hits for which it stands, itself among them, by time; None where it stands for itself.
    """

    segment: int
    coarse: float
    coarse_rank: int | None
    fused: float | None
    rank: int
    said: str | None = None
    scene: tuple[Hit, ...] | None = None


class Span(NamedTuple):
    """A segment that was found: `id` as of `Moment`, seconds, and its cosine similarity."""

    id: str
    start: float
    end: float
    score: float


class Moment(NamedTuple):
    """A result by the names of docs/search.md.

    rank: 1 is best. coarse_rank: before re-ranking, None where it was found by its words alone.
    video: its path below the folder that was indexed. start, end: seconds. coarse: cosine
    similarity. reranked: the re-ranker's score, None without it. id: names the segment in the API,
    also after an update of the index. photo: whether it is a photo, whose start and end are 0.
    seen: whether it was found by sight. said: by its words, an excerpt of these; else None.
    path: of the file. scene_start, scene_end: of the whole scene, in seconds. segments: what was
    found of that scene, by time; the moment is the best of these, `coarse` the highest of theirs.
    """

    rank: int
    coarse_rank: int | None
    video: str
    start: float
    end: float
    coarse: float
    reranked: float | None
    id: str
    photo: bool
    seen: bool
    said: str | None
    path: str
    scene_start: float
    scene_end: float
    segments: tuple[Span, ...]

    def as_json(self) -> dict[str, Any]:
        """As the API and --json tell it: scores to four decimals."""
        told = self._asdict() | {"path": readable(self.path), "coarse": round(self.coarse, 4)}
        if self.reranked is not None:
            told["reranked"] = round(self.reranked, 4)
        told["segments"] = [one._asdict() | {"score": round(one.score, 4)} for one in self.segments]
        return told


class Answer(NamedTuple):
    """Results by `rank`, of how many candidates, and the seconds that each stage took."""

    hits: list[Hit]
    candidates: int
    seconds: dict[str, float]

    @property
    def stage(self) -> str:
        """Of two-stage search the last that was done: "coarse" or "reranked"."""
        return "reranked" if "rerank" in self.seconds else "coarse"

    @property
    def milliseconds(self) -> dict[str, float]:
        """That each stage took."""
        return {stage: round(1000 * seconds, 3) for stage, seconds in self.seconds.items()}


def ranked(segments: np.ndarray, scores: np.ndarray, fused: np.ndarray | None) -> list[Hit]:
    """Hits by rank, of candidates int [K] whose cosine similarities float [K] fall.

    fused: float [F], what the re-ranker says of the first F; the others stay behind these.
    """
    best = np.empty(0, int) if fused is None else np.argsort(-fused, kind="stable")
    order = [*best.tolist(), *range(len(best), len(segments))]
    return [
        Hit(
            int(segments[place]),
            float(scores[place]),
            place + 1,
            None if fused is None or place >= len(fused) else float(fused[place]),
            rank,
        )
        for rank, place in enumerate(order, 1)
    ]


def fused(seen: list[Hit], said: list[Hit], count: int) -> list[Hit]:
    """Hits by sight and hits by words as one list, the first `count` of both by reciprocal rank.

    A hit of both has 1 / (60 + rank) of each list, and ranks by the sum. The others stand behind,
    by the better of their ranks: where more are found, the best ones stay what they were.
    """
    found, points, best = {hit.segment: hit for hit in seen}, dict[int, float](), dict[int, int]()
    for hits in (seen, said):
        for hit in hits:
            if hit.rank <= count:
                points[hit.segment] = points.get(hit.segment, 0.0) + 1 / (FUSION + hit.rank)
            best[hit.segment] = min(best.get(hit.segment, hit.rank), hit.rank)
    for hit in said:
        found[hit.segment] = found.get(hit.segment, hit)._replace(said=hit.said)
    order = sorted(found, key=lambda segment: (-points.get(segment, 0.0), best[segment]))
    return [found[segment]._replace(rank=rank) for rank, segment in enumerate(order, 1)]
