"""What `benchmarks.evidence` finds: by arm its values and its gain on another arm."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from animclip_jax.evaluation import comparison, metrics, results

SIGNIFICANT = 0.05
STAGES = ("coarse", "reranked")

# Runs of each arm, in the order of the seeds.
Arms = dict[str, list[comparison.Evaluated]]


class Subject(NamedTuple):
    """What a table is about.

    title: of its first column. measures: k of each R@k by the names of its columns; of siblings
    there is no rank, but how often the own video is above.
    """

    title: str
    measures: dict[str, int]

    @property
    def first(self) -> str:
        """The measure that re-ranking may raise."""
        return next(iter(self.measures))


_RECALLS = {"R@1": 1, "R@10": 10}
_ABOVE = {"told apart, %": 1}
SUBJECTS = {
    **{direction: Subject(title, _RECALLS) for direction, title in results.DIRECTIONS.items()},
    "motion": Subject("text -> video, captions that name a motion", _RECALLS),
    "others": Subject("text -> video, the other captions", _RECALLS),
    "siblings/motion": Subject("siblings that differ in a motion", _ABOVE),
    "siblings/others": Subject("siblings that differ in a swap", _ABOVE),
}


class Difference(NamedTuple):
    """An arm's mean over seeds less its base's, its 95 % interval, and p of there being none."""

    value: float
    lower: float
    upper: float
    p: float

    @property
    def is_significant(self) -> bool:
        return self.p < SIGNIFICANT


class Row(NamedTuple):
    """One arm, subject and stage; by measure its values by seed, and what it gains on `base`.

    Where it is of gains, `arm` and `base` are differences between two arms each, and so are values.
    raised: of the re-ranked R@1 over the coarse one of the same arm; None in rows of coarse scores.
    """

    arm: str
    base: str
    direction: str
    stage: str
    values: dict[str, np.ndarray]
    gains: dict[str, Difference]
    raised: Difference | None
    is_of_gains: bool = False


def compare(
    arms: Arms, base: str, against: dict[str, str], gains: Sequence[tuple[str, str]] = ()
) -> list[Row]:
    """Rows by subject, arm and stage, those of gains last.

    Args:
      base: the arm that others are compared with. against: arms that are with another, and which.
      gains: pairs of arms of which one's gain on its base is compared with the other's on its own.

    Raises:
      ValueError: an arm that is named is not there.
    """
    bases = {name: against.get(name, base) for name in arms}
    for name in (base, *against, *against.values(), *itertools.chain(*gains)):
        if name not in arms:
            raise ValueError(f"no arm {name!r}: there are {', '.join(arms)}")
    rows: list[Row] = []
    for direction in SUBJECTS:
        if not all(_queries(run, direction).any() for runs in arms.values() for run in runs):
            continue
        scores = {stage: _scores(arms, direction, stage) for stage in STAGES}
        for name, theirs in bases.items():
            pairs = {stage: (of[name], of[theirs]) for stage, of in scores.items()}
            rows += _rows(name, theirs, direction, pairs)
        for name, theirs in gains:
            first, second = (f"{arm} - {bases[arm]}" for arm in (name, theirs))
            pairs = {
                stage: (of[name].less(of[bases[name]]), of[theirs].less(of[bases[theirs]]))
                for stage, of in scores.items()
            }
            rows += [
                row._replace(is_of_gains=True) for row in _rows(first, second, direction, pairs)
            ]
    return rows


class Scores(NamedTuple):
    """A subject's M measures of an arm, by seed [S, M]; the same on bootstrap samples [B, S, M].

    sums: [C, S, M], of each cluster of queries.
    """

    observed: np.ndarray
    drawn: np.ndarray
    sums: np.ndarray

    def less(self, other: Scores) -> Scores:
        return Scores(*(ours - theirs for ours, theirs in zip(self, other, strict=True)))


def _rows(
    arm: str, base: str, direction: str, pairs: dict[str, tuple[Scores, Scores]]
) -> Iterator[Row]:
    """A row for each stage, of whose `pairs` the first is the arm's and the second its base's."""
    measures = SUBJECTS[direction].measures
    for stage, (ours, theirs) in pairs.items():
        values = {measure: ours.observed[:, k] for k, measure in enumerate(measures)}
        gains = dict(zip(measures, _differences(ours.less(theirs)), strict=True))
        raised = None
        if stage == "reranked":
            raised = next(_differences(ours.less(pairs["coarse"][0])))
        yield Row(arm, base, direction, stage, values, gains, raised)


def _differences(scores: Scores) -> Iterator[Difference]:
    """Of each measure."""
    observed, drawn, sums = scores
    for k in range(observed.shape[1]):
        found = difference(observed[:, k], drawn[:, :, k])
        changed = int(np.count_nonzero(sums[:, :, k].any(axis=1)))
        yield found if changed >= metrics.ENOUGH_TO_DIFFER else _unsure(found, changed)


def _unsure(found: Difference, changed: int) -> Difference:
    """Of so few changed clusters: no surer than that all changed in one way by chance."""
    value, reach = found.value, max(found.value - found.lower, abs(found.value))
    return Difference(
        value, value - reach, value + reach, max(found.p, min(1, 2.0 ** (1 - changed)))
    )


def _queries(run: comparison.Evaluated, direction: str) -> np.ndarray:
    """Which of the queries whose ranks a run has a subject is about: bool, none without them."""
    kind, _, of = direction.rpartition("/")
    if direction in results.DIRECTIONS:
        return np.ones(len(run.ranks[f"{direction}/coarse"]), bool)
    motion = run.ranks.get("siblings/motion" if kind else "motion", np.zeros(0, bool))
    return motion if of == "motion" else ~motion


def _hits(run: comparison.Evaluated, direction: str, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """How far each query of a subject succeeds, 0 to 1 by measure [Q, M], and its cluster [Q]."""
    chosen = _queries(run, direction)
    if direction.startswith("siblings/"):
        return run.ranks[f"siblings/{stage}"][chosen, None], run.ranks["siblings/pair"][chosen]
    by_video = direction == "video_to_text"
    ranks = run.ranks[f"{direction if by_video else 'text_to_video'}/{stage}"][chosen]
    cluster = np.arange(run.results["num_videos"]) if by_video else run.ranks["owner"]
    return ranks[:, None] <= np.array([*SUBJECTS[direction].measures.values()]), cluster[chosen]


def _scores(arms: Arms, direction: str, stage: str) -> dict[str, Scores]:
    """By arm; the queries drawn are the same for all runs."""
    runs = [run for of_arm in arms.values() for run in of_arm]
    hits = 100.0 * np.stack([_hits(run, direction, stage)[0] for run in runs])  # [R, Q, M]
    cluster = _hits(runs[0], direction, stage)[1]
    shape = len(arms), -1, hits.shape[2]
    observed = hits.mean(1).reshape(shape)
    drawn, sums = (
        found.reshape(len(found), *shape)
        for found in (resampled_means(hits, cluster), _by_cluster(hits, cluster)[0])
    )
    return {name: Scores(observed[i], drawn[:, i], sums[:, i]) for i, name in enumerate(arms)}


def resampled_means(values: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Means over the queries on the same bootstrap samples as `metrics.resampled_medians`.

    Args:
      values: [R, Q, K]. cluster: as `metrics.intervals` has it.

    Returns:
      float64 [B, R, K].
    """
    sums, sizes = _by_cluster(values, cluster)
    drawn = np.concatenate(list(metrics.draws(len(sizes), metrics.RESAMPLES)))
    return np.tensordot(drawn, sums, 1) / (drawn @ sizes)[:, None, None]


def _by_cluster(values: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each cluster's values, float64 [C, R, K], and how many queries it has, int [C]."""
    _, cluster, sizes = np.unique(cluster, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), len(values), values.shape[2]))
    np.add.at(sums, cluster, values.swapaxes(0, 1))
    return sums, sizes


def difference(by_seed: np.ndarray, drawn: np.ndarray) -> Difference:
    """The mean of differences by seed, and how sure it is.

    Args:
      by_seed: float [S]. drawn: float [B, S], the same on bootstrap samples of the queries.
    """
    seeds, value = len(by_seed), float(by_seed.mean())
    chosen = np.random.default_rng(1).integers(seeds, size=(len(drawn), max(1, seeds - 1)))
    error = float(np.take_along_axis(drawn, chosen, axis=1).mean(axis=1).std(ddof=1))
    between = float(by_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    if error == 0:
        return Difference(value, value, value, float(value == 0))
    freedom = (seeds - 1) * max(1.0, error**2 / between) ** 2 if between else np.inf
    reach = float(stats.t.ppf(0.975, freedom)) * error
    return Difference(
        value, value - reach, value + reach, float(2 * stats.t.sf(abs(value) / error, freedom))
    )
