"""Ranks, what is reported of them (R@K, MdR, MnR) and how sure that is, in NumPy.

Captions and videos belong to groups: a caption is right for a video when both have the same group,
so that several captions a video (MSVD, VATEX, Flickr) are counted rightly in both directions. Ties
count against us: an item with the score of the right one stands before it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

RECALLS = (1, 5, 10, 50)
RESAMPLES = 1000
# The ends of a mean's interval lie where few samples do.
MEAN_RESAMPLES = 4000
# Samples of fewer clusters are too often alike to say how a mean strays.
_ENOUGH_TO_RESAMPLE = 20
# Fewer changed clusters too often changed in one way by chance: 5 do once in 16 times.
ENOUGH_TO_DIFFER = 6


def ranks(scores: np.ndarray, right: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
    """Where each query's best right item stands among the wrong ones.

    Args:
      scores: float [Q, N]. right: bool [Q, N].
      group: int >= 0, [N] or [Q, N]; wrong items of one group count once, so that a video's rank
        doesn't fall with the number of captions that other videos have.

    Returns:
      int64 [Q], 1 is best; 0 where a query has no right item among the N.

    Raises:
      ValueError: a score is not finite; names the query and the item.
    """
    if not np.isfinite(scores).all():
        query, item = np.argwhere(~np.isfinite(scores))[0]
        raise ValueError(f"the score of query {query} and item {item} is {scores[query, item]}")
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    before = ~right & (scores >= best)
    count = before.sum(axis=1) if group is None else _num_groups(before, group)
    return np.where(right.any(axis=1), 1 + count, 0)


def _num_groups(chosen: np.ndarray, group: np.ndarray) -> np.ndarray:
    """In each row, how many groups the chosen items belong to."""
    found = np.sort(np.where(chosen, group, -1), axis=1)
    first = np.diff(found, axis=1, prepend=-1) != 0
    return (first & (found >= 0)).sum(axis=1)


def reranked_ranks(
    coarse: np.ndarray, fused: np.ndarray, right: np.ndarray, group: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks after the K candidates of each query were put in the order of their fused scores.

    Args:
      coarse: int64 [Q], ranks in the coarse order.
      fused: float [Q, K], scores of the candidates. right: bool [Q, K].
      group: int [Q, K], of the candidates, as in `ranks`.

    Returns:
      (re-ranked, ceiling) int64 [Q] each: a query without a right candidate keeps its coarse rank;
      the ceiling is what a perfect re-ranker would reach. A right item that is a candidate only
      because ties were broken for it is not counted as one.
    """
    found = right.any(axis=1) & (coarse <= fused.shape[1])
    within = ranks(fused, right, group)
    return np.where(found, within, coarse), np.where(found, 1, coarse)


def summary(ranks: np.ndarray) -> dict[str, float]:
    """R@1, R@5, R@10, R@50 in percent; median and mean rank."""
    report = {f"R@{k}": 100.0 * float(np.mean(ranks <= k)) for k in RECALLS}
    return report | {"MdR": float(np.median(ranks)), "MnR": float(np.mean(ranks))}


def scores(ranks: np.ndarray, cluster: np.ndarray) -> dict[str, Any]:
    """What a stage is reported as: `summary`, and its `intervals`."""
    return summary(ranks) | {"intervals": intervals(ranks, cluster)}


def intervals(ranks: np.ndarray, cluster: np.ndarray) -> dict[str, list[float]]:
    """95 % intervals of `summary`'s numbers: [lower, upper] by name.

    Recalls take Wilson's interval for a share, which keeps its word near 0 and 100; MnR, whose
    few great ranks make it lopsided, a bootstrap of Student's t; MdR the percentiles of a
    bootstrap. How often each of them holds: benchmarks/intervals.py.

    Args:
      ranks: int [Q].
      cluster: int [Q]; queries of one cluster (the captions of a video) are drawn together, since
        they succeed and fail together. Of a single cluster nothing is known: both ends are the
        number itself.
    """
    found = {f"R@{k}": share_interval(ranks <= k, cluster) for k in RECALLS}
    found["MdR"] = _percentiles(resampled_medians([ranks], cluster)[:, 0])
    return found | {"MnR": _mean_interval(ranks, cluster)}


