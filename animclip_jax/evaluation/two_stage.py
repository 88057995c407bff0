"""Both stages in one direction: every query ranked, re-ranked, timed, and at several K."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from animclip_jax.evaluation import metrics
from animclip_jax.evaluation.pairs import SharedPairs
from animclip_jax.evaluation.shares import Shares
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.retrieval.coarse import CoarseResult, coarse_stage, top_k
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.normalization import Normalization, measure, normalized_fused
from animclip_jax.retrieval.rerank import Captions

# Numbers of candidates that re-ranking is reported for.
SWEEP = (5, 10, 20, 50)


class Gallery(NamedTuple):
    """Features of a source's videos and captions, those of this process, and the names of all.

    video, text: of the process's `Shares` of the N videos and Q captions. owner: int [Q], a
    caption's video. ids: each video's. captions: each caption's text.
    """

    video: VideoFeatures
    text: Captions
    owner: np.ndarray
    ids: list[str]
    captions: list[str]


class Ranked(NamedTuple):
    """One direction of a search over Q queries with K candidates each, best first by `scores`.

    candidates int [Q, K]; scores, fused float32 [Q, K]; *_ranks int64 [Q], 1 is best.
    """

    candidates: np.ndarray
    scores: np.ndarray
    coarse_ranks: np.ndarray
    fused: np.ndarray
    reranked_ranks: np.ndarray
    ceiling_ranks: np.ndarray


class Search:
    """Two-stage retrieval over one gallery, which all processes do together.

    text_embedding float32 [Q, E], video_embedding float32 [N, E]: of all captions and videos.
    """

    def __init__(
        self,
        encoder: Encoder,
        gallery: Gallery,
        *,
        groups_once: bool = False,
        normalization: str = "none",
        bank: np.ndarray | None = None,
    ):
        """Collects and checks the embeddings, and puts onto the devices what fits there.

        Args:
          groups_once: from video to text, wrong captions of one video count once.
          normalization: of `normalization.KINDS`; QB-Norm from text to video alone.
          bank: float32 [B, E], embeddings of QB-Norm's bank of captions.

        Raises:
          ValueError: an embedding is not finite; names the item.
        """
        shares = Shares(len(gallery.captions)), Shares(len(gallery.ids))
        self._captions, self._videos = shares
        self.text_embedding = self._captions.gathered(gallery.text.embedding)
        self.video_embedding = self._videos.gathered(np.asarray(gallery.video.embedding))
        metrics.check_finite(self.text_embedding, gallery.captions, "caption")
        metrics.check_finite(self.video_embedding, gallery.ids, "video")
        self.encoder, self.gallery, self.groups_once = encoder, gallery, groups_once
        self.normalization, self.bank = normalization, bank
        self.scorer = SharedPairs(encoder, gallery.text, gallery.video, *shares)

    def __call__(
        self, by_text: bool, k: int, progress: Callable[[int], Any] = lambda pairs: None
    ) -> tuple[Ranked, list[dict[str, float]], dict[str, float]]:
        """Each caption looks for its video, or the other way round.

        Returns:
          what was ranked; for each K of SWEEP up to `k`: `k`, `R@1` after re-ranking, `ceiling` of
          it and `milliseconds` a query that re-ranking took, without compilation; the seconds that
          each stage took.

        Raises:
          ValueError: a fused score is not finite; names the pair.
        """
        gallery = self.gallery
        text_group, video_group = gallery.owner, np.arange(len(gallery.ids))
        queries, items = self.text_embedding, self.video_embedding
        query_group, item_group = text_group, video_group
        if not by_text:
            queries, items, query_group, item_group = items, queries, video_group, text_group
        once = self.groups_once and not by_text
        began = time.perf_counter()
        changed = self._normalization(queries, items, by_text)
        split = self.encoder.split
        shares = self._captions if by_text else self._videos
        some = slice(shares.mine.start, shares.mine.stop)
        coarse: CoarseResult = shares.gathered(
            coarse_stage(
                *(queries[some], items, query_group[some], item_group, k, split),
                of=len(queries),
                groups_once=once,
                normalization=changed,
            )
        )
        between = time.perf_counter()
        group = item_group[coarse.candidates]
        right = query_group[:, None] == group
        fused, steps = self._rerank(coarse.candidates, by_text, progress)
        if changed is not None:
            nearest = top_k(queries, items, 1, split)[0][:, 0]
            fused = normalized_fused(fused, coarse.candidates, nearest, changed)
        sweep = []
        for size, seconds in steps.items():
            best = fused[:, :size], right[:, :size], group[:, :size] if once else None
            reranked, ceiling = metrics.reranked_ranks(coarse.ranks, *best)
            at_one = {
                "R@1": metrics.summary(reranked)["R@1"],
                "ceiling": metrics.summary(ceiling)["R@1"],
                "milliseconds": 1000 * seconds / len(queries),
            }
            sweep.append({"k": size} | at_one)
        ranked = Ranked(*coarse[:3], fused, reranked, ceiling)
        ended = time.perf_counter()
        return ranked, sweep, {"coarse": between - began, "rerank": ended - between}

    def _normalization(
        self, queries: np.ndarray, items: np.ndarray, by_text: bool
    ) -> Normalization | None:
        bank = queries
        if self.normalization == "qb_norm":
            if not by_text:
                return None
            assert self.bank is not None, "QB-Norm needs a bank of captions"
            bank = self.bank
        scale = self.encoder.logit_scale
        return measure(self.normalization, bank, items, scale, self.encoder.split)

    def _rerank(
        self, candidates: np.ndarray, by_text: bool, progress: Callable[[int], Any]
    ) -> tuple[np.ndarray, dict[int, float]]:
        """Fused scores of all candidates, and by K of SWEEP the seconds that K candidates took."""
        rows = np.broadcast_to(np.arange(len(candidates))[:, None], candidates.shape)
        text, video = (rows, candidates) if by_text else (candidates, rows)
        sizes = [size for size in SWEEP if size < candidates.shape[1]] + [candidates.shape[1]]
        parts: list[np.ndarray] = []
        seconds: dict[int, float] = {}
        spent, done = 0.0, 0
        for size in sizes:
            began, compiled = time.perf_counter(), self.encoder.compile_seconds
            columns = slice(done, size)
            parts.append(self.scorer(text[:, columns], video[:, columns], progress))
            spent += time.perf_counter() - began - (self.encoder.compile_seconds - compiled)
            seconds[size], done = spent, size
        fused = np.concatenate(parts, axis=1)
        self._check(fused, text, video)
        return fused, seconds

    def fused(self, text: np.ndarray, video: np.ndarray) -> np.ndarray:
        """Fused scores of captions and videos, given by their numbers, int [N, K]: float32 [N, K].

        Raises:
          ValueError: one is not finite; names the pair.
        """
        fused = self.scorer(text, video)
        self._check(fused, text, video)
        return fused

    def _check(self, fused: np.ndarray, text: np.ndarray, video: np.ndarray) -> None:
        if not np.isfinite(fused).all():
            row, column = np.argwhere(~np.isfinite(fused))[0]
            caption = self.gallery.captions[text[row, column]]
            name = self.gallery.ids[video[row, column]]
            raise ValueError(
                f"the fused score of caption {caption!r} and video {name!r} is "
                f"{fused[row, column]}: the weights are damaged, or training diverged"
            )
