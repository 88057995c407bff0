"""Which process has what, and what passes between them."""

import jax
import numpy as np
import pytest

from animclip_jax import distributed, sharding
from animclip_jax.evaluation import shares
from animclip_jax.evaluation.shares import Shares, gathered


def of_each(monkeypatch, processes: int, count: int) -> list[Shares]:
    """The shares as each process sees them."""
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    found = []
    for process in range(processes):
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        found.append(Shares(count))
    return found


@pytest.mark.parametrize("processes, count", [(1, 7), (2, 7), (4, 7), (4, 8), (3, 100)])
def test_every_item_has_one_process_and_all_have_as_many(monkeypatch, processes, count):
    seen = of_each(monkeypatch, processes, count)
    assert [item for one in seen for item in one.mine] == list(range(count))
    for process, one in enumerate(seen):
        assert one.first == one.mine.start
        assert (one.owner(np.array(one.mine)) == process).all()
        assert one.counts.tolist() == [len(other.mine) for other in seen]
        assert max(one.counts) - min(one.counts) <= 1


def test_a_process_without_items_computes_one_that_nobody_asks_for(monkeypatch):
    seen = of_each(monkeypatch, 3, 2)
    assert [list(one.mine) for one in seen] == [[0], [0], [1]]
    assert seen[0].counts.tolist() == [0, 1, 1]
    assert seen[0].owner(np.arange(2)).tolist() == [1, 2]


@pytest.mark.parametrize("dtype", ["float32", "int8", "float16", "int64", "bool", "bfloat16"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_rows_of_any_type_arrive_as_they_were(monkeypatch, dtype, shape):
    """Every process sends what it has; here the others are played."""
    counts = [2, 0, 3]
    random = np.random.default_rng(0)
    sent = [random.integers(0, 2, (max(n, 1), *shape)).astype(np.dtype(dtype)) for n in counts]
    posted: list[np.ndarray] = []

    def post(rows: np.ndarray) -> np.ndarray:
        posted.append(rows)
        return rows

    monkeypatch.setattr(distributed, "wait", lambda name: None)
    monkeypatch.setattr(sharding, "from_all_processes", post)
    for process, x in enumerate(sent):
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        with pytest.raises(ValueError):  # one process's rows are not those of three
            gathered(x, counts)
    assert len({rows.shape for rows in posted}) == 1
    monkeypatch.setattr(sharding, "from_all_processes", lambda rows: np.concatenate(posted))
    found = gathered(sent[2], counts)
    wanted = np.concatenate([x[:n] for x, n in zip(sent, counts, strict=True)])
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_one_process_sends_nothing(monkeypatch):
    monkeypatch.setattr(shares.sharding, "from_all_processes", None)
    x = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(Shares(3).gathered({"x": x})["x"], x)
