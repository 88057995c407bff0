"""Tests of input_pipeline.filming.aside."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from input_pipeline.filming import canvas, decoding
from input_pipeline.filming.aside import aside


def functions_aside(made: Any) -> list[str]:
    """The functions that a graph calls as one op each."""
    library = made.graph.as_graph_def().library.function
    return [held.signature.name for held in library if held.attr["_noinline"].b]


def test_a_function_aside_is_one_op_of_the_graph() -> None:
    @aside
    def many(x: tf.Tensor) -> tf.Tensor:
        for _ in range(20):
            x = x * 2.0
        return x

    made = tf.function(lambda x: many(x) + 1.0).get_concrete_function(tf.TensorSpec([]))
    kinds = [op.type for op in made.graph.get_operations()]
    assert kinds.count("PartitionedCall") == 1 and "Mul" not in kinds
    assert len(functions_aside(made)) == 1
    assert made(tf.constant(1.0)).numpy() == 2.0**20 + 1.0


def test_what_few_pictures_need_stands_aside() -> None:
    """Pictures that are no JPEG, and shrinking: each cost 0.03 ms a clip that did without them."""

    def film(encoded: tf.Tensor, region: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return canvas.fitted(decoding.decode_region(encoded, region, size), 8, 8)

    made = tf.function(film, autograph=False).get_concrete_function(
        tf.TensorSpec([], tf.string), tf.TensorSpec([4], tf.int32), tf.TensorSpec([2], tf.int32)
    )
    aside = sorted(functions_aside(made))
    assert len(aside) == 2 and "decode_whole" in aside[0] and "shrunk" in aside[1]
