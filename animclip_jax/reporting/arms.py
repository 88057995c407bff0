"""What a report shows of a run, read from its folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from animclip_jax import files
from animclip_jax.evaluation.comparison import read_ranks
from animclip_jax.reporting.pictures import inside
from animclip_jax.runs import layout, run_config

T = TypeVar("T")


class Strip(NamedTuple):
    """Frames in a row, each `side` pixels high and wide."""

    path: Path
    frames: int
    side: int


class Sample(NamedTuple):
    """A training picture and the clip made of it."""

    picture: Path
    strip: Strip
    caption: str


class Query(NamedTuple):
    """A caption, its video, and the ids and scores found before and after re-ranking."""

    caption: str
    target: str
    coarse: list[tuple[str, float]]
    reranked: list[tuple[str, float]]
    coarse_rank: int
    reranked_rank: int

    @property
    def found(self) -> list[str]:
        """The ids in either list."""
        return [video for video, _ in self.coarse + self.reranked]


class Pair(NamedTuple):
    """Two videos that differ in one thing, and a caption of each, which is false of the other.

    scores: of each caption, for both videos in their order, by stage.
    """

    differs: str
    videos: list[str]
    captions: list[str]
    scores: list[dict[str, list[float]]]


class Rankings(NamedTuple):
    """Some queries and pairs, a strip of each video they name, and counts of queries by group."""

    queries: list[Query]
    strips: dict[str, Strip]
    counts: dict[str, int]
    pairs: list[Pair]


class Arm(NamedTuple):
    """A run; `curves` holds (step, value) by metric, value None where it was not finite.

    ranks: int [Q] by "direction/stage", of every query.
    """

    name: str
    results: dict[str, Any]
    curves: dict[str, list[tuple[int, float | None]]]
    samples: list[Sample]
    rankings: Rankings | None
    ranks: dict[str, np.ndarray] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The run's configuration, flat, by dotted name."""
        return run_config.flat(self.results["config"])


def load_arm(directory: Path, name: str, results: dict[str, Any]) -> Arm:
    """Reads a run's folder; what a run did not keep is empty.

    Raises:
      ValueError: a file is not what a run writes; names it.
    """
    samples, rankings = directory / layout.SAMPLES_LIST, directory / layout.RANKINGS_LIST
    return Arm(
        name,
        results,
        _curves(directory / layout.METRICS),
        _parse(samples, _samples) if samples.exists() else [],
        _parse(rankings, _rankings) if rankings.exists() else None,
        read_ranks(directory, results) if (directory / layout.RANKS).exists() else None,
    )


def _parse(path: Path, build: Callable[[Path, Any], T]) -> T:
    try:
        return build(path.parent, files.read_json(path))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{path}: not in the layout that a run writes ({type(error).__name__}: {error}): "
            "evaluate the run again"
        ) from error


def _samples(directory: Path, listing: Any) -> list[Sample]:
    return [
        Sample(
            inside(directory, one["picture"]),
            # A run of before lists no frames: its clips are shown as they are.
            Strip(inside(directory, one["strip"]), one.get("frames", 0), one.get("side", 0)),
            one["caption"],
        )
        for one in listing
    ]


def _rankings(directory: Path, listing: Any) -> Rankings:
    queries = [
        Query(
            one["caption"],
            one["target"],
            [(found["id"], found["score"]) for found in one["coarse"]],
            [(found["id"], found["score"]) for found in one["reranked"]],
            one["coarse_rank"],
            one["reranked_rank"],
        )
        for one in listing["queries"]
    ]
    strips = {
        video: Strip(inside(directory, one["file"]), one["frames"], one["side"])
        for video, one in listing["strips"].items()
    }
    pairs = [
        Pair(
            one["differs"],
            one["videos"],
            [said["caption"] for said in one["captions"]],
            [{stage: said[stage] for stage in ("coarse", "reranked")} for said in one["captions"]],
        )
        for one in listing.get("pairs", [])
    ]
    return Rankings(queries, strips, listing.get("counts", {}), pairs)


def _curves(path: Path) -> dict[str, list[tuple[int, float | None]]]:
    curves: dict[str, list[tuple[int, float | None]]] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            step = entry.pop("step")
        except (ValueError, KeyError, AttributeError, RecursionError):
            if number == len(lines):  # a kill may cut off the last line
                break
            raise ValueError(
                f"{path}, line {number}: found {line[:80]!r}, wanted a JSON object with 'step'"
            ) from None
        for name, value in entry.items():
            curves.setdefault(name, []).append((step, value))
    return curves
