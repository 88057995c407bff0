"""The whole model: CLIP's dual encoders, the video code, and the re-ranker behind them."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from animclip_jax.models.clip import Clip
from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.motion import SHOWN, Motion, MotionConfig
from animclip_jax.models.reranker import Reranker, RerankerConfig
from animclip_jax.models.tight import TightTransformer
from animclip_jax.models.transformer import (
    Transformer,
    TransformerConfig,
    layer_norm,
    require_sizes,
)
from animclip_jax.models.video_code import PackedCode, VideoCoder, pack, unpack

# Of a device, or as they are kept by the host.
Array = jax.Array | np.ndarray


@dataclasses.dataclass(frozen=True)
class TemporalConfig:
    """The transformer over a video's frame embeddings; without layers the video is their mean."""

    layers: int = 0
    heads: int = 8

    def __post_init__(self) -> None:
        require_sizes(self, "layers", section="temporal.", least=0)
        require_sizes(self, "heads", section="temporal.")


@dataclasses.dataclass(frozen=True)
class RetrieverConfig:
    """Everything that fixes the model's parameters and their shapes."""

    clip: ClipConfig
    reranker: RerankerConfig
    num_frames: int
    temporal: TemporalConfig = TemporalConfig()
    motion: MotionConfig = MotionConfig()

    def __post_init__(self) -> None:
        require_sizes(self, "num_frames")
        if self.temporal.layers and self.clip.embed_dim % self.temporal.heads:
            raise ValueError(
                f"temporal.heads {self.temporal.heads}: wanted a divisor of the embeddings' width, "
                f"embed_dim, {self.clip.embed_dim}"
            )
        if self.temporal.layers and self.clip.towers.video.frames:
            raise ValueError(
                f"temporal.layers {self.temporal.layers}: wanted 0, for these towers take whole "
                "videos and give no embeddings of frames"
            )
        if self.motion.features and self.num_frames < 2:
            raise ValueError("motion.features: wanted 0, for videos of one frame show no motion")
        if self.motion.features and self.reranker.code_width < len(SHOWN):
            raise ValueError(
                f"reranker.code_width {self.reranker.code_width}: wanted at least {len(SHOWN)}, "
                "the numbers that motion.features keeps of a video"
            )

    @property
    def code_tokens(self) -> int:
        """Tokens of a video's code."""
        a_frame = self.reranker.tokens_a_frame(self.clip.grid)
        return self.num_frames * a_frame + bool(self.motion.features)


class TextFeatures(NamedTuple):
    """embedding float32 [B, E], unit length; hidden [B, L, D]; mask bool [B, L].

    asked: float32 [B, 7], what captions say of each of `told.AXES`; None without an eye for motion.
    """

    embedding: Array
    hidden: Array
    mask: Array
    asked: Array | None = None


class VideoFeatures(NamedTuple):
    """embedding float32 [B, E], unit length; code [B, M, code_width], or as it is stored."""

    embedding: Array
    code: Array | PackedCode


