"""Two evaluations on the same queries: is the one better, or was it the choice of queries?

Ranks of every query are kept beside results.json, so that the comparison is paired: what is hard
for both runs does not widen the interval.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from animclip_jax import files
from animclip_jax.evaluation import metrics, results, sweep
from animclip_jax.runs import layout
from animclip_jax.words import count

# Fields of results.json in words.
SAID = {"queries": "set of videos and captions (a fingerprint)"}


class Evaluated(NamedTuple):
    """results.json, where it lies, and ranks int [Q] by "direction/stage" beside it.

    Where the source tells of motion and siblings, the other arrays of docs/results.md, too.
    """

    path: Path
    results: dict[str, Any]
    ranks: dict[str, np.ndarray]


def write_ranks(
    directory: Path,
    owner: np.ndarray,
    ranks: dict[str, dict[str, np.ndarray]],
    more: dict[str, np.ndarray] | None = None,
) -> None:
    """Writes DIRECTORY/ranks.npz.

    Args:
      owner: int [Q], the video of each caption. ranks: int [Q] by direction and stage. more: other
        arrays by name, `siblings.Measured.arrays`.
    """
    arrays: dict[str, Any] = {"owner": owner.astype(np.int32)} | (more or {})
    arrays |= {f"{d}/{s}": one for d, stages in ranks.items() for s, one in stages.items()}
    with files.replacing(directory / layout.RANKS) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: Path) -> Evaluated:
    """A results.json of one run, with the ranks beside it.

    Raises:
      FileNotFoundError: one of the two is not there. ValueError: it is damaged.
    """
    found = results.read(path)
    return Evaluated(path, found, read_ranks(path.parent, found))


def read_ranks(directory: Path, found: dict[str, Any]) -> dict[str, np.ndarray]:
    """DIRECTORY/ranks.npz, checked against the results that it belongs to.

    Raises:
      FileNotFoundError: it is not there. ValueError: it is damaged.
    """
    path = directory / layout.RANKS
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: evaluate that run again, which writes each query's rank"
        )
    advice = "evaluate that run again"
    ranks = files.read_arrays(path, advice)
    try:
        sizes = {"text_to_video": found["num_queries"], "video_to_text": found["num_videos"]}
        for direction, size in sizes.items():
            for stage in results.STAGES:
                if ranks[f"{direction}/{stage}"].shape != (size,):
                    raise ValueError(f"{direction}/{stage}: wanted {count(size, 'rank')}")
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: not the ranks of its results ({error}): evaluate again"
        ) from None
    return ranks


def refuse_unlike(ours: dict[str, Any], theirs: dict[str, Any], where: str) -> None:
    """Raises ValueError where two results don't answer the same queries in the same way."""
    for field in sweep.SAME_QUERIES:
        said, here, there = SAID.get(field, field), ours[field], theirs[field]
        if sweep.compared(ours, field) == sweep.compared(theirs, field):
            continue
        if isinstance(here, dict) and isinstance(there, dict):
            name = next(name for name in (*here, *there) if here.get(name) != there.get(name))
            said, here, there = f"{said}'s {name}", here.get(name), there.get(name)
        raise ValueError(
            f"{where}: can't be compared, its {said} is {there!r}, here it is {here!r}: only "
            "evaluations of the same queries by the same protocol can be compared"
        )


def compare(ours: Evaluated, theirs: Evaluated) -> dict[str, dict[str, dict[str, Any]]]:
    """Ours minus theirs, paired, by direction and stage: see `metrics.differences`.

    Raises:
      ValueError: they are not comparable; says in what.
    """
    refuse_unlike(ours.results, theirs.results, str(theirs.path))
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for direction in results.DIRECTIONS:
        by_text = direction == "text_to_video"
        cluster = ours.ranks["owner"] if by_text else np.arange(ours.results["num_videos"])
        found[direction] = {
            stage: metrics.differences(
                ours.ranks[f"{direction}/{stage}"], theirs.ranks[f"{direction}/{stage}"], cluster
            )
            for stage in results.STAGES
        }
    return found


def verdict(difference: dict[str, float], higher_is_better: bool) -> str:
    """better, worse, the same, or no significant difference."""
    lower, upper = difference["lower"], difference["upper"]
    if lower == upper == 0:
        return "the same"
    if lower <= 0 <= upper:
        return "no significant difference"
    return "better" if (lower > 0) == higher_is_better else "worse"


def table(compared: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Differences in plain ASCII, at most 100 columns."""
    lines = [f"{'ours - theirs':27} {'':10} {'difference':>10}   95% interval"]
    for direction, stages in compared.items():
        for stage, differences in stages.items():
            for measure in (*results.RECALLS, "MdR", "MnR"):
                one = differences[measure]
                said = verdict(one, measure in results.RECALLS)
                reach = f"{one['lower']:+.1f} to {one['upper']:+.1f}"
                name = f"{results.DIRECTIONS[direction]}, {results.STAGES[stage]}"
                lines.append(
                    f"{name:27} {measure:10} {one['difference']:+10.1f}   {reach:18} {said}"
                )
    return "\n".join(lines)
