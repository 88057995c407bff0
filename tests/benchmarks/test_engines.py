"""The benchmark of engines: both searches find the exact best of what it builds."""

import numpy as np

from animclip_jax.engines.place import Place
from benchmarks import engines


def test_a_small_table_is_built_and_searched(tmp_path):
    place, queries = Place("lancedb", str(tmp_path / "table")), engines.vectors(3, 0)
    built = engines.build(place, 305, queries)
    assert built["disk GB"] > 305 * engines.CODE_BYTES / 2e9
    exact, found = (step(place, 305, queries) for step in (engines.flat, engines.search))
    every = np.concatenate(list(engines.gallery(305)))
    wanted = np.argsort(-(queries @ every.T), axis=1)[:, : engines.K].tolist()
    assert exact["found"] == found["found"] == wanted
    assert min(found["p50 ms"], found["p50 ms, codes"], exact["private MiB"]) > 0
