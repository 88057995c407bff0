"""Stage two: the re-ranker scores each query's K candidates from stored features."""

import functools
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from animclip_jax.models.reranker import caption_buckets
from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.placement import padded

# Tokens, of captions and codes, of the pairs scored at once: bounds the memory of their attention.
MAX_TOKENS = 2**18
# Features of up to so many bytes are kept on every device; larger ones, and those of a
# memory-mapped file, come from the host pair by pair.
MAX_DEVICE_BYTES = 2**31
# Pairs at once are a power of two times this, so that few shapes are compiled; fewer are a multiple
# of FEW_PAIRS, as the numbers of candidates that people ask for are.
MIN_PAIRS, FEW_PAIRS = 64, 10
# Pairs at once on each device where scores must not depend on who computes them: XLA rounds
# products of other shapes otherwise. More leave more of the last ones empty.
EVEN_PAIRS = 256


class Captions(NamedTuple):
    """Features of Q captions, each with no more tokens than its length asks for.

    embedding float32 [Q, E]. bucket, place int [Q]: a caption's features are row `place` of
    `features[bucket]`, whose captions are all padded to one length.
    """

    embedding: np.ndarray
    bucket: np.ndarray
    place: np.ndarray
    features: list[TextFeatures]


def encode_captions(encoder: Encoder, tokens: np.ndarray, batch_size: int) -> Captions:
    """Encodes captions, those of like length together.

    Args:
      tokens: int32 [Q, L], padded, the same in every process.
      batch_size: captions at once, a multiple of `encoder.num_parts`.
    """
    lengths = caption_buckets(encoder.caption_lengths(tokens), tokens.shape[1])
    sizes, bucket = np.unique(lengths, return_inverse=True)
    place = np.empty(len(tokens), np.int64)
    features = []
    for number, size in enumerate(sizes):
        members = np.flatnonzero(bucket == number)
        place[members] = np.arange(len(members))
        parts = []
        for start in range(0, len(members), batch_size):
            some = tokens[members[start : start + batch_size]]
            some = some[:, :size] if encoder.cuts_padding else some
            # Padding repeats a caption: one without tokens has no end token to pool at.
            some = np.concatenate([some, np.repeat(some[:1], batch_size - len(some), axis=0)])
            parts.append(_cut(encoder.encode_text(some), size))
        features.append(jax.tree.map(functools.partial(_joined, len(members)), *parts))
    embedding = np.empty((len(tokens), features[0].embedding.shape[1]), np.float32)
    for number, some in enumerate(features):
        embedding[bucket == number] = some.embedding
    return Captions(embedding, bucket, place, features)


def _cut(features: TextFeatures, length: int) -> TextFeatures:
    return features._replace(hidden=features.hidden[:, :length], mask=features.mask[:, :length])


def _joined(size: int, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts)[:size]


class PairScorer:
    """Fused scores of (caption, video) pairs from stored features.

    What fits is put onto the devices once; the rest comes from the host, pair by pair.
    """

    def __init__(self, encoder: Encoder, text: Captions, video: VideoFeatures):
        """video: as `show` takes it."""
        self.encoder, self.text = encoder, text
        self.captions = [_Source(encoder, features) for features in text.features]
        self.show(video)

    def show(self, video: VideoFeatures) -> None:
        """Scores pairs with these videos from now on, NumPy or memory-mapped arrays."""
        self.videos = _Source(self.encoder, video)
        self.code_tokens = jax.tree.leaves(video.code)[0].shape[1]

    def __call__(
        self,
        text_index: np.ndarray,
        video_index: np.ndarray,
        progress: Callable[[int], Any] = lambda pairs: None,
        of: int | None = None,
    ) -> np.ndarray:
        """Scores of pairs of captions and videos, given by their numbers.

        Args:
          text_index, video_index: int, the same shape.
          progress: is called with the number of pairs just scored.
          of: how many pairs there are in all, of which these are some. Scores then depend neither
            on which are scored here nor on the number of devices.

        Returns:
          float32, of the shape of `text_index`.
        """
        rows, columns = text_index.ravel(), video_index.ravel()
        fused = np.empty(len(rows), np.float32)
        for number, captions in enumerate(self.captions):
            pairs = np.flatnonzero(self.text.bucket[rows] == number)
            tokens = self.text.features[number].mask.shape[1] + self.code_tokens
            parts = self.encoder.num_parts
            if of is None:
                at_once = _pairs_at_once(len(pairs), tokens, parts)
            else:
                at_once = parts * _pairs_at_once(min(of, EVEN_PAIRS), tokens, 1)
            running: deque[tuple[np.ndarray, jax.Array]] = deque()
            for start in range(0, len(pairs), at_once):
                some = pairs[start : start + at_once]
                if len(self.text.place) == 1 and of is None:
                    asked, row = self.text.features[number], None
                else:
                    asked, row = captions.take(self.text.place[rows[some]], at_once)
                shown, column = self.videos.take(columns[some], at_once)
                running.append((some, self.encoder.fused_scores(asked, shown, row, column)))
                # One is computed while the next is gathered; more would only fill the memory.
                if len(running) > 1:
                    _collect(running, fused)
                progress(len(some))
            while running:
                _collect(running, fused)
        return fused.reshape(text_index.shape)


def _collect(running: deque[tuple[np.ndarray, jax.Array]], fused: np.ndarray) -> None:
    pairs, scores = running.popleft()
    fused[pairs] = jax.device_get(scores)[: len(pairs)]


def _pairs_at_once(pairs: int, tokens: int, num_parts: int) -> int:
    size = min(MIN_PAIRS, max(1, -(-pairs // FEW_PAIRS)) * FEW_PAIRS)
    while size < pairs and 2 * size * tokens <= MAX_TOKENS:
        size *= 2
    return -(-size // num_parts) * num_parts


class _Source:
    """Features by their numbers: held by the devices where they fit."""

    def __init__(self, encoder: Encoder, features: Any):
        arrays = jax.tree.leaves(features)
        self.held = sum(x.nbytes for x in arrays) <= MAX_DEVICE_BYTES and not any(
            isinstance(x, np.memmap) for x in arrays
        )
        self.features = encoder.hold(features) if self.held else features

    def take(self, index: np.ndarray, size: int) -> tuple[Any, np.ndarray | None]:
        """What `Encoder.fused_scores` takes for `size` items: those of `index`, and padding."""
        index = padded(index.astype(np.int32), size)
        if self.held:
            return self.features, index
        return jax.tree.map(lambda x: np.asarray(x[index]), self.features), None
