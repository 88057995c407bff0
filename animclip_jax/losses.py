"""Training losses: contrastive over the global batch, and matching over its hard negatives."""

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
) -> jax.Array:
    """Listwise cross-entropy of the fused score, in both directions.

    Each caption is scored with its own video and the `hard_negatives` videos of the batch that the
    coarse logits rank highest, and each video likewise with captions.

    Args:
      text, video: features of B captions and B videos.
      logits: float32 [B, B], the coarse logits. same: bool [B, B], see `same_pair`.
    """
    # Pushing the embeddings apart at their hardest negatives alone collapses them to one point in
    # the first steps, so the coarse score is taken as it is; tokens and codes are trained.
    fixed = jax.lax.stop_gradient
    text = text._replace(embedding=fixed(text.embedding))
    video = video._replace(embedding=fixed(video.embedding))
    B = len(logits)
    negatives = jnp.where(same, -jnp.inf, logits)
    hardest_videos, videos_BH = jax.lax.top_k(negatives, hard_negatives)
    hardest_texts, texts_BH = jax.lax.top_k(negatives.T, hard_negatives)
    own = jnp.arange(B)
    others = jnp.repeat(own, hard_negatives)
    text_rows = jnp.concatenate([own, others, texts_BH.ravel()])
    video_rows = jnp.concatenate([own, videos_BH.ravel(), others])
    fused = model.fused_scores(
        jax.tree.map(lambda x: x[text_rows], text), jax.tree.map(lambda x: x[video_rows], video)
    )
    positive, by_text, by_video = jnp.split(fused, [B, B * (1 + hard_negatives)])

    def listwise(negatives: jax.Array, mined: jax.Array) -> jax.Array:
        negatives = jnp.where(jnp.isneginf(mined), -jnp.inf, negatives.reshape(B, -1))
        scores = jnp.concatenate([positive[:, None], negatives], axis=1)
        return -jnp.mean(jax.nn.log_softmax(scores, axis=1)[:, 0])

    return 0.5 * (listwise(by_text, hardest_videos) + listwise(by_video, hardest_texts))


def retrieval_loss(
    model: Retriever,
    frames: jax.Array,
    tokens: jax.Array,
    index: jax.Array,
    *,
    matching_weight: float,
    hard_negatives: int,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of a batch of clips and their captions, and its terms.

    Args:
      frames: float [B, T, H, W, 3] in [0, 1]. tokens: int32 [B, L]. index: int [B].
    """
    text = model.encode_text(tokens)
    video = model.encode_video(frames)
    logits = model.clip.logit_scale * jnp.matmul(
        text.embedding, video.embedding.T, precision=HIGHEST
    )
    same = same_pair(tokens, index)
    terms = {
        "contrastive": contrastive(logits, same),
        "matching": matching(model, text, video, logits, same, hard_negatives),
    }
    loss = terms["contrastive"] + matching_weight * terms["matching"]
    return loss, terms | {"loss": loss, "logit_scale": model.clip.logit_scale}
