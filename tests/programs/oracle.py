"""Embeds and searches with a model that knows every video: `oracle.py PROCESSES PROCESS PORT`.

An embedding is the video's own number, bit by bit. Prints, as JSON, the worst ranks, the videos
that this process decoded, and how many lengths of captions were encoded.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from animclip_jax import sharding
from animclip_jax.evaluation import arm
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.evaluation.two_stage import Search
from animclip_jax.models import towers
from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.retrieval.encode import Encoder
from input_pipeline.batches import Shown
from tests.small_model import CONFIG, SMALL

VIDEOS, LONGEST, END = 37, 40, 99
MODEL = dataclasses.replace(
    CONFIG, clip=dataclasses.replace(SMALL, context_length=LONGEST), num_frames=1
)
decoded: list[int] = []
encoded: list[tuple[int, ...]] = []


class Unused(nnx.Module):
    """Parameters that an encoder puts onto devices, by the names that it knows them by."""

    def __init__(self) -> None:
        self.layers = nnx.Param(jnp.zeros(1))


class Transformer(nnx.Module):
    """Stands for a transformer."""

    def __init__(self) -> None:
        self.blocks = Unused()


class Text(nnx.Module):
    """Stands for the text tower: where a caption ends, and whether its padding is read."""

    end, cuts_padding = towers.GREATEST, True

    def __init__(self) -> None:
        self.transformer = Transformer()


class Towers(nnx.Module):
    """Stands for the two towers."""

    logit_scale = 10.0

    def __init__(self) -> None:
        self.text, self.vision = Text(), Unused()


class Oracle(nnx.Module):
    """Reads the number of a video from its first pixel, or from its caption's first word."""

    def __init__(self) -> None:
        self.clip = Towers()

    def encode_text(self, tokens: jax.Array) -> TextFeatures:
        encoded.append(tokens.shape)
        known = jax.nn.one_hot(tokens[:, 1] - 1, 64)
        return TextFeatures(known, tokens[..., None] * 1.0, tokens > 0)

    def encode_video(self, frames: jax.Array) -> VideoFeatures:
        numbers = jnp.round(frames[:, 0, 0, 0, 0] * 255).astype(jnp.int32)
        return VideoFeatures(jax.nn.one_hot(numbers, 64), numbers[:, None, None] * 1.0)

    def stored(self, video: VideoFeatures) -> VideoFeatures:
        return video

    def fused_scores(self, text: TextFeatures, video: VideoFeatures) -> jax.Array:
        return (text.embedding * video.embedding).sum(axis=1)


class Examples:
    """Videos with one, two or three captions each: their number."""

    ids = [f"v{number}" for number in range(VIDEOS)]
    captions = [[str(number)] * (1 + number % 3) for number in range(VIDEOS)]


def eval_batches(
    _: Any,
    *,
    num_frames: int,
    image_size: int,
    batch_size: int,
    items: Sequence[int],
    **_fitting: str,
) -> Iterator[Shown]:
    """Frames whose pixels are the video's number."""
    decoded.extend(int(item) for item in items)
    for start in range(0, len(items), batch_size):
        some = items[start : start + batch_size]
        frames = np.zeros((batch_size, num_frames, image_size, image_size, 3), np.uint8)
        frames[: len(some)] = np.asarray(some)[:, None, None, None, None]
        yield Shown(frames, np.pad(some, (0, batch_size - len(some))))


class Tokenizer:
    """A caption's number again and again and an end, in rows of many lengths."""

    def __init__(self, _: str, length: int, *__: object) -> None:
        self.length = length

    def __call__(self, captions: list[str]) -> np.ndarray:
        tokens = np.zeros((len(captions), self.length), np.int32)
        for row, caption in enumerate(captions):
            tokens[row, : 3 + row % 36] = 1 + int(caption)
            tokens[row, 2 + row % 36] = END
        return tokens


def main(processes: int, process: int, port: int) -> None:
    """One of the processes."""
    if processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
    config = EvaluationConfig(MODEL, f"drawn:val:{VIDEOS}", "", "none", "", 7, 5, "", 0)
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 2))
    graphdef, params = nnx.split(Oracle())
    there = jax.device_put(nnx.to_pure_dict(params), sharding.replicated(mesh))
    oracle = Encoder(sharding.batch_sharding(mesh), graphdef, there)
    examples: Any = Examples
    with mock.patch.multiple(arm, eval_batches=eval_batches, open_tokenizer=Tokenizer):
        gallery = arm.embed(oracle, examples, config)
    codes = np.asarray(gallery.video.code)
    assert (gallery.video.embedding.argmax(axis=1) == np.arange(VIDEOS)).all()
    assert (codes[:, 0, 0] == np.arange(VIDEOS)).all()
    assert (gallery.text.embedding.argmax(axis=1) == gallery.owner).all()
    found: dict[str, Any] = {"decoded": decoded, "devices": jax.device_count()}
    found["lengths"] = len(set(encoded))
    search = Search(oracle, gallery)
    for direction in ("text", "video"):
        ranked, _, _ = search(direction == "text", config.rerank_k)
        stages = ranked.coarse_ranks, ranked.reranked_ranks
        found[direction] = {"worst": [int(ranks.max()) for ranks in stages]}
        found[direction]["queries"] = len(ranked.coarse_ranks)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
