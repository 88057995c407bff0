"""Training losses: contrastive over the global batch, and matching over its hard negatives."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from animclip_jax.models.retriever import Array, Retriever, TextFeatures, VideoFeatures
from animclip_jax.training import hard_negatives
from animclip_jax.training.hard_negatives import score_pairs
from animclip_jax.words import require_amounts

HIGHEST = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """`matching_weight` of the re-ranker's loss; `hard_negatives` drawn a clip and direction.

    `motion_weight`: of the losses that an eye for motion learns from: those of `motion_loss`, and
    `moving` and `agreeing` of `feature_loss`.

    `contrastive`: softmax (CLIP) or sigmoid (SigLIP; the model then has a logit bias). `matching`:
    listwise (each pair against its negatives) or binary (each pair by itself, right or wrong).
    """

    matching_weight: float
    hard_negatives: int
    contrastive: str = "softmax"
    matching: str = "listwise"
    motion_weight: float = 1.0

    def __post_init__(self) -> None:
        weights = "matching_weight", "motion_weight"
        require_amounts({f"loss.{name}": getattr(self, name) for name in weights})
        for name, possible in (("contrastive", CONTRASTIVE), ("matching", MATCHING)):
            if (given := getattr(self, name)) not in possible:
                raise ValueError(f"loss.{name} {given!r}: wanted one of {', '.join(possible)}")

    def check_batch(self, size: int) -> None:
        """Raises ValueError where a batch of that size has too few negatives."""
        if self.matching_weight and not 0 < self.hard_negatives < size:
            raise ValueError(
                f"loss.hard_negatives is {self.hard_negatives}: wanted 1 to {size - 1}, the batch "
                "size minus one"
            )


def cut_scale(params: dict, most: float, frozen: dict | None = None) -> dict:
    """Parameters whose temperature is one that gives a scale of `most` or less; 0: any.

    After a step, as in CLIP: what only the logits cut would get no gradient, and never come down.

    Args:
      params: nested, or what has a moving average of them, which may lack a temperature.
      frozen: like the parameters, True for those that keep their values.
    """
    name, clip = "log_logit_scale", params.get("clip", {})
    if not most or name not in clip or (frozen is not None and frozen["clip"][name]):
        return params
    return params | {"clip": clip | {name: jnp.minimum(clip[name], math.log(most))}}


def contrastive(logits: jax.Array, same: jax.Array) -> jax.Array:
    """Symmetric softmax cross-entropy (CLIP paper, figure 3) with false negatives left out.

    Args:
      logits: float32 [B, B], captions by videos. same: bool [B, B], see `hard_negatives.same_pair`.
    """
    own = jnp.eye(len(logits), dtype=bool)
    logits = jnp.where(same & ~own, -jnp.inf, logits)
    by_text = jax.nn.log_softmax(logits, axis=1)
    by_video = jax.nn.log_softmax(logits, axis=0)
    return -0.5 * jnp.mean(jnp.diagonal(by_text) + jnp.diagonal(by_video))


def sigmoid_contrastive(logits: jax.Array, same: jax.Array) -> jax.Array:
    """Each pair by itself right or wrong (SigLIP, arXiv 2303.15343, algorithm 1), summed a caption.

    Args:
      logits: float32 [B, B], captions by videos, with the learned bias. same: as `contrastive`.
    """
    own = jnp.eye(len(logits), dtype=bool)
    log_likelihood = jax.nn.log_sigmoid(jnp.where(own, logits, -logits))
    return -jnp.sum(jnp.where(same & ~own, 0.0, log_likelihood)) / len(logits)


def listwise(positive: jax.Array, negatives: jax.Array, valid: jax.Array) -> jax.Array:
    """Softmax cross-entropy of B positives, each against its own negatives.

    Args:
      positive: float32 [B]. negatives: float32 [B, H]. valid: bool [B, H], False: left out.
    """
    scores = jnp.concatenate([positive[:, None], jnp.where(valid, negatives, -jnp.inf)], axis=1)
    return -jnp.mean(jax.nn.log_softmax(scores, axis=1)[:, 0])


def binary(positive: jax.Array, negatives: jax.Array, valid: jax.Array) -> jax.Array:
    """Binary cross-entropy; right and wrong pairs weigh the same. Arguments: see `listwise`."""
    wrong = jnp.where(valid, jax.nn.log_sigmoid(-negatives), 0.0)
    mean_wrong = jnp.sum(wrong) / jnp.maximum(jnp.sum(valid), 1)
    return -0.5 * (jnp.mean(jax.nn.log_sigmoid(positive)) + mean_wrong)


CONTRASTIVE = {"softmax": contrastive, "sigmoid": sigmoid_contrastive}
MATCHING = {"listwise": listwise, "binary": binary}


def matching(
    model: Retriever,
    text: TextFeatures,
    video: VideoFeatures,
    logits: jax.Array,
    same: jax.Array,
    key: jax.Array,
    config: LossConfig,
    score: Callable[..., jax.Array] = score_pairs,
    sibling: jax.Array | None = None,
) -> jax.Array:
    """The re-ranker's loss over hard negatives, in both directions.

    Each caption is scored with its own video and with `hard_negatives` others of the batch, and
    each video likewise with captions (`hard_negatives.pairs` draws them). Negatives come from the
    coarse softmax, so their coarse scores are already accounted for. The loss therefore compares
    only what the re-ranker adds to the coarse score (with fusion: its own score). With an eye for
    motion, neither score knows motion here. This is ranking or binary NCE with the coarse softmax
    as noise (Ma and Collins 2018, "Noise Contrastive Estimation and Negative Sampling for
    Conditional Models"); at its optimum the ranking score is the true log-odds. Comparing the
    ranking score itself would teach the re-ranker to undo the coarse one.

    Args:
      text, video: features of B captions and B videos.
      logits: float32 [B, B], the coarse logits. same: bool [B, B], see `hard_negatives.same_pair`.
      key: for the draw. score, sibling: see `feature_loss`.

    Raises:
      ValueError: a batch has not that many negatives.
    """
    B, H = len(logits), config.hard_negatives
    config.check_batch(B)
    text_rows, video_rows, valid = hard_negatives.pairs(logits, same, key, H, sibling)
    scores = score(model, (text, text_rows), (video, video_rows))
    positive, by_text, by_video = jnp.split(scores.reshape(B, -1), [1, 1 + H], axis=1)
    compare = MATCHING[config.matching]
    return 0.5 * (
        compare(positive[:, 0], by_text, valid[0]) + compare(positive[:, 0], by_video, valid[1])
    )


def feature_loss(
    model: Retriever,
    text: TextFeatures,
    video: VideoFeatures,
    same: jax.Array,
    key: jax.Array,
    config: LossConfig,
    score: Callable[..., jax.Array] = score_pairs,
    sibling: jax.Array | None = None,
    apart: jax.Array | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of a batch whose features are already computed, and its terms.

    Without a matching weight the re-ranker is not computed, and has no term.

    Args:
      text, video: features of B captions and B videos.
      same: bool [B, B], see `hard_negatives.same_pair`. key: for the draw of negatives.
      score: as `score_pairs`, for features that are spread over devices, or pairs taken in parts.
      sibling: bool [B, B], pairs that are always negatives, see `hard_negatives.siblings`.
      apart: bool [B, B], those of them that differ in what an eye for motion sees. Where the model
        has one, they are negatives in its own terms alone.
    """
    content = same
    if model.motion is not None and sibling is not None and apart is not None:
        # They show the same things: no negatives where motion is not compared.
        content, sibling = same | apart, sibling & ~apart
    logits = _logits(model, text, video)
    terms = {"contrastive": _contrasted(model, logits, content, config)}
    loss = terms["contrastive"]
    if config.matching_weight:
        terms["matching"] = matching(
            model, text, video, logits, content, key, config, score, sibling
        )
        loss = loss + config.matching_weight * terms["matching"]
    if model.motion is not None:
        moving = _moving_terms(model, text, video, same, config)
        terms, loss = terms | moving, loss + config.motion_weight * sum(moving.values())
    return loss, terms | {"loss": loss, "logit_scale": model.clip.logit_scale}


def _logits(model: Retriever, text: TextFeatures, video: VideoFeatures) -> jax.Array:
    """Coarse logits of all pairs, captions by videos: float32 [B, B]."""
    cosines = jnp.matmul(text.embedding, video.embedding.T, precision=HIGHEST)
    return model.clip.logit_scale * cosines


def _contrasted(
    model: Retriever, logits: jax.Array, same: jax.Array, config: LossConfig
) -> jax.Array:
    """The contrastive loss of logits [B, B], to which some families add a learned bias."""
    bias = model.clip.logit_bias
    return CONTRASTIVE[config.contrastive](logits if bias is None else logits + bias[...], same)


def _moving_terms(
    model: Retriever,
    text: TextFeatures,
    video: VideoFeatures,
    same: jax.Array,
    config: LossConfig,
) -> dict[str, jax.Array]:
    """The losses that train the motion layers of the embeddings, and the weight of agreement.

    Towers and re-ranker do not learn from them: if motion already distinguishes the clips of a
    batch, they would learn less about content.
    """
    text = text._replace(embedding=jax.lax.stop_gradient(text.embedding))
    video = video._replace(embedding=jax.lax.stop_gradient(video.embedding))
    moved = _logits(model, model.moving_text(text), model.moving_video(video))
    # Without fusion, the re-ranker takes the place of the logits that it has learned to know.
    ranking = moved if model.fusion else _logits(model, text, video)
    agreed = jax.lax.stop_gradient(ranking) + model.agreements(text, video)
    return {
        "moving": _contrasted(model, moved, same, config),
        "agreeing": _contrasted(model, agreed, same, config),
    }


def motion_loss(
    asked: Array, told: jax.Array | None, unlikely: jax.Array | None
) -> dict[str, jax.Array]:
    """What teaches a model to read motion in captions and to see it in clips, a term each.

    Args:
      asked: float32 [B, 7], of `TextFeatures`. told: [B, 7], of the batch; None where it is not
        known, as of real videos: zeros would teach that no caption names a motion.
      unlikely: [B], how little matches follow a clip's plan; None where the clips have none.
    """
    terms: dict[str, jax.Array] = {}
    if told is not None:
        terms["reading"] = jnp.mean(jnp.sum((asked - told) ** 2, axis=-1))
    if unlikely is not None:
        terms["following"] = jnp.mean(unlikely)
    return terms
