"""TensorFlow without the GPU, whose whole memory it would take from JAX.

All of input_pipeline imports TensorFlow from here, so that no first operation can come before this.
Where it is not installed, importing this raises ModuleNotFoundError, which says how to install it.
"""

import contextlib

from animclip_jax import words

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "TensorFlow is not installed. Training, evaluating, preparing and filming need it: "
        + words.installs("train"),
        name="tensorflow",
    ) from error
from tensorflow.compiler.tf2xla.python import xla

# A program that has used TensorFlow already goes on with the devices it chose.
with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], "GPU")

__all__ = ["tf", "xla"]