def differences(
    ours: np.ndarray, theirs: np.ndarray, cluster: np.ndarray
) -> dict[str, dict[str, float]]:
    """Ours minus theirs on the same queries, paired: `difference`, `lower`, `upper` by name.

    lower and upper are a 95 % interval: where 0 lies between them, another draw of queries may
    well have the other one first. They are Student's t over the clusters, which calls two equal
    runs different once in 20 times, and for MdR percentiles of a bootstrap. Where fewer than six
    clusters changed, they reach to 0 at least. Of a single cluster nothing is known: they are
    infinite.
    """
    cluster = np.unique(cluster, return_inverse=True)[1]
    one_by_one = {f"R@{k}": 100.0 * (ours <= k) - 100.0 * (theirs <= k) for k in RECALLS}
    one_by_one["MnR"] = (ours - theirs).astype(float)
    report = {}
    for name, change in one_by_one.items():
        mean = _clustered_mean(change, cluster)
        reach = _t(mean.clusters) * mean.error if change.any() else 0.0
        if _are_few_changed(change, cluster):
            reach = max(reach, abs(mean.value))
        lower, upper = mean.value - reach, mean.value + reach
        report[name] = {"difference": mean.value, "lower": lower, "upper": upper}
    medians = resampled_medians([ours, theirs], cluster)
    lower, upper = _percentiles(medians[:, 0] - medians[:, 1])
    if _are_few_changed(ours - theirs, cluster):
        lower, upper = min(lower, 0.0), max(upper, 0.0)
    if not cluster.any() and (ours != theirs).any():
        lower, upper = -np.inf, np.inf
    difference = float(np.median(ours) - np.median(theirs))
    return report | {"MdR": {"difference": difference, "lower": lower, "upper": upper}}


def _are_few_changed(change: np.ndarray, cluster: np.ndarray) -> bool:
    """Whether so few clusters changed that chance alone may have moved all of them in one way."""
    return len(np.unique(cluster[change != 0])) < ENOUGH_TO_DIFFER


class _Mean(NamedTuple):
    """A mean over queries and its standard error, which takes clusters, not queries, as drawn."""

    value: float
    error: float
    clusters: int


def _clustered_mean(values: np.ndarray, cluster: np.ndarray) -> _Mean:
    sizes, sums = _by_cluster(values, cluster)
    mean, count = sums.sum() / sizes.sum(), len(sizes)
    if count == 1:
        return _Mean(float(mean), np.inf, count)
    spread = ((sums - mean * sizes) ** 2).sum() * count / (count - 1)
    return _Mean(float(mean), float(np.sqrt(spread) / sizes.sum()), count)


