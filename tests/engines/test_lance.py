"""LanceDB: its index finds what an exact search finds; damage is one clear error."""

import numpy as np
import pytest

from animclip_jax.engines import lance
from animclip_jax.engines.engine import EMBEDDING, EngineError, Segments
from animclip_jax.engines.opening import connect
from animclip_jax.engines.place import Place


def segments(count, width=16, seed=0):
    embedding = np.random.default_rng(seed).standard_normal((count, width), np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    names, times = [f"{n}.mp4" for n in range(count)], np.zeros((count, 2))
    return Segments(names, times, embedding, [b"code"] * count, [b"jpeg"] * count, [""] * count)


@pytest.fixture
def small(monkeypatch):
    """Indexes from 1,000 segments on, with partitions of 500."""
    monkeypatch.setattr(lance, "INDEXED_ABOVE", 1000)
    monkeypatch.setattr(lance, "PARTITION", 500)


def best(embedding, query, count):
    return np.argsort(-(embedding @ query), kind="stable")[:count].tolist()


def test_above_a_size_an_index_finds_the_same_and_is_built_anew_in_time(small, tmp_path):
    place = Place("lancedb", str(tmp_path / "table"))
    all_ = segments(2400)
    parts = [
        Segments(*(column[some] for column in all_)) for some in (slice(2000), slice(2000, 2400))
    ]
    engine = lance.Lance(place)
    outside = []
    for first, part in zip((0, 2000), parts, strict=True):
        engine.add(first, part)
        table = engine._table(lance.SEGMENTS)
        outside.append(engine._outside(table, 9999))
        for seed in range(2):
            query = segments(1, seed=5 + seed).embedding[0]
            keys, scores = lance.Lance(place).search(query, 10)
            wanted = best(all_.embedding[: first + len(part.times)], query, 10)
            assert keys.tolist() == wanted
            np.testing.assert_allclose(scores, all_.embedding[wanted] @ query, atol=1e-5)
        engine.put({0: "about"})
        engine.finish()
        assert engine._outside(table, 9999) == {EMBEDDING: 0, "key": 0}
    assert outside == [{}, {EMBEDDING: 400, "key": 400}]
    (read,) = engine.read(np.array([2300, 7]), [EMBEDDING])
    np.testing.assert_array_equal(read, all_.embedding[[2300, 7]])


def test_a_table_of_other_vectors_stays_as_it_is(tmp_path):
    place = Place("lancedb", str(tmp_path / "table"))
    engine = lance.Lance(place)
    engine.add(0, segments(3))
    with pytest.raises(EngineError, match="other columns than this version and model write"):
        engine.add(3, segments(3, width=8))
    assert lance.Lance(place).count() == 3


@pytest.mark.parametrize("pattern", ["data/*", "_versions/*"])
def test_a_half_written_table_is_one_clear_error(tmp_path, pattern):
    place = Place("lancedb", str(tmp_path / "table"))
    lance.Lance(place).add(0, segments(50))
    for path in (tmp_path / "table" / f"{lance.SEGMENTS}.lance").glob(pattern):
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(EngineError, match=r"lancedb:.*remove it and publish again") as told:
        connect(place).search(np.ones(16, np.float32), 5)
    assert "\n" not in str(told.value) and ".rs" not in str(told.value)


def test_a_table_that_is_gone_is_one_clear_error(tmp_path):
    place = Place("lancedb", str(tmp_path / "table"))
    engine = lance.Lance(place)
    engine.put({0: "about"})
    for asked in (
        lambda: engine.search(np.ones(16, np.float32), 5),
        lambda: engine.read(np.array([0]), [EMBEDDING]),
    ):
        with pytest.raises(EngineError, match=f"has no table {lance.SEGMENTS}: .*completes it"):
            asked()
    engine.remove([(0, 3)])  # Nothing is there to be removed.
