"""Gradient caching: a batch taken in parts, with the loss and gradients of the whole.

Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup": the
contrastive matrix is that of the whole batch; the backward pass computes features again, by parts.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

from animclip_jax import sharding
from animclip_jax.animation.batch import Batch, Filmed
from animclip_jax.animation.flow import flow
from animclip_jax.animation.render import clips
from animclip_jax.models.retriever import Retriever, TextFeatures, VideoFeatures


def in_parts(mesh: Mesh, function: Callable[[Any], Any], rows: Any, size: int) -> Any:
    """function(rows), computed `size` rows at a time, over all devices; 0: all at once.

    In parts, nothing of a part is kept but its results: the backward pass computes it again, and
    adds its gradients up.
    """
    if not size:
        return function(rows)
    parts = sharding.split(mesh, rows, size)
    return sharding.join(mesh, jax.lax.map(jax.checkpoint(function, prevent_cse=False), parts))


def encode(
    model: Retriever, batch: Batch, mesh: Mesh, image_size: int, microbatch: int
) -> tuple[TextFeatures, VideoFeatures, jax.Array | None]:
    """Features of a batch, filmed and encoded `microbatch` clips at a time; 0: all at once.

    With them comes how little the model's eye for motion follows each clip's plan, float32 [B];
    None where the model has no such eye, or the clips no plan.
    """
    film = functools.partial(clips, image_size=image_size)

    def encoded(part: Batch) -> tuple[TextFeatures, VideoFeatures, jax.Array | None]:
        frames = sharding.on_each(mesh, film, part)
        unlikely = None
        if model.motion is not None and isinstance(part, Filmed):
            likely = model.motion.compare(frames)
            unlikely = model.motion.unlikely(likely, flow(part.plan, model.motion.grid))
        return model.still_text(part.tokens), model.still_video(frames), unlikely

    return in_parts(mesh, encoded, batch, microbatch)


def score_pairs(
    model: Retriever,
    text: tuple[TextFeatures, jax.Array],
    video: tuple[VideoFeatures, jax.Array],
    *,
    mesh: Mesh,
    microbatch: int,
) -> jax.Array:
    """As `hard_negatives.score_pairs`, of features that are spread over devices.

    The pairs of `microbatch` clips are scored at a time; 0: all at once.
    """
    pairs = tuple(sharding.take_rows(mesh, *of) for of in (text, video))
    pairs_a_clip = len(text[1]) // len(text[0].embedding)
    return in_parts(
        mesh, lambda pairs: model.beyond_coarse(*pairs), pairs, microbatch * pairs_a_clip
    )
