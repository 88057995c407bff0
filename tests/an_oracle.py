"""A model that knows which caption belongs to which video, and a gallery that it searches."""

from typing import Any

import numpy as np

from animclip_jax.evaluation.two_stage import Gallery, Search
from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.retrieval.rerank import Captions

OWNER = np.array([0, 0, 1, 2, 2, 2, 3, 4])


class Oracle:
    """Knows which caption belongs to which video; its fused scores are `sign` times the coarse."""

    num_parts, logit_scale, compile_seconds = 1, 10.0, 0.0

    def __init__(self, split, sign=1.0):
        self.split, self.sign = split, sign

    def hold(self, features):
        return features

    def fused_scores(self, text, video, rows, columns):
        return self.sign * (text.embedding[rows] * video.embedding[columns]).sum(axis=1)


def searching(split, made: Gallery, sign=1.0, **more: Any) -> Search:
    oracle: Any = Oracle(split, sign)
    return Search(oracle, made, **more)


def gallery(owner=OWNER) -> Gallery:
    videos = np.eye(owner.max() + 1, dtype=np.float32)
    texts = 0.9 * videos[owner] + 0.1 * np.roll(videos[owner], 1, axis=1)
    features = TextFeatures(texts, np.zeros((len(owner), 2, 1)), np.ones((len(owner), 2), bool))
    captions = Captions(texts, np.zeros(len(owner), int), np.arange(len(owner)), [features])
    names = [f"v{n}" for n in range(len(videos))], [f"c{n}" for n in range(len(owner))]
    return Gallery(VideoFeatures(videos, np.zeros((len(videos), 1, 1))), captions, owner, *names)
