"""Ranks and what is reported of them (R@K, MdR, MnR), in NumPy.

Captions and videos belong to groups: a caption is right for a video when both have the same group,
so that several captions a video (MSVD, VATEX) are counted rightly in both directions. Ties count
against us: an item with the score of the right one stands before it.
"""

import numpy as np


def ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where each query's best right item stands among the wrong ones.

    Args:
      scores: float [Q, N]. right: bool [Q, N].

    Returns:
      int64 [Q], 1 is best; 0 where a query has no right item among the N.

    Raises:
      ValueError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        query, item = np.argwhere(~np.isfinite(scores))[0]
        raise ValueError(f"the score of query {query} and item {item} is {scores[query, item]}")
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    wrong_before = (~right & (scores >= best)).sum(axis=1)
    return np.where(right.any(axis=1), 1 + wrong_before, 0)


def reranked_ranks(
    coarse: np.ndarray, fused: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks after the K candidates of each query were put in the order of their fused scores.

    Args:
      coarse: int64 [Q], ranks in the coarse order.
      fused: float [Q, K], scores of the candidates. right: bool [Q, K].

    Returns:
      (re-ranked, ceiling) int64 [Q] each: a query without a right candidate keeps its coarse rank;
      the ceiling is what a perfect re-ranker would reach.
    """
    found = right.any(axis=1)
    within = ranks(fused, right)
    return np.where(found, within, coarse), np.where(found, 1, coarse)


def summary(ranks: np.ndarray) -> dict[str, float]:
    """R@1, R@5, R@10 in percent; median and mean rank."""
    report = {f"R@{k}": 100.0 * float(np.mean(ranks <= k)) for k in (1, 5, 10)}
    return report | {"MdR": float(np.median(ranks)), "MnR": float(np.mean(ranks))}


def chance(right_counts: np.ndarray, num_items: int) -> dict[str, float]:
    """R@1, R@5, R@10 of a random order, in percent.

    Args:
      right_counts: int [Q], how many of the `num_items` are right for each query.
    """
    report = {}
    for k in (1, 5, 10):
        missed = np.ones(len(right_counts))
        for drawn in range(min(k, num_items)):
            missed *= np.clip(num_items - right_counts - drawn, 0, None) / (num_items - drawn)
        report[f"R@{k}"] = 100.0 * float(np.mean(1 - missed))
    return report
