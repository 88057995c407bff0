"""benchmarks.query on a small model and index: what it writes, and what its ratios are of."""

import json
from pathlib import Path

import numpy as np
import pytest

from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.video_index.reader import Index
from benchmarks import query, random_index

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(PRESETS, "vit_b32", PRESETS["tiny"])
    monkeypatch.setitem(RERANKERS, "vit_b32", RERANKERS["tiny"])


def test_a_drawn_index_opens(small, tmp_path):
    random_index.write_model(tmp_path / "model")
    random_index.write_index(tmp_path / "drawn", tmp_path / "model", 60)
    index = Index(query.Checkout(ROOT, tmp_path / "drawn", tmp_path / "ours").index)
    assert len(index) == 60 and index.catalogue.counts[0] == 6
    np.testing.assert_allclose(np.linalg.norm(index.embedding, axis=1), 1, rtol=1e-5)


def test_an_index_of_this_version_is_served_by_the_printed_command(small, tmp_path, capsys):
    assert random_index.main([str(tmp_path / "random"), "--segments", "65"]) == 0
    *_, directory = capsys.readouterr().out.split()
    index = Index(Path(directory))
    assert len(index) == 65 and len(set(index.names)) == 7


def test_a_folder_that_exists_is_left_as_it_is(tmp_path, capsys):
    with pytest.raises(SystemExit):
        random_index.main([str(tmp_path)])
    assert f"{tmp_path} exists" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_older_checkouts_know_all_that_a_drawn_model_says(small, tmp_path):
    random_index.write_model(tmp_path / "model")
    said = json.loads((tmp_path / "model" / "config.json").read_text())
    # The fields of commit ee6d1d0, which docs/experiments/speed.md compares with.
    known = {"clip", "reranker", "num_frames", "temporal", "logit_bias"}
    assert said.keys() <= known | {"format", "version"}
    known = {"layers", "width", "heads", "mlp_width", "code_width", "pooled_grid"}
    known |= {"interaction", "tokens", "fusion", "train_text", "code_dtype"}
    assert said["reranker"].keys() <= known
    assert said["temporal"].keys() <= {"layers", "heads"}


def test_ratios_are_ours_over_the_others():
    rows = {query.OURS: {"wall": 2.0, "cpu": 3.0}, query.OTHER: {"wall": 4.0, "cpu": 1.0}}
    assert query.ratios(rows) == {"wall_over_other": 0.5, "cpu_over_other": 3.0}


@pytest.mark.slow
def test_two_checkouts_are_asked_in_turn(small, tmp_path, capsys):
    few = ["--segments", "60", "--rounds", "1", "--cold-runs", "1"]
    report = tmp_path / "query.json"
    given = ["--beside", str(ROOT), "--scratch", str(tmp_path), "--json", str(report)]
    assert query.main([*few, *given]) == 0
    found = json.loads(report.read_text())
    for kind in ("cold", "warm"):
        assert found[kind].keys() >= {query.OURS, query.OTHER}
        assert all(row["wall"] > 0 for row in found[kind].values())
        assert found["ratios"][kind]["wall_over_other"] > 0
    assert set(found["warm"][query.OURS]) == {"encode", "coarse", "rerank", "wall", "cpu"}
    assert "warm, ratios: " in capsys.readouterr().out
