"""A trained model's three functions, compiled once and run over all devices of all processes."""

import functools
import time
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding

from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.models.towers import end_of
from animclip_jax.models.transformer import SCANNED
from animclip_jax.retrieval import placement


class Encoder:
    """Takes NumPy arrays, gives NumPy arrays that are the same in every process.

    The size of a batch is a multiple of `num_parts`. `logit_scale` is what cosine similarities are
    multiplied by; `cuts_padding`, whether a caption's padding may be cut off before it is encoded;
    `compile_seconds`, what compiling `fused_scores` has taken so far.
    """

    def __init__(self, split: NamedSharding, graphdef: Any, params: dict):
        """split: how a batch lies on the devices.

        params: on the same devices. The vision tower may be NumPy arrays, which are put there when
          a video is first encoded. So may the layers of the text tower, which are then put there
          one by one: a CPU reads each in place, and encodes one caption in 0.6 of the time.
        """
        self.split, self.params = split, params
        self.whole, self.num_parts = placement.whole(split), placement.num_parts(split)
        self.compile_seconds = 0.0
        self._programs: dict[Any, Any] = {}

        def encode_text(params: dict, layers: list | None, tokens: jax.Array) -> TextFeatures:
            model = nnx.merge(graphdef, params)
            if layers is not None:
                model.clip.text.transformer.blocks.apart = lambda: layers
            return model.encode_text(tokens)

        def encode_video(params: dict, frames: jax.Array) -> VideoFeatures:
            model = nnx.merge(graphdef, params)
            return model.stored(model.encode_video(frames / 255.0))

        def fused_scores(
            params: dict, text: TextFeatures, rows: Any, video: VideoFeatures, columns: Any
        ) -> jax.Array:
            if rows is not None:
                text = jax.tree.map(lambda x: x[rows], text)
            if columns is not None:
                video = jax.tree.map(lambda x: x[columns], video)
            return nnx.merge(graphdef, params).fused_scores(text, video)

        text = nnx.merge(graphdef, params).clip.text
        self.cuts_padding, self._end = text.cuts_padding, text.end
        self._text_layers = self._apart(params["clip"]["text"]["transformer"]["blocks"][SCANNED])
        self.logit_scale = self._scale(graphdef)
        self._encode_text = jax.jit(encode_text, out_shardings=self.whole)
        self._encode_video = jax.jit(encode_video, out_shardings=self.whole)
        self._fused_scores = jax.jit(fused_scores, out_shardings=self.whole)

    def _apart(self, stacked: dict) -> list | None:
        """The layers of a stack that is on the host, each on the devices."""
        leaves = jax.tree.leaves(stacked)
        if isinstance(leaves[0], jax.Array):
            return None
        layers = [jax.tree.map(lambda x, n=n: x[n], stacked) for n in range(len(leaves[0]))]
        return jax.device_put(layers, self.whole)

    def _scale(self, graphdef: Any) -> float:
        scale = jax.jit(lambda params: nnx.merge(graphdef, params).clip.logit_scale)
        return float(jax.device_get(scale(self.params)))

    def caption_lengths(self, tokens: np.ndarray) -> np.ndarray:
        """How many of the tokens int32 [B, L] of padded captions are their own: int [B]."""
        return 1 + end_of(tokens, self._end)

    def encode_text(self, tokens: np.ndarray) -> TextFeatures:
        """tokens int32 [B, L], the whole batch in every process."""
        given = placement.put(tokens, self.split)
        return jax.device_get(self._encode_text(self.params, self._text_layers, given))

    def encode_video(self, frames: np.ndarray, size: int) -> VideoFeatures:
        """Features of a batch of `size` videos, of which this process has its part.

        Args:
          frames: uint8 [B, T, H, W, 3], videos `placement.local_rows(split, size)` of the batch.
        """
        batch = placement.put_local(frames, size, self.split)
        return jax.device_get(self._encode_video(self._video_params, batch))

    @functools.cached_property
    def _video_params(self) -> dict:
        clip = self.params["clip"]
        vision = jax.device_put(clip["vision"], self.whole)
        return self.params | {"clip": clip | {"vision": vision}}

    def hold(self, features: Any) -> Any:
        """Features as NumPy arrays, the same in every process, whole onto every device."""
        return placement.put(features, self.whole)

    def fused_scores(
        self, text: Any, video: Any, rows: np.ndarray | None, columns: np.ndarray | None
    ) -> jax.Array:
        """Scores of P pairs, P a multiple of `num_parts`: float32 [P], on the devices.

        Args:
          text: features that `hold` put onto the devices and `rows` int [P], which of them; or the
            features of the P captions, or of one for all pairs, as NumPy arrays, and None.
          video, columns: likewise, of P videos.
        """
        given = []
        for features, chosen in ((text, rows), (video, columns)):
            if chosen is None:
                where = self.whole if len(features.embedding) == 1 else self.split
                given += [placement.put(features, where), None]
            else:
                given += [features, placement.put(chosen, self.split)]
        key = str(jax.tree.map(lambda x: (x.shape, x.dtype), given))
        if key not in self._programs:
            began = time.perf_counter()
            self._programs[key] = self._fused_scores.lower(self.params, *given).compile()
            self.compile_seconds += time.perf_counter() - began
        return self._programs[key](self.params, *given)
