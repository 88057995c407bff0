"""Training losses: contrastive over the global batch, and matching over its hard negatives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from animclip_jax.models.retriever import Retriever, TextFeatures, VideoFeatures

HIGHEST = jax.lax.Precision.HIGHEST


def same_pair(tokens: jax.Array, index: jax.Array) -> jax.Array:
    """Which pairs of a batch are no negatives: the same caption or the same source item.

    Args:
      tokens: int32 [B, L]. index: int [B], the item each clip was made from.

    Returns:
      bool [B, B], True on the diagonal.
    """
    same_caption = jnp.all(tokens[:, None] == tokens[None], axis=-1)
    return same_caption | (index[:, None] == index[None])


def contrastive(logits: jax.Array, same: jax.Array) -> jax.Array:
    """Symmetric softmax cross-entropy (CLIP paper, figure 3) with false negatives left out.

    Args:
      logits: float32 [B, B], captions by videos. same: bool [B, B], see `same_pair`.
    """
    own = jnp.eye(len(logits), dtype=bool)
    logits = jnp.where(same & ~own, -jnp.inf, logits)
    by_text = jax.nn.log_softmax(logits, axis=1)
    by_video = jax.nn.log_softmax(logits, axis=0)
    return -0.5 * jnp.mean(jnp.diagonal(by_text) + jnp.diagonal(by_video))


def matching(
    model: Retriever,
    text: TextFeatures,
    video: VideoFeatures,
    logits: jax.Array,
    same: jax.Array,
    hard_negatives: int,
    key: jax.Array,
    place: Callable[[Any], Any] = lambda rows: rows,
) -> jax.Array:
    """Listwise cross-entropy of the fine score over hard negatives, in both directions.

    Each caption is scored with its own video and `hard_negatives` videos of the batch drawn with
    the probabilities that the coarse logits give them, and each video likewise with captions. What
    is drawn by the coarse score is no news to it, so the fine score alone is compared: this is
    ranking NCE (Ma and Collins 2018, "Noise Contrastive Estimation and Negative Sampling for
    Conditional Models") with the coarse softmax for its noise, and its optimum is the
    fine score that makes coarse + fine the true log-odds. The fused score would unlearn the coarse.

    Args:
      text, video: features of B captions and B videos.
      logits: float32 [B, B], the coarse logits. same: bool [B, B], see `same_pair`.
      key: for the draw. place: see `feature_loss`.
    """
    B, H = len(logits), hard_negatives
    negatives = jnp.where(same, -jnp.inf, jax.lax.stop_gradient(logits))
    # The largest of logits + Gumbel noise are a draw from their softmax, without replacement.
    noise = jax.random.gumbel(key, (2, B, B))
    drawn_videos, videos_BH = jax.lax.top_k(negatives + noise[0], H)
    drawn_texts, texts_BH = jax.lax.top_k(negatives.T + noise[1], H)
    # Item by item, its own pair and its negatives, and placed: else every device scores all pairs.
    own = jnp.arange(B)[:, None]
    others = jnp.repeat(own, H, axis=1)
    text_rows = place(jnp.concatenate([own, others, texts_BH], axis=1).ravel())
    video_rows = place(jnp.concatenate([own, videos_BH, others], axis=1).ravel())
    fine = model.fine_scores(
        place(jax.tree.map(lambda x: x[text_rows], text)),
        place(jax.tree.map(lambda x: x[video_rows], video)),
    )
    positive, by_text, by_video = jnp.split(fine.reshape(B, -1), [1, 1 + H], axis=1)

    def listwise(negatives: jax.Array, drawn: jax.Array) -> jax.Array:
        negatives = jnp.where(jnp.isneginf(drawn), -jnp.inf, negatives)
        scores = jnp.concatenate([positive, negatives], axis=1)
        return -jnp.mean(jax.nn.log_softmax(scores, axis=1)[:, 0])

    return 0.5 * (listwise(by_text, drawn_videos) + listwise(by_video, drawn_texts))


def retrieval_loss(
    model: Retriever,
    frames: jax.Array,
    tokens: jax.Array,
    index: jax.Array,
    key: jax.Array,
    *,
    matching_weight: float,
    hard_negatives: int,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of a batch of clips and their captions, and its terms.

    Args:
      frames: float [B, T, H, W, 3] in [0, 1]. tokens: int32 [B, L]. index: int [B].
      key: for the draw of negatives.
    """
    text, video = model.encode_text(tokens), model.encode_video(frames)
    return feature_loss(
        model,
        text,
        video,
        same_pair(tokens, index),
        key,
        matching_weight=matching_weight,
        hard_negatives=hard_negatives,
    )


def feature_loss(
    model: Retriever,
    text: TextFeatures,
    video: VideoFeatures,
    same: jax.Array,
    key: jax.Array,
    *,
    matching_weight: float,
    hard_negatives: int,
    place: Callable[[Any], Any] = lambda rows: rows,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """As `retrieval_loss`, of features.

    Args:
      same: bool [B, B], see `same_pair`.
      place: spreads arrays over the devices by their first axis, as the batch is; nothing on one.
    """
    scale = model.clip.logit_scale
    logits = scale * jnp.matmul(text.embedding, video.embedding.T, precision=HIGHEST)
    terms = {
        "contrastive": contrastive(logits, same),
        "matching": matching(model, text, video, logits, same, hard_negatives, key, place),
    }
    loss = terms["contrastive"] + matching_weight * terms["matching"]
    return loss, terms | {"loss": loss, "logit_scale": scale}
