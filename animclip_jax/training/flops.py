"""How much work a function asks for."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from animclip_jax.animation.told import AXES
from animclip_jax.models import parameters
from animclip_jax.models.retriever import RetrieverConfig, TextFeatures, VideoFeatures


def product_flops(function: Callable, *shapes: Any) -> int:
    """FLOPs of the matrix products of a function, those inside scans as often as they run.

    Loops whose rounds the data decides are counted as one round.
    """
    return _count(jax.make_jaxpr(function)(*shapes).jaxpr)


def pair_flops(config: RetrieverConfig, caption_tokens: int) -> int:
    """FLOPs of the matrix products that re-rank one pair, of a caption padded to so many tokens."""
    graphdef, params = parameters.abstract(config)

    def one(*shape: int, dtype: Any = jnp.float32) -> Any:
        return jax.ShapeDtypeStruct((1, *shape), dtype)

    def score(params: nnx.State, text: TextFeatures, code: Any) -> jax.Array:
        video = VideoFeatures(text.embedding, code)
        return nnx.merge(graphdef, params).fine_scores(text, video)

    text = TextFeatures(
        one(config.clip.embed_dim),
        one(caption_tokens, config.clip.text.width),
        one(caption_tokens, dtype=bool),
        one(len(AXES)) if config.motion.features else None,
    )

    code = one(config.code_tokens, config.reranker.code_width)
    return product_flops(score, params, text, code)


def _count(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            ((contracted, _), _) = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            summed = math.prod(left[axis] for axis in contracted)
            total += 2 * math.prod(equation.outvars[0].aval.shape) * summed
        inner = [
            _count(getattr(found, "jaxpr", found))
            for value in equation.params.values()
            for found in (value if isinstance(value, tuple) else (value,))
            if hasattr(getattr(found, "jaxpr", found), "eqns")
        ]
        if equation.primitive.name == "cond":
            total += max(inner)
        elif equation.primitive.name == "shard_map":
            total += sum(inner) * _parts(equation)
        else:
            total += sum(inner) * equation.params.get("length", 1)
    return total


def _parts(shard_map: Any) -> int:
    """In how many parts devices share the operand that is split most."""
    whole = [variable.aval.size for variable in shard_map.invars]
    part = [variable.aval.size for variable in shard_map.params["jaxpr"].invars]
    # Parts of a plan that a preset has no use for have no elements.
    return max((all_ // one for all_, one in zip(whole, part, strict=True) if one), default=1)
