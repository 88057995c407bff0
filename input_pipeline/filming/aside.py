"""What few pictures need stands aside in the graph, where it costs the others nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable

from input_pipeline.tensorflow_on_cpu import tf


def aside(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """A function of TensorFlow ops as a single op of the graphs that call it.

    TensorFlow visits each op of a condition's branch, also of the one that is not taken. Outside of
    a graph the ops run one by one, and an error says what it says without this.
    """
    as_one_op = tf.function(
        function,
        autograph=False,
        reduce_retracing=True,
        experimental_attributes={"_noinline": True},
    )

    @functools.wraps(function)
    def called(*tensors: tf.Tensor) -> tf.Tensor:
        return function(*tensors) if tf.executing_eagerly() else as_one_op(*tensors)

    return called
