"""Stage two: the re-ranker scores each query's K candidates from stored features."""

import jax
import numpy as np

from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.retrieval.encode import Encoder

# Pairs scored at once: bounds the memory of their attention.
CHUNK = 2048


def score_pairs(
    encoder: Encoder,
    text: TextFeatures,
    video: VideoFeatures,
    text_index: np.ndarray,
    video_index: np.ndarray,
) -> np.ndarray:
    """Fused scores of (caption, video) pairs.

    Args:
      text, video: the features of all captions and videos, NumPy arrays.
      text_index, video_index: int, the same shape.

    Returns:
      float32, of the shape of `text_index`.
    """
    rows, columns = text_index.ravel(), video_index.ravel()
    fused = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        # The last chunk repeats its last pair, so that one shape is compiled.
        row = np.pad(rows[part], (0, CHUNK - len(rows[part])), mode="edge")
        column = np.pad(columns[part], (0, CHUNK - len(columns[part])), mode="edge")
        scores = encoder.fused_scores(
            jax.tree.map(lambda x, i=row: x[i], text),
            jax.tree.map(lambda x, i=column: x[i], video),
        )
        fused[part] = scores[: len(rows[part])]
    return fused.reshape(text_index.shape)
