"""Stage two over several processes: each scores its captions; the videos pass by in pieces."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from animclip_jax.evaluation.shares import Shares, gathered
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.placement import padded
from animclip_jax.retrieval.rerank import Captions, PairScorer

# Features of videos that pass by at once, those of all processes together.
PIECE_BYTES = 2**26


class SharedPairs:
    """Fused scores of pairs of captions and videos that the processes share.

    A pair is scored where its caption is: captions have the larger features, and the more of them.
    Of the videos a process holds its own, and a piece of PIECE_BYTES that all look at together.
    """

    def __init__(
        self,
        encoder: Encoder,
        text: Captions,
        video: VideoFeatures,
        captions: Shares,
        videos: Shares,
    ):
        """text, video: features of this process's captions and videos, as NumPy arrays."""
        self.video, self.captions, self.videos = video, captions, videos
        self._processes = len(videos.counts)
        shown = video if self._processes == 1 else jax.tree.map(lambda x: x[:1], video)
        self.scorer = PairScorer(encoder, text, shown)

    def __call__(
        self,
        text_index: np.ndarray,
        video_index: np.ndarray,
        progress: Callable[[int], Any] = lambda pairs: None,
    ) -> np.ndarray:
        """Scores of pairs, given by the numbers of captions and videos: float32, of their shape.

        All processes call this together, with the same pairs, and have the scores of all.

        Args:
          text_index, video_index: int, the same shape.
          progress: is called with the number of pairs just scored here.
        """
        rows, columns = text_index.ravel(), video_index.ravel()
        whose = self.captions.owner(rows)
        mine = np.flatnonzero(whose == jax.process_index())
        scores = np.zeros(len(mine), np.float32)
        for place in self._pieces(columns):
            here = np.flatnonzero(place[columns[mine]] >= 0)
            some = mine[here]
            pairs = rows[some] - self.captions.first, place[columns[some]]
            scores[here] = self.scorer(*pairs, progress, of=len(rows))
        fused = np.empty(len(rows), np.float32)
        counts = np.bincount(whose, minlength=self._processes)
        fused[np.argsort(whose, kind="stable")] = gathered(scores, counts)
        return fused.reshape(text_index.shape)

    def _pieces(self, columns: np.ndarray) -> Iterator[np.ndarray]:
        """Shows the scorer the videos asked for, a piece at a time.

        Yields:
          int [N], the place of each video in the piece; -1 where it is not in it.
        """
        total = int(self.videos.counts.sum())
        if self._processes == 1:
            yield np.arange(total)
            return
        asked = np.unique(columns)
        whose = self.videos.owner(asked)
        by_process = [asked[whose == process] for process in range(self._processes)]
        size = self._videos_at_once()
        for start in range(0, max(map(len, by_process)), size):
            some = [one[start : start + size] for one in by_process]
            own = some[jax.process_index()] - self.videos.first
            features = jax.tree.map(lambda x, own=own: x[own], self.video)
            piece = gathered(features, [len(one) for one in some])
            # Of one size, so that one program is compiled.
            self.scorer.show(jax.tree.map(lambda x: padded(x, self._processes * size), piece))
            place = np.full(total, -1)
            shown = np.concatenate(some)
            place[shown] = np.arange(len(shown))
            yield place

    def _videos_at_once(self) -> int:
        """How many of each process's videos are in a piece."""
        one = sum(x[:1].nbytes for x in jax.tree.leaves(self.video))
        return max(1, min(PIECE_BYTES // (one * self._processes), int(self.videos.counts.max())))
