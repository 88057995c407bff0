"""Searches an index: coarse by embeddings, then the re-ranker on the best, with seconds of each."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from animclip_jax.api import Model
from animclip_jax.models.reranker import CAPTION_BUCKETS
from animclip_jax.retrieval import rerank
from animclip_jax.video_index import likeness, scenes, spoken
from animclip_jax.video_index import query as queries
from animclip_jax.video_index.filters import VIDEO, Filters
from animclip_jax.video_index.query import Part, Query
from animclip_jax.video_index.ranking import Answer, Hit, Moment, fused, ranked
from animclip_jax.video_index.reader import Index
from input_pipeline.media.picture import fit, short_side

ANYTHING = Filters()
# How many are found where more than K are wanted: one more compiled program, whatever is asked.
DEPTH = 1000
# Filters whose segments are kept, a byte each.
FILTERS_KEPT = 16
# By what moments are found: by what is shown, by what is said, or by either.
BY = SEEN, SAID, BOTH = "seen", "said", "both"


class Encoded(NamedTuple):
    """A part of a query: its embedding float32 [E], and what the re-ranker reads of a sentence."""

    embedding: np.ndarray
    captions: rerank.Captions | None = None


class Searcher:
    """One model and one index; answers one query at a time."""

    def __init__(self, model: Model, index: Index, num_candidates: int = 50):
        """num_candidates: K, how many the re-ranker sees.

        Raises ValueError where the index was made with another model.
        """
        if model.fingerprint != index.catalogue.model:
            raise ValueError(
                f"the index was made with another model ({index.catalogue.model[:12]}..., here "
                f"{model.fingerprint[:12]}...): search with {index.catalogue.model_path}, or index "
                "again with this one into another folder"
            )
        self.model, self.index = model, index
        self.num_candidates = min(num_candidates, len(index))
        self.tokenizer = model.tokenizer
        self.stage_one = index.stage_one(model.encoder.split)
        self.allowed = functools.lru_cache(FILTERS_KEPT)(lambda filters: filters.allowed(index))

    @property
    def reranks(self) -> bool:
        return self.model.reranks

    def search(
        self,
        query: str | np.ndarray | Path = "",
        n: int = 10,
        *,
        without: str | Sequence[str] = (),
        like: Any = (),
        unlike: Any = (),
        by: str = BOTH,
        group: bool = True,
        **only: Any,
    ) -> list[Moment]:
        """The n best moments, the best first; fewer where the index is smaller.

        Ungrouped, at most the K best by sight and the K best by words.

        Args:
          query: a sentence, with -word and ^weight as in docs/search.md; a picture uint8
            [H, W, 3]; or the path of a picture or a video.
          without: sentences of what should not be there.
          only: what may be found, by the names of `Filters`, such as folder="trip".
          by: "seen" finds moments by what they show, "said" by their subtitles, "both" by either.
          group: whether a scene comes once, for all of its segments that were found.
          like, unlike: pictures uint8 [H, W, 3], paths of pictures and videos, moments of indexed
            videos ("video.mp4@12.5") or results of a search; one, or a list of them.
        Raises:
          ValueError: a picture has another shape or dtype, a file can't be decoded, a moment is not
            in the index, or nothing is searched for. FileNotFoundError: there is no such file.
        """
        if n < 1:
            raise ValueError(f"n={n}: wanted 1 or more")
        if by not in BY:
            raise ValueError(f"by={by!r}: wanted one of {', '.join(BY)}")
        parts = list(queries.parsed(query)) if isinstance(query, str) and query else []
        if not isinstance(query, str):
            like = [query, *_listed(like)]
        parts += map(queries.without, _listed(without))
        parts += [likeness.part(one, 1, self.index) for one in _listed(like)]
        parts += [likeness.part(one, -1, self.index) for one in _listed(unlike)]
        asked, num_scenes = Query(tuple(parts)), n if group else 0
        answer = self.answer(asked, by=by, filters=Filters(**only), num_scenes=num_scenes)
        return [self.index.moment(hit) for hit in answer.hits[:n]]

    def answer(
        self,
        query: Query,
        *,
        by: str = BOTH,
        coarse_only: bool = False,
        filters: Filters = ANYTHING,
        is_deep: bool = False,
        num_scenes: int = 0,
    ) -> Answer:
        """The K best segments for a query by sight, the K best by words, and both as one list.

        Args:
          is_deep: whether to go on to the DEPTH best; the re-ranker still sees K.
          by: what is looked for, of BY.
          coarse_only: without re-ranking, which else is done where model and query allow it.
          filters: what may be found. They act before the K best are chosen.
          num_scenes: how many results are wanted, each for a scene; more than K segments are found
            where these are of fewer scenes. By 0 each segment is a result.
        Raises:
          FileNotFoundError, ValueError: a video of it can't be read. QueryError: its parts cancel
            each other out.
        """
        clock = _Clock()
        count = max(DEPTH, self.num_candidates) if is_deep else self.num_candidates
        encoded = [self.encoded(part.what) for part in query.parts]
        total = query.total([one.embedding for one in encoded])
        clock.lap("encode")
        hits: list[Hit] = []
        allowed = None if filters == ANYTHING else self.allowed(filters)
        among = self.index.scene, num_scenes, count, DEPTH, allowed
        if by != SAID:
            nearest = functools.partial(self.stage_one.nearest, total)
            best = scenes.spread(nearest, *among)
            segments = np.array([segment for segment, _ in best], int)
            scores = np.array([score for _, score in best], np.float32)
            clock.lap("coarse")
            scored = None
            if self.reranks and query.asks and not coarse_only and len(segments):
                scored = self._reranked(query, encoded, segments[: self.num_candidates])
                clock.lap("rerank")
            hits = ranked(segments, scores, scored)
        if by != SEEN and self.index.speaks:
            speaking = functools.partial(self._said, query, total)
            said = scenes.spread(speaking, *among)
            heard = [hit._replace(rank=n) for n, (_, hit) in enumerate(said, 1)]
            hits = fused(hits, heard, self.num_candidates)
            clock.lap("words")
        candidates = len(hits)
        if num_scenes:
            hits = scenes.grouped(hits, self.index.scene)
        return Answer(hits, candidates, clock.laps)

    def scores(self, query: Query, segments: range) -> np.ndarray:
        """Cosine similarities of a query and segments that follow each other, float32 [S].

        Raises QueryError as `answer`.
        """
        total = query.total([self.encoded(part.what).embedding for part in query.parts])
        return np.asarray(self.index.embeddings(np.array(segments)) @ total)

    def warm_up(self) -> None:
        """Compiles what queries will need, for captions of every length."""
        longest = self.model.config.clip.context_length
        for tokens in {min(size, longest) for size in CAPTION_BUCKETS} | {longest}:
            sentence = " ".join(["a"] * (tokens - 2))  # and those of its start and its end
            self.answer(Query((Part(sentence),)))
        size = self.model.config.clip.image_size
        picture = Query((Part(np.zeros((size, size, 3), np.uint8)),))
        for filters in (ANYTHING, Filters(kind=VIDEO)):
            for is_deep in (False, True):
                self.answer(picture, filters=filters, is_deep=is_deep)

    def encoded(self, what: str | np.ndarray | Path) -> Encoded:
        """A part of a query, encoded. Raises as `answer`."""
        encoder, model = self.model.encoder, self.model.config
        if isinstance(what, str):
            captions = rerank.encode_captions(encoder, self.tokenizer([what]), encoder.num_parts)
            return Encoded(captions.embedding[0], captions)
        if isinstance(what, np.ndarray) and what.ndim == 1:
            return Encoded(what)
        if isinstance(what, np.ndarray):
            fitted = fit(what, *model.clip.fitted)
            frames = np.repeat(fitted[None], model.num_frames, axis=0)
        else:
            # Here, since PyAV takes a while to load and no sentence needs it.
            from input_pipeline.media.video import read_frames

            side = short_side(model.clip.image_size)
            shown = read_frames(what, model.num_frames, side)
            frames = np.stack([fit(frame, *model.clip.fitted) for frame in shown])
        batch = np.repeat(frames[None], encoder.num_parts, axis=0)
        return Encoded(np.asarray(encoder.encode_video(batch, encoder.num_parts).embedding[0]))

    def _said(
        self, query: Query, total: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> list[tuple[int, Hit]]:
        """The best by words; total: the query's embedding, for their cosine similarity."""
        if (expression := spoken.expression(query)) is None:
            return []
        if not (found := self.index.said(expression, count, allowed)):
            return []
        segments = np.array([segment for segment, _ in found], int)
        scores = (self.index.embeddings(segments) @ total).tolist()
        return [
            (segment, Hit(segment, score, None, None, 0, excerpt))
            for (segment, excerpt), score in zip(found, scores, strict=True)
        ]

    def _reranked(self, query: Query, encoded: list[Encoded], segments: np.ndarray) -> np.ndarray:
        """The weighted mean of what each part says of K segments: float32 [K].

        A sentence says the re-ranker's score, a picture or a video its coarse logit. Of one
        sentence alone that is its score.
        """
        encoder, places = self.model.encoder, np.arange(len(segments))
        features = self.index.features(segments)
        embedding = features.embedding
        # Repeated, so that few shapes are compiled, however many segments filters leave.
        size = -(-len(segments) // rerank.FEW_PAIRS) * rerank.FEW_PAIRS
        features = jax.tree.map(lambda x: x[np.resize(places, size)], features)
        total = np.zeros(len(segments))
        for part, one in zip(query.parts, encoded, strict=True):
            if one.captions is None:
                said = encoder.logit_scale * (embedding @ one.embedding)
            else:
                said = rerank.PairScorer(encoder, one.captions, features)(0 * places, places)
            total += part.weight * said
        return (total / sum(abs(part.weight) for part in query.parts)).astype(np.float32)


class _Clock:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now


def _listed(given: Any) -> list[Any]:
    """What was given, one or several, as a list; results of a search are tuples, too."""
    one = isinstance(given, str | Path | np.ndarray | Moment | likeness.At)
    return [given] if one else list(given)
