"""Hard negatives: pairs of a batch for the re-ranker to learn from, drawn from coarse scores."""

import operator

import jax
import jax.numpy as jnp

from animclip_jax.animation.batch import example_of
from animclip_jax.models.retriever import Retriever, TextFeatures, VideoFeatures


def siblings(index: jax.Array) -> jax.Array:
    """Which clips of a batch are each other backwards, bool [B, B]; index: int [B], see `Batch`.

    Where an example comes more than once, its clips are filmed apart: one that runs backwards is
    the sibling of the nearest before it alone. No clip of the same example is between the two.
    """
    row = jnp.arange(len(index))
    backwards = (index[:, None] < 0) & (index[:, None] == -1 - index[None])
    nearest = jnp.max(jnp.where(backwards & (row[None] < row[:, None]), row[None], -1), axis=1)
    of_nearest = row[None] == nearest[:, None]
    return of_nearest | of_nearest.T


def same_pair(tokens: jax.Array, index: jax.Array) -> jax.Array:
    """Which pairs of a batch are no negatives: the same caption or the same source item.

    Siblings are of one item, but the caption of each is false of the other. They are no negatives
    only where their captions are the same as far as they are read. Of other clips of the item the
    caption may be true.

    Args:
      tokens: int32 [B, L]. index: int [B], the item each clip was made from, see `Batch`.

    Returns:
      bool [B, B], True on the diagonal.
    """
    item = example_of(index)
    same_caption = jnp.all(tokens[:, None] == tokens[None], axis=-1)
    return same_caption | ((item[:, None] == item[None]) & ~siblings(index))


def pairs(
    logits: jax.Array,
    same: jax.Array,
    key: jax.Array,
    count: int,
    sibling: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, tuple[jax.Array, jax.Array]]:
    """Each item's own pair, and `count` wrong ones in each direction.

    Wrong ones are drawn with the probabilities that the coarse logits give them, without
    replacement. A sibling is always among them: the coarse logits can hardly tell it from the right
    one, but in a large batch many others together may be more probable.

    Args:
      logits: float32 [B, B], captions by videos. same: bool [B, B], see `same_pair`.
      sibling: bool [B, B], see `siblings`; None: there are none.

    Returns:
      the caption and the video of each pair, int [B * (1 + 2 * count)] each: item by item its own
      pair, its caption with `count` videos, its video with `count` captions; and for both
      directions bool [B, count], False where the batch had no more negatives.
    """
    B, H = len(logits), count
    negatives = jax.lax.stop_gradient(logits)
    if sibling is not None:
        negatives = jnp.where(sibling, jnp.inf, negatives)
    negatives = jnp.where(same, -jnp.inf, negatives)
    # The largest of logits + Gumbel noise are a draw from their softmax, without replacement.
    noise = jax.random.gumbel(key, (2, B, B))
    drawn_videos, videos_BH = jax.lax.top_k(negatives + noise[0], H)
    drawn_texts, texts_BH = jax.lax.top_k(negatives.T + noise[1], H)
    # Item by item, its own pair and its negatives: a device's items bring the pairs that it scores.
    own = jnp.arange(B)[:, None]
    others = jnp.repeat(own, H, axis=1)
    text_rows = jnp.concatenate([own, others, texts_BH], axis=1).ravel()
    video_rows = jnp.concatenate([own, videos_BH, others], axis=1).ravel()
    return text_rows, video_rows, (~jnp.isneginf(drawn_videos), ~jnp.isneginf(drawn_texts))


def score_pairs(
    model: Retriever, text: tuple[TextFeatures, jax.Array], video: tuple[VideoFeatures, jax.Array]
) -> jax.Array:
    """What the re-ranker adds to P pairs' coarse scores, float32 [P], without motion.

    Args:
      text, video: features of B captions and videos, and of each pair the row, int [P].
    """
    of_text, of_video = (
        jax.tree.map(operator.itemgetter(rows), features) for features, rows in (text, video)
    )
    return model.beyond_coarse(of_text, of_video)
