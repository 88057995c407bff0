"""A trained model's three functions, compiled once and run over all devices."""

from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from animclip_jax import sharding
from animclip_jax.models.retriever import TextFeatures, VideoFeatures


class Encoder:
    """Takes and gives NumPy arrays; batch sizes are multiples of the number of devices."""

    def __init__(self, mesh: Mesh, graphdef: Any, params: dict):
        """graphdef: the model without parameters; params: its parameters, on the mesh."""
        self.mesh, self.params = mesh, params

        def encode_text(params: dict, tokens: jax.Array) -> TextFeatures:
            return nnx.merge(graphdef, params).encode_text(tokens)

        def encode_video(params: dict, frames: jax.Array) -> VideoFeatures:
            model = nnx.merge(graphdef, params)
            return model.stored(model.encode_video(frames / 255.0))

        def fused_scores(params: dict, text: TextFeatures, video: VideoFeatures) -> jax.Array:
            return nnx.merge(graphdef, params).fused_scores(text, video)

        self._encode_text = jax.jit(encode_text)
        self._encode_video = jax.jit(encode_video)
        self._fused_scores = jax.jit(fused_scores)

    def encode_text(self, tokens: np.ndarray) -> TextFeatures:
        """tokens int32 [B, L]."""
        tokens = sharding.put_batch(self.mesh, tokens)
        return jax.device_get(self._encode_text(self.params, tokens))

    def encode_video(self, frames: np.ndarray) -> VideoFeatures:
        """frames uint8 [B, T, H, W, 3]."""
        frames = sharding.put_batch(self.mesh, frames)
        return jax.device_get(self._encode_video(self.params, frames))

    def fused_scores(self, text: TextFeatures, video: VideoFeatures) -> np.ndarray:
        """Features of P captions and of P videos -> float32 [P]."""
        text, video = sharding.put_batch(self.mesh, (text, video))
        return jax.device_get(self._fused_scores(self.params, text, video))
