"""Searches an index: coarse by embeddings, then the re-ranker on the best, with seconds of each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from animclip_jax.api import Model
from animclip_jax.models.reranker import CAPTION_BUCKETS
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.models.video_code import PackedCode
from animclip_jax.retrieval import coarse, rerank
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import shards
from animclip_jax.video_index.catalogue import Catalogue
from animclip_jax.words import readable
from input_pipeline.media.picture import fit

# How often a reader looks again when a writer has just removed what the catalogue named.
_ATTEMPTS = 5


class Hit(NamedTuple):
    """A segment that was found.

    segment: its number in the index. coarse: cosine similarity. coarse_rank: 1 is best. fused: what
    ranks after re-ranking, and rank then; without re-ranking None, and the coarse rank.
    """

    segment: int
    coarse: float
    coarse_rank: int
    fused: float | None
    rank: int


class Moment(NamedTuple):
    """A result by the names of docs/search.md.

    rank: 1 is best. coarse_rank: before re-ranking. video: its path below the folder that was
    indexed. start, end: seconds. coarse: cosine similarity. reranked: the score that decided, None
    without re-ranking.
    """

    rank: int
    coarse_rank: int
    video: str
    start: float
    end: float
    coarse: float
    reranked: float | None


class Answer(NamedTuple):
    """Candidates by `rank`, and the seconds that each stage took."""

    hits: list[Hit]
    seconds: dict[str, float]


class Index:
    """The segments of an index, by number: opened once, it stays as it was then.

    embedding float32 [N, E]. names: each segment's video, its path below `root` in `/`;
    codecs: that video's, "" where it is not known.
    """

    def __init__(self, directory: Path):
        """Raises FileNotFoundError or ValueError where it can't be read, or holds no video."""
        for attempt in range(_ATTEMPTS):
            self.catalogue = catalogues.read(directory)
            try:
                self._open(directory, self.catalogue)
                break
            except FileNotFoundError:
                if attempt + 1 == _ATTEMPTS:
                    raise
        self.root = Path(self.catalogue.root)

    def _open(self, directory: Path, catalogue: Catalogue) -> None:
        if not catalogue.videos:
            raise ValueError(f"{directory}: no video in this index")
        self.directory = directory
        self.parts = shards.read_all(directory, catalogue)
        for name, part in self.parts.items():
            shards.require_finite(directory, name, part._replace(code=None))
        # In the order of the files, so that one shard is read as it lies there.
        videos = sorted(catalogue.videos.items(), key=lambda one: (one[1].shard, one[1].first))
        self.names = [name for name, video in videos for _ in range(video.segments)]
        self.codecs = [video.codec for _, video in videos for _ in range(video.segments)]
        self.shard = [video.shard for _, video in videos for _ in range(video.segments)]
        first = np.array([video.first for _, video in videos])
        counts = np.array([video.segments for _, video in videos])
        # Of each video the rows from its first.
        self.row = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(sum(counts))
        self.embedding, self.times = self._gathered("embedding"), self._gathered("times")

    def _gathered(self, name: str) -> np.ndarray:
        """An array of the shards by segment: the file itself, mapped, where it has this order."""
        arrays = {shard: np.asarray(getattr(part, name)) for shard, part in self.parts.items()}
        one = next(iter(arrays.values()))
        if len(arrays) == 1 and np.array_equal(self.row, np.arange(len(one))):
            return one
        shard = np.array(self.shard)
        found = np.empty((len(self), *one.shape[1:]), one.dtype)
        for number, array in arrays.items():
            here = shard == number
            found[here] = array[self.row[here]]
        return found

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_videos(self) -> int:
        return len(self.catalogue.videos)

    def moment(self, hit: Hit) -> Moment:
        """A result as people and programs read it."""
        start, end = self.times[hit.segment].tolist()
        video = readable(self.names[hit.segment])
        times = round(start, 3), round(end, 3)
        return Moment(hit.rank, hit.coarse_rank, video, *times, hit.coarse, hit.fused)

    def thumbnail(self, segment: int) -> bytes:
        """JPEG."""
        return self.parts[self.shard[segment]].thumbnails[int(self.row[segment])]

    def features(self, segments: np.ndarray) -> VideoFeatures:
        """Features of some segments, codes as they are stored.

        Raises ValueError, which names the file, where a code holds numbers that are not finite.
        """
        shard = np.array([self.shard[one] for one in segments.tolist()])
        order, codes = [], []
        for name in np.unique(shard).tolist():
            places = np.flatnonzero(shard == name)
            part = self.parts[name].take(self.row[segments[places]])
            shards.require_finite(self.directory, name, part)
            order.append(places)
            codes.append(part.code)
        back = np.argsort(np.concatenate(order))
        code: PackedCode = jax.tree.map(lambda *some: np.concatenate(some)[back], *codes)
        return VideoFeatures(self.embedding[segments], code)


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
        self.gallery = coarse.hold(index.embedding, model.encoder.split)

    @property
    def reranks(self) -> bool:
        return self.model.reranks

    def search(self, query: str | np.ndarray | Path, n: int = 10) -> list[Moment]:
        """The n best moments, the best first; fewer where the index or K is smaller.

        Args:
          query: a sentence; a picture uint8 [H, W, 3]; or the path of a video. Pictures and videos
            are compared by embeddings alone.
        Raises:
          ValueError: the picture has another shape or dtype, or the video can't be decoded.
          FileNotFoundError: there is no such video.
        """
        if n < 1:
            raise ValueError(f"n={n}: wanted 1 or more")
        if isinstance(query, str):
            answer = self.by_text(query)
        elif isinstance(query, np.ndarray):
            if query.ndim != 3 or query.shape[2] != 3 or query.dtype != np.uint8:
                found = f"{query.dtype} {query.shape}"
                raise ValueError(f"a picture {found}: wanted uint8 [H, W, 3]")
            answer = self.by_picture(query)
        else:
            answer = self.by_video(query)
        return [self.index.moment(hit) for hit in answer.hits[:n]]

    def by_text(self, text: str, *, coarse_only: bool = False) -> Answer:
        """The K best segments for a sentence, re-ranked where the model can."""
        clock = _Clock()
        encoder = self.model.encoder
        captions = rerank.encode_captions(encoder, self.tokenizer([text]), encoder.num_parts)
        clock.lap("encode")
        segments, scores = self._nearest(captions.embedding)
        clock.lap("coarse")
        if coarse_only or not self.reranks:
            return Answer(_hits(segments, scores, None), clock.laps)
        score = rerank.PairScorer(encoder, captions, self.index.features(segments))
        fused = score(np.zeros(len(segments), int), np.arange(len(segments)))
        clock.lap("rerank")
        return Answer(_hits(segments, scores, fused), clock.laps)

    def by_picture(self, picture: np.ndarray) -> Answer:
        """The K segments most like a picture uint8 [H, W, 3], by their embeddings alone."""
        clock = _Clock()
        fitted = fit(picture, *self.model.config.clip.fitted)
        frames = np.repeat(fitted[None], self.model.config.num_frames, axis=0)
        return self._by_frames(frames, clock)

    def by_video(self, path: Path) -> Answer:
        """The K segments most like a whole video. Raises what `video.read_frames` does."""
        # Here, since PyAV takes a while to load and no sentence needs it.
        from input_pipeline.media.video import SHORT_SIDE, read_frames

        clock = _Clock()
        frames = read_frames(path, self.model.config.num_frames, SHORT_SIDE)
        fitted = [fit(frame, *self.model.config.clip.fitted) for frame in frames]
        return self._by_frames(np.stack(fitted), clock)

    def warm_up(self) -> None:
        """Compiles what queries will need, for captions of every length."""
        longest = self.model.config.clip.context_length
        for tokens in {min(size, longest) for size in CAPTION_BUCKETS} | {longest}:
            self.by_text(" ".join(["a"] * (tokens - 2)))  # and those of its start and its end
        size = self.model.config.clip.image_size
        self.by_picture(np.zeros((size, size, 3), np.uint8))

    def _by_frames(self, frames: np.ndarray, clock: _Clock) -> Answer:
        encoder = self.model.encoder
        batch = np.repeat(frames[None], encoder.num_parts, axis=0)
        query = encoder.encode_video(batch, encoder.num_parts).embedding[:1]
        clock.lap("encode")
        segments, scores = self._nearest(np.asarray(query))
        clock.lap("coarse")
        return Answer(_hits(segments, scores, None), clock.laps)

    def _nearest(self, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        split = self.model.encoder.split
        segments, scores = coarse.top_k(query, self.gallery, self.num_candidates, split)
        return segments[0], scores[0]


class _Clock:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now


def _hits(segments: np.ndarray, scores: np.ndarray, fused: np.ndarray | None) -> list[Hit]:
    order = np.arange(len(segments)) if fused is None else np.argsort(-fused, kind="stable")
    return [
        Hit(
            int(segments[place]),
            float(scores[place]),
            int(place) + 1,
            None if fused is None else float(fused[place]),
            rank,
        )
        for rank, place in enumerate(order, 1)
    ]
