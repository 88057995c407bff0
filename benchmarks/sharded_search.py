"""The best 50 of 10,007 random videos for 101 captions, over all devices of this process.

Prints their numbers and scores as JSON. benchmarks/retrieval.py compares one device with eight.
"""

import json

import jax
import numpy as np

from animclip_jax import sharding
from animclip_jax.retrieval.coarse import top_k
from benchmarks import retrieval


def main() -> None:
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 2 if jax.device_count() > 1 else 1))
    random = np.random.default_rng(0)
    gallery, queries = retrieval.unit(random, 10_007), retrieval.unit(random, 101)
    items, scores = top_k(queries, gallery, 50, sharding.batch_sharding(mesh))
    print(json.dumps([items.tolist(), scores.tolist()]))


if __name__ == "__main__":
    main()
