"""The benchmark of a step's products: what they are, and that both steps are divided right."""

import dataclasses
import json

import numpy as np
import pytest

from animclip_jax.models.presets import PRESETS
from benchmarks import products
from tests.small_model import SMALL


def test_a_layer_more_costs_its_kernels_three_times():
    one, two = SMALL, dataclasses.replace(SMALL, vision=dataclasses.replace(SMALL.vision, layers=3))
    width, mlp, rows = 32, 64, 5 * (1 + SMALL.grid**2)
    by_hand = 3 * 2 * rows * (4 * width**2 + 2 * width * mlp) / 1e9
    assert products.gflop(two, 5) - products.gflop(one, 5) == pytest.approx(by_hand)


def test_the_gradients_of_a_product():
    x, kernel, gradient = (np.ones(shape) for shape in ((4, 2), (2, 3), (4, 3)))
    product, of_x, of_kernel = products.multiply(x, kernel, gradient)
    assert (product.shape, of_x.shape, of_kernel.shape) == ((4, 3), (4, 2), (2, 3))
    assert product[0, 0] == 2 and of_x[0, 0] == 3 and of_kernel[0, 0] == 4


@pytest.mark.slow
def test_a_run_prints_its_table_and_writes_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PRESETS, "here", SMALL)
    file = tmp_path / "products.json"
    assert products.main(["--presets", "here", "--repeats", "1", "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())["presets"]
    assert row["products s, ours"] > 0 and row["step s, ours"] > 0 and row["preset"] == "here"
    assert "| here |" in capsys.readouterr().out
