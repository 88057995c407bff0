"""Rows of a shard whose numbers are random."""

import jax.numpy as jnp
import numpy as np

from animclip_jax.models.video_code import PackedCode, pack
from animclip_jax.video_index.shards import Rows


def rows(count: int, seed: int, dtype: str | None) -> Rows:
    """Of one seed always the same; dtype: of the codes, None for none."""
    random = np.random.default_rng(seed)
    code = None
    if dtype is not None:
        made = pack(jnp.asarray(random.standard_normal((count, 3, 5), np.float32)), dtype)
        scales = None if made.scales is None else np.asarray(made.scales)
        code = PackedCode(np.asarray(made.values), scales)
    thumbnails = [random.bytes(int(random.integers(1, 99))) for _ in range(count)]
    embedding = random.standard_normal((count, 4), np.float32)
    return Rows(embedding, code, random.random((count, 2)), thumbnails)