def unit(x: jax.Array) -> jax.Array:
    """Divides float32 [..., E] by its length."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


class TemporalTransformer(nnx.Module):
    """What the frames' order adds to their embeddings; nothing at the start.

    Only the last layer is zero, so that it learns at once, and all before it from its first step.
    """

    def __init__(
        self, clip: ClipConfig, config: TemporalConfig, num_frames: int, *, rngs: nnx.Rngs
    ):
        width, dtype = clip.embed_dim, jnp.dtype(clip.dtype)
        sizes = TransformerConfig(width, config.layers, config.heads, mlp_width=4 * width)
        position = nnx.initializers.normal(width**-0.5)
        self.position_embedding = nnx.Param(position(rngs.params(), (num_frames, width)))
        self.transformer = Transformer(
            sizes,
            is_causal=False,
            dtype=dtype,
            rngs=rngs,
            activation=clip.activation,
            remat=clip.remat,
        )
        self.norm = layer_norm(width, rngs)
        self.out = nnx.Linear(
            width, width, kernel_init=nnx.initializers.zeros, dtype=dtype, rngs=rngs
        )

    def __call__(self, frames: jax.Array) -> jax.Array:
        """frames float32 [B, T, E], unit length -> what to add to them, float32 [B, T, E]."""
        x = (frames + self.position_embedding[...]).astype(self.out.dtype)
        return self.out(self.norm(self.transformer(x))).astype(jnp.float32)


class Retriever(nnx.Module):
    """Encodes videos and captions, each once; scores pairs of them."""

    def __init__(self, config: RetrieverConfig, *, rngs: nnx.Rngs):
        self.clip = Clip(config.clip, rngs=rngs)
        self.coder = VideoCoder(config.clip, config.reranker, config.num_frames, rngs=rngs)
        scorer = {"cross": Reranker, "tight": TightTransformer}[config.reranker.interaction]
        self.reranker = scorer(config.clip, config.reranker, rngs=rngs)
        self.fusion, self.train_text = config.reranker.fusion, config.reranker.train_text
        self.code_dtype, self.dtype = config.reranker.code_dtype, jnp.dtype(config.clip.dtype)
        self.temporal = (
            TemporalTransformer(config.clip, config.temporal, config.num_frames, rngs=rngs)
            if config.temporal.layers
            else None
        )
        self.motion = (
            Motion(config.clip, config.motion, rngs=rngs) if config.motion.features else None
        )

    def encode_text(self, tokens: jax.Array) -> TextFeatures:
        """tokens int32 [B, L], padded as the family's tokenizer does."""
        return self.moving_text(self.still_text(tokens))

    def encode_video(self, frames: jax.Array) -> VideoFeatures:
        """frames float [B, T, H, W, 3] in [0, 1].

        The embedding is the mean over frames, to each of which the temporal transformer, where
        there is one, has added what it makes of all. VideoPrism's tower gives one for the video.
        With an eye for motion, what it sees is added, too.
        """
        return self.moving_video(self.still_video(frames))

    def still_text(self, tokens: jax.Array) -> TextFeatures:
        """As `encode_text`, but the embedding does not know what is asked of motion."""
        embedding, hidden, mask = self.clip.text(tokens)
        asked = None
        if self.motion is not None:
            asked = self.motion.read(self.clip.text.token_embedding(tokens), mask)
        return TextFeatures(unit(embedding), hidden, mask, asked)

    def still_video(self, frames: jax.Array) -> VideoFeatures:
        """As `encode_video`, but the embedding does not know what is seen of motion."""
        embeddings, tokens = self.clip.vision.of_videos(frames)
        embeddings = unit(embeddings)
        if self.temporal is not None:
            embeddings = embeddings + self.temporal(embeddings)
        code = self.coder(tokens)
        if self.motion is not None:
            # What is seen learns from the director, not from scores.
            seen = jax.lax.stop_gradient(self.motion.see(self.motion.compare(frames)))
            code = self.motion.beside(code, seen)
        return VideoFeatures(unit(embeddings.mean(axis=1)), code)

    def moving_text(self, text: TextFeatures) -> TextFeatures:
        """Of `still_text` -> of `encode_text`."""
        if self.motion is None:
            return text
        moved = self.motion.in_text(self._asked(text)) + text.embedding
        return text._replace(embedding=unit(moved))

    def moving_video(self, video: VideoFeatures) -> VideoFeatures:
        """Of `still_video` -> of `encode_video`."""
        if self.motion is None:
            return video
        moved = self.motion.in_video(self._seen(video)) + video.embedding
        return video._replace(embedding=unit(moved))

    def stored(self, video: VideoFeatures) -> VideoFeatures:
        """Features as an index holds them: the code in `code_dtype`."""
        return video._replace(code=pack(unpack(video.code, self.dtype), self.code_dtype))

    def coarse_logits(self, text: Array, video: Array) -> jax.Array:
        """[..., E] x [..., E] -> float32 [...]: scaled cosine similarities of pairs."""
        return self.clip.logit_scale * jnp.sum(text * video, axis=-1)

    def fine_scores(self, text: TextFeatures, video: VideoFeatures) -> jax.Array:
        """The second stage's own scores of P pairs, given row by row, float32 [P].

        The re-ranker's, and with an eye for motion how well what is asked and what is seen agree.
        text: of P captions, or of one that all pairs share; the same below.
        """
        content = self.content_scores(text, video)
        if self.motion is None:
            return content
        return content + self.motion.agree(self._asked(text), self._seen(video))

    def content_scores(self, text: TextFeatures, video: VideoFeatures) -> jax.Array:
        """The re-ranker's scores of P pairs, float32 [P], without motion."""
        hidden = text.hidden if self.train_text else jax.lax.stop_gradient(text.hidden)
        code = unpack(video.code, self.dtype)
        if self.motion is not None:
            code, _ = self.motion.apart_from(code)
        return self.reranker(hidden, text.mask, code)

    def agreements(self, text: TextFeatures, video: VideoFeatures) -> jax.Array:
        """What motion adds to the scores of all pairs, captions by videos: float32 [B, B]."""
        assert self.motion is not None
        return self.motion.agree_all(self._asked(text), self._seen(video))

    def _asked(self, text: TextFeatures) -> jax.Array:
        """What captions ask of motion; it, too, learns from the director, not from scores."""
        assert text.asked is not None
        return jax.lax.stop_gradient(jnp.asarray(text.asked))

    def _seen(self, video: VideoFeatures) -> jax.Array:
        assert self.motion is not None
        return self.motion.apart_from(unpack(video.code, self.dtype))[1]

    def fused_scores(self, text: TextFeatures, video: VideoFeatures) -> jax.Array:
        """The scores that rank P pairs: coarse logit + fine score; without fusion the latter."""
        fine = self.fine_scores(text, video)
        if not self.fusion:
            return fine
        return self.coarse_logits(text.embedding, video.embedding) + fine

    def beyond_coarse(self, text: TextFeatures, video: VideoFeatures) -> jax.Array:
        """What the re-ranker learns from: what it adds to P pairs' coarse logits, float32 [P].

        Without fusion that is its score minus their logits, which get no gradient here.
        """
        content = self.content_scores(text, video)
        if self.fusion:
            return content
        coarse = self.coarse_logits(text.embedding, video.embedding)
        return content - jax.lax.stop_gradient(coarse)
