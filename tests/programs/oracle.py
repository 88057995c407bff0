"""Embeds and searches with a model that knows all: `oracle.py PROCESSES PROCESS PORT VIDEOS`.

An embedding is the video's own number, bit by bit. Prints, as JSON, the worst ranks, the videos
that this process decoded, how many lengths of captions were encoded, and the bytes held of
features: of this process's own, and of the largest piece of the others'.
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
from animclip_jax.evaluation import arm, pairs
from animclip_jax.evaluation.config import EvaluationConfig
from animclip_jax.evaluation.shares import Shares
from animclip_jax.evaluation.two_stage import Search
from animclip_jax.models import towers
from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.retrieval.encode import Encoder
from input_pipeline.batches import Shown
from tests.small_model import CONFIG, SMALL

LONGEST, END = 40, 99
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

    def __init__(self, videos: int) -> None:
        self.ids = [f"v{number}" for number in range(videos)]
        self.captions = [[str(number)] * (1 + number % 3) for number in range(videos)]


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


def held(features: Any) -> int:
    """Bytes of arrays."""
    return sum(x.nbytes for x in jax.tree.leaves(features))


def main(processes: int, process: int, port: int, videos: int) -> None:
    """One of the processes."""
    if processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
    config = EvaluationConfig(MODEL, f"drawn:val:{videos}", "", "none", "", 7, 5, "", 0)
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 2))
    graphdef, params = nnx.split(Oracle())
    there = jax.device_put(nnx.to_pure_dict(params), sharding.replicated(mesh))
    mesh, there = sharding.local(mesh, there)
    oracle = Encoder(sharding.batch_sharding(mesh), graphdef, there)
    examples: Any = Examples(videos)
    with mock.patch.multiple(arm, eval_batches=eval_batches, open_tokenizer=Tokenizer):
        gallery = arm.embed(oracle, examples, config)
    codes = np.asarray(gallery.video.code)
    mine, captions = Shares(videos).mine, Shares(len(gallery.owner)).mine
    assert gallery.video.embedding.argmax(axis=1).tolist() == list(mine)
    assert codes[:, 0, 0].tolist() == list(mine)
    assert (gallery.text.embedding.argmax(axis=1) == gallery.owner[list(captions)]).all()
    found: dict[str, Any] = {"decoded": decoded, "devices": jax.device_count()}
    found["lengths"] = len(set(encoded))
    found["own"] = held((gallery.video, gallery.text.features))
    found["piece"] = 0
    search = Search(oracle, gallery)
    show = search.scorer.scorer.show

    def shown(video: VideoFeatures) -> None:
        found["piece"] = max(found["piece"], held(video))
        show(video)

    if processes > 1:  # so small that several are needed
        pairs.PIECE_BYTES = 8 * held(jax.tree.map(lambda x: x[:1], gallery.video))
        found["most"] = pairs.PIECE_BYTES
        search.scorer.scorer.show = shown  # type: ignore[method-assign]
    for direction in ("text", "video"):
        ranked, _, _ = search(direction == "text", config.rerank_k)
        stages = ranked.coarse_ranks, ranked.reranked_ranks
        found[direction] = {"worst": [int(ranks.max()) for ranks in stages]}
        found[direction]["queries"] = len(ranked.coarse_ranks)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