def _by_cluster(values: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many queries each cluster has, and the sum of their values: float64 [C] each."""
    cluster = np.unique(cluster, return_inverse=True)[1]
    return np.bincount(cluster).astype(float), np.bincount(cluster, values.astype(float))


def _t(clusters: int) -> float:
    """Student's t that 95 % of such means stay within, either side."""
    return float(stdtrit(max(clusters - 1, 1), 0.975))


def share_interval(hits: np.ndarray, cluster: np.ndarray) -> list[float]:
    """Wilson's 95 % interval of a share in percent, of as many queries as the clusters are worth.

    Args:
      hits: bool [Q], or float, 0.5 where a query is half a hit. cluster: as `intervals` has it.
    """
    share, error, clusters = _clustered_mean(hits, cluster)
    if clusters == 1:
        return [100 * share, 100 * share]
    worth = share * (1 - share) / error**2 if error > 0 else clusters
    t = _t(clusters)
    middle = share + t**2 / (2 * worth)
    reach = t * np.sqrt(share * (1 - share) / worth + t**2 / (4 * worth**2))
    lower, upper = (float(100 * (middle + by) / (1 + t**2 / worth)) for by in (-reach, reach))
    # Rounding must not leave out the share itself, which is an end where all or none are hits.
    return [max(0.0, min(lower, 100 * share)), min(100.0, max(upper, 100 * share))]


def _mean_interval(ranks: np.ndarray, cluster: np.ndarray) -> list[float]:
    """Of the mean, by how many of its own standard errors it strays in bootstrap samples."""
    mean, error, clusters = _clustered_mean(ranks, cluster)
    if clusters == 1 or error == 0:
        return [mean, mean]
    below = above = _t(clusters)
    if clusters >= _ENOUGH_TO_RESAMPLE:
        sizes, sums = _by_cluster(ranks, cluster)
        drawn = np.stack([sizes, sums, sums**2, sums * sizes, sizes**2], axis=1)
        total, drawn_sum, squares, products, sizes_squared = np.concatenate(
            [block @ drawn for block in draws(clusters, MEAN_RESAMPLES)]
        ).T
        means = drawn_sum / total
        spread = squares - 2 * means * products + means**2 * sizes_squared
        errors = np.sqrt(np.maximum(spread, 0) * clusters / (clusters - 1)) / total
        # A sample of equal clusters has an error of zero, but for rounding, and says nothing.
        says = errors > 1e-6 * error
        strayed = np.where(says, (means - mean) / np.where(says, errors, 1), 0)
        below, above = np.percentile(strayed, [97.5, 2.5]) * [1, -1]
    return [max(1.0, float(mean - below * error)), float(mean + above * error)]


def _percentiles(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def resampled_medians(columns: list[np.ndarray], cluster: np.ndarray) -> np.ndarray:
    """The median of each column on the same bootstrap samples of the queries.

    Args:
      columns: int [Q] each, R of them, of the same queries. cluster: as `intervals` has it.

    Returns:
      float64 [B, R].
    """
    cluster = np.unique(cluster, return_inverse=True)[1]
    orders = [np.argsort(ranks) for ranks in columns]
    prepared = [(ranks[by], cluster[by]) for ranks, by in zip(columns, orders, strict=True)]
    medians = []
    for block in draws(int(cluster.max()) + 1, RESAMPLES):
        found = []
        for ranks, clusters in prepared:
            so_far = np.cumsum(block[:, clusters], axis=1)
            total = so_far[:, -1:]
            # The mean of the two middle ones where their number is even, as np.median has it.
            lower, upper = (
                ranks[(so_far <= half).sum(axis=1)] for half in ((total - 1) // 2, total // 2)
            )
            found.append((lower + upper) / 2)
        medians.append(np.stack(found, axis=1))
    return np.concatenate(medians)


def draws(count: int, samples: int) -> Iterator[np.ndarray]:
    """How often each of so many clusters is drawn in bootstrap samples, always alike.

    Yields:
      int64 [b, count], blocks of samples, so many of them in all.
    """
    random = np.random.default_rng(0)
    block = max(1, 2**18 // count)
    for start in range(0, samples, block):
        here = min(block, samples - start)
        drawn = random.integers(count, size=(here, count)) + count * np.arange(here)[:, None]
        yield np.bincount(drawn.ravel(), minlength=here * count).reshape(here, count)


def greatest_recall(texts: Sequence[str], owner: np.ndarray) -> tuple[int, float]:
    """What captions that several videos share leave to reach, from text to video.

    Whatever looks at a caption alone answers equal captions equally, and at most one video can be
    first: of a text that is a caption of several videos only the queries of one can be right.

    Args:
      texts: the Q captions. owner: int [Q], the video of each.

    Returns:
      how many of the queries have a text that another video has too, and the greatest R@1 that any
      function of the caption can reach, in percent.
    """
    videos: dict[str, Counter[int]] = {}
    for text, video in zip(texts, owner.tolist(), strict=True):
        videos.setdefault(text, Counter())[video] += 1
    shared = sum(count.total() for count in videos.values() if len(count) > 1)
    right = sum(max(count.values()) for count in videos.values())
    return shared, 100.0 * right / len(texts)


def chance(right_counts: np.ndarray, num_items: int) -> dict[str, float]:
    """R@1, R@5, R@10, R@50 of a random order, in percent.

    Args:
      right_counts: int [Q], how many of the `num_items` are right for each query.
    """
    report = {}
    for k in RECALLS:
        missed = np.ones(len(right_counts))
        for drawn in range(min(k, num_items)):
            missed *= np.clip(num_items - right_counts - drawn, 0, None) / (num_items - drawn)
        report[f"R@{k}"] = 100.0 * float(np.mean(1 - missed))
    return report


def check_finite(embedding: np.ndarray, names: list[str], what: str) -> None:
    """Raises ValueError naming the first item whose embedding [N, E] holds no finite numbers."""
    bad = np.flatnonzero(~np.isfinite(embedding).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{what} {names[bad[0]]!r}: its embedding is not finite (and so with {len(bad)} of "
            f"{len(names)}): the weights are damaged, or training diverged"
        )
