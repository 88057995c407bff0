"""EMA, the exponential moving average of parameters: it searches better than the last step's.

Of parameters that are frozen there is none: it would be a second copy of the same values.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util


def begin(params: dict, frozen: Any = None) -> dict:
    """The average before the first step: what learns, as it is, in memory of its own.

    Args:
      frozen: like the parameters, True for those that keep their values; None: all learn.
    """
    flat, kept = (traverse_util.flatten_dict(tree or {}) for tree in (params, frozen))
    learning = {name: x.copy() for name, x in flat.items() if not kept.get(name)}
    return _nested(learning)


def update(average: dict, params: dict, step: jax.Array, decay: float) -> dict:
    """The average after one more step.

    Early on the average follows the parameters closely, so that it forgets their random start.

    Args:
      average: as `begin` made it. params: all of them, float arrays. step: int32 scalar, steps done
        before this one. decay: what is kept of the average in a step, late in a run.
    """
    kept = jnp.minimum(decay, (1 + step) / (10 + step))
    # In this form a parameter that does not change is its own average, exactly.
    averaged: dict = jax.tree.map(
        lambda new, old: old + (1 - kept) * (new - old), chosen(params, average), average
    )
    return averaged


def chosen(params: dict, like: dict) -> dict:
    """Those of the parameters that have a place in another tree."""
    flat = traverse_util.flatten_dict(params)
    return _nested({name: flat[name] for name in traverse_util.flatten_dict(like)})


def replaced(params: dict, others: dict) -> dict:
    """All parameters, those with a place in another tree taken from there."""
    return _nested(traverse_util.flatten_dict(params) | traverse_util.flatten_dict(others))


def _nested(flat: dict) -> dict:
    tree: dict = traverse_util.unflatten_dict(flat)
    return tree
