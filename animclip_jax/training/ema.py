"""EMA, the exponential moving average of parameters: it searches better than the last step's."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def update(average: Any, params: Any, step: jax.Array, decay: float) -> Any:
    """The average after one more step.

    Early on the average follows the parameters closely, so that it forgets their random start.

    Args:
      average, params: trees of the same float arrays. step: int32 scalar, steps done before this
        one. decay: what is kept of the average in a step, late in a run.
    """
    kept = jnp.minimum(decay, (1 + step) / (10 + step))
    return optax.incremental_update(params, average, 1 - kept)
