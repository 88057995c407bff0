"""TensorFlow without the GPU, whose whole memory it would take from JAX.

All of input_pipeline imports TensorFlow from here, so that no first operation can come before this.
"""

import contextlib

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

# A program that has used TensorFlow already goes on with the devices it chose.
with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], "GPU")

__all__ = ["tf", "xla"]
