"""The benchmark of the model: FLOPs against a count by hand, ratios, a whole run in little."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from animclip_jax.models.presets import PRESETS, RERANKERS
from benchmarks import model
from tests.small_model import SMALL


@pytest.fixture
def small_preset(monkeypatch):
    monkeypatch.setitem(PRESETS, "here", SMALL)
    monkeypatch.setitem(RERANKERS, "here", dataclasses.replace(RERANKERS["tiny"], layers=1))


def test_flops_are_those_of_every_layer():
    one, two = SMALL, dataclasses.replace(SMALL, vision=dataclasses.replace(SMALL.vision, layers=3))
    extra = (model.cost(two)["GFLOP a clip"] - model.cost(one)["GFLOP a clip"]) * 1e9
    tokens, width, mlp = 1 + SMALL.grid**2, 32, 64
    products = tokens * (4 * width**2 + 2 * width * mlp) + 2 * tokens**2 * width
    by_hand = 2 * products * model.NUM_FRAMES
    assert by_hand < extra < 1.3 * by_hand, "products, and little beside them"


def test_unrolled_layers_compute_the_same():
    graphdef, shapes = model.clip_of(SMALL)
    params = model.filled(shapes)
    batch = model.filled(model.batch_shapes(SMALL, 2, 2))

    def program() -> str:
        # A function of its own each time: JAX remembers what it traced.
        return str(jax.make_jaxpr(lambda *args: model.encode(graphdef, *args))(params, *batch))

    scanned = model.encode(graphdef, params, *batch)
    assert "scan" in program()
    with model.unrolled():
        assert "scan" not in program()
        loop = model.encode(graphdef, params, *batch)
    np.testing.assert_allclose(scanned, loop, rtol=1e-4, atol=1e-5)


def test_ratios_are_ours_over_the_peers():
    rows: list[dict] = [
        {"preset": "a", "step s, ours": 2.0, "step s, PyTorch": 4.0},
        {"preset": "b"},
    ]
    pairs = {"preset": "a", "pairs a second, re-ranker": 6.0, "pairs a second, joint": 2.0}
    assert model.ratios(rows, [pairs]) == {
        "step, ours / PyTorch, a": 0.5,
        "pairs a second, re-ranker / joint, a": 3.0,
    }


def test_what_an_index_keeps_of_a_video():
    row = model.storage("vit_b32")
    assert row["code KiB, int8"] == 12 * 5 * (256 + 2) / 1024 <= 16
    assert row["code KiB, bfloat16"] == 30 and row["embedding KiB, bfloat16"] == 1


@pytest.mark.slow
def test_a_run_prints_its_tables_and_writes_them(small_preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda *_: None)  # keep the tests' compilation cache
    file = tmp_path / "model.json"
    command = ["--quick", "--presets", "here", "--clips", "2", "--json", str(file)]
    assert model.main(command) == 0
    found = json.loads(file.read_text())
    (row,), (scores,) = found["presets"], found["scores"]
    assert row["MB a clip, none"] > row["MB a clip, block"] > 0
    assert scores["GFLOP a pair, joint"] > scores["GFLOP a pair, re-ranker"] > 0
    assert scores["GFLOP a pair, tight"] > 0
    assert {"compile, scanned / unrolled, here", "memory, block / none, here"} <= set(
        found["ratios"]
    )
    shown = capsys.readouterr().out
    assert "| here |" in shown and "pairs a second, joint" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    with pytest.raises(SystemExit):
        model.main(["--presets", "nothing"])
