"""benchmarks.retrieval on small galleries: what it writes, and that it counts rightly."""

import json

import numpy as np
import pytest

from animclip_jax.models.video_code import PackedCode
from benchmarks import retrieval


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"MANY": 7, "PAIRS": 2, "K": 5, "FRAMES": 2, "CODE_TOKENS": 4}.items():
        monkeypatch.setattr(retrieval, name, value)


@pytest.mark.slow
def test_writes_what_it_measured(tmp_path, capsys):
    report = tmp_path / "report.json"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = ["--sizes", "40", "60", "--scratch", str(scratch), "--json", str(report)]
    assert retrieval.main(options) == 0
    found = json.loads(report.read_text())
    assert [(row["videos"], row["queries"]) for row in found["coarse"]] == [
        (40, 1),
        (40, 7),
        (60, 1),
        (60, 7),
    ]
    assert all(row["approximate_recall"] == 1.0 for row in found["coarse"])
    assert set(found["ratios"]) == {
        "coarse_over_faiss_flat",
        "coarse_over_bare_matmul",
        "mapped_over_bare_matmul",
        "all_pairs_over_rerank",
    }
    pairs = found["all_pairs"]
    assert pairs["of_those_equal"] == pairs["top_1_among_candidates"]
    assert found["sharded"]["items_equal"] > 0.999
    assert found["sharded"]["largest_score_difference"] < 1e-6
    assert all(row["private_gib"] > 0 for row in found["mapped"])
    assert not list(scratch.iterdir())
    assert "ratios: " in capsys.readouterr().out


def test_an_evaluation_of_a_given_size(tmp_path, capsys):
    report = tmp_path / "report.json"
    assert retrieval.main(["--evaluation", "50x8", "--json", str(report)]) == 0
    found = json.loads(report.read_text())["evaluation"]
    assert (found["captions"], found["videos"]) == (50, 8)
    assert found["text_to_video"]["rerank"] > 0 and found["private_gib"] > 0


def test_the_store_is_full_of_numbers(tmp_path):
    store = retrieval.write_store(tmp_path, 30)
    assert isinstance(store.code, PackedCode) and store.code.scales is not None
    values = store.code.values
    assert isinstance(values, np.memmap) and values.shape == (30, 4, 256)
    assert np.all(store.code.scales > 0)
    np.testing.assert_allclose(np.linalg.norm(store.embedding, axis=1), 1, atol=1e-2)
    assert len(np.unique(values)) == 256


def test_captions_have_their_own_places():
    found = retrieval.captions(np.random.default_rng(0), 41)
    assert [len(some.mask) for some in found.features] == [39, 2]
    places = sorted(zip(found.bucket.tolist(), found.place.tolist(), strict=True))
    assert places == [*((0, n) for n in range(39)), (1, 0), (1, 1)]


def test_recall_counts_what_was_found():
    assert retrieval.recall(np.array([[1, 2, 3, 9]]), np.array([[3, 2, 1, 0]])) == 0.75
