"""Ranks, what is reported of them (R@K, MdR, MnR) and how sure that is, in NumPy.

Captions and videos belong to groups: a caption is right for a video when both have the same group,
so that several captions a video (MSVD, VATEX, Flickr) are counted rightly in both directions. Ties
count against us: an item with the score of the right one stands before it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

RECALLS = (1, 5, 10, 50)
RESAMPLES = 1000


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


def intervals(ranks: np.ndarray, cluster: np.ndarray) -> dict[str, list[float]]:
    """95 % bootstrap intervals of `summary`'s numbers: [lower, upper] by name.

    Args:
      ranks: int [Q].
      cluster: int [Q]; queries of one cluster (the captions of a video) are drawn together, since
        they succeed and fail together.
    """
    drawn = list(resampled([ranks], cluster))
    return {name: _percentiles([one[0][name] for one in drawn]) for name in drawn[0][0]}


def differences(
    ours: np.ndarray, theirs: np.ndarray, cluster: np.ndarray
) -> dict[str, dict[str, float]]:
    """Ours minus theirs on the same queries, paired: `difference`, `lower`, `upper` by name.

    lower and upper enclose 95 % of the differences over bootstrap samples of the queries: where 0
    lies between them, another draw of queries may well have the other one first.
    """
    drawn = list(resampled([ours, theirs], cluster))
    observed = summary(ours), summary(theirs)
    report = {}
    for name in observed[0]:
        lower, upper = _percentiles([one[0][name] - one[1][name] for one in drawn])
        difference = observed[0][name] - observed[1][name]
        report[name] = {"difference": difference, "lower": lower, "upper": upper}
    return report


def _percentiles(values: list[float]) -> list[float]:
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def resampled(columns: list[np.ndarray], cluster: np.ndarray) -> Iterator[list[dict[str, float]]]:
    """For each bootstrap sample of the queries, `summary` of each column of ranks on it.

    Args:
      columns: int [Q] each, of the same queries. cluster: as `intervals` has it.
    """
    cluster = np.unique(cluster, return_inverse=True)[1]
    orders = [np.argsort(ranks) for ranks in columns]
    prepared = [(ranks[by], cluster[by]) for ranks, by in zip(columns, orders, strict=True)]
    ends = [np.searchsorted(ranks, RECALLS, side="right") for ranks, _ in prepared]
    for drawn in _draws(cluster.max() + 1):
        sample = []
        for (ranks, clusters), end in zip(prepared, ends, strict=True):
            weight = drawn[clusters]
            so_far = np.concatenate([[0], np.cumsum(weight)])
            total = so_far[-1]
            recalls = 100 * so_far[end] / total
            report = {f"R@{k}": float(recall) for k, recall in zip(RECALLS, recalls, strict=True)}
            # The mean of the two middle ones where their number is even, as np.median has it.
            middle = np.searchsorted(so_far[1:], [(total - 1) // 2, total // 2], side="right")
            report["MdR"] = float(ranks[middle].mean())
            report["MnR"] = float(weight @ ranks / total)
            sample.append(report)
        yield sample


def resampled_recalls(
    columns: Sequence[np.ndarray], cluster: np.ndarray, most: Sequence[int]
) -> np.ndarray:
    """R@k on the same bootstrap samples as `resampled`, at once for many runs.

    Args:
      columns: int [Q] each, R of them. cluster: as `intervals` has it. most: the K values of k.

    Returns:
      float64 [B, R, K], in percent.
    """
    _, cluster, sizes = np.unique(cluster, return_inverse=True, return_counts=True)
    hits = np.stack(columns)[:, :, None] <= np.asarray(most)  # [R, Q, K]
    by_cluster = np.zeros((len(sizes), len(columns), len(most)))
    np.add.at(by_cluster, cluster, hits.swapaxes(0, 1))
    drawn = np.stack(list(_draws(len(sizes))))
    return 100 * np.tensordot(drawn, by_cluster, 1) / (drawn @ sizes)[:, None, None]


def _draws(count: int) -> Iterator[np.ndarray]:
    """How often each of so many clusters is drawn, int [count] a bootstrap sample; always alike."""
    random = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        yield np.bincount(random.integers(count, size=count), minlength=count)


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
