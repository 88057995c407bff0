"""The benchmark of a step: both sides train, FLOPs are those of both towers, no TensorFlow."""

import dataclasses
import json

import jax
import pytest

from animclip_jax.animation.batch import Footage
from animclip_jax.models.presets import PRESETS, RERANKERS
from benchmarks import model, train_step
from tests import processes
from tests.small_model import SMALL

CLIPS = 4


@pytest.fixture
def small_preset(monkeypatch) -> str:
    monkeypatch.setitem(PRESETS, "here", SMALL)
    monkeypatch.setitem(RERANKERS, "here", dataclasses.replace(RERANKERS["tiny"], width=32))
    return "here"


def losses(take, steps: int = 30) -> list[float]:
    return [take() for _ in range(steps)]


@pytest.mark.slow
@pytest.mark.parametrize("is_peers_work", [False, True])
def test_our_steps_learn_their_batch(small_preset, monkeypatch, is_peers_work):
    config = train_step.configuration(small_preset, CLIPS, is_peers_work)
    quickly = dataclasses.replace(config.optimizer, warmup_steps=1)
    config = dataclasses.replace(config, optimizer=quickly)
    assert isinstance(train_step.example_batch(config.batches), Footage) == is_peers_work
    found = losses(train_step.our_step(config)[0])
    assert found[-1] < 0.9 * found[0]


def test_the_peer_learns_its_batch(small_preset, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setattr(train_step, "can_compile_torch", lambda: False)
    found = losses(
        train_step.torch_step(train_step.configuration(small_preset, CLIPS, is_peers_work=True))
    )
    assert found[-1] < 0.9 * found[0]


def test_flops_are_three_forward_passes_and_more_for_the_whole_step(small_preset):
    forward = model.cost(SMALL)["GFLOP a clip"] * 1e9 * CLIPS
    whole = train_step.our_step(train_step.configuration(small_preset, CLIPS))[1]
    peers = train_step.our_step(train_step.configuration(small_preset, CLIPS, True))[1]
    # XLA's count has what is not a product too; the first layer's input needs no gradient.
    assert 2.2 * forward < peers < 3 * forward
    assert whole > peers


def test_a_peer_that_was_not_measured_is_missing():
    ours = {f"clips/s, {name}": 3.0 for name in (train_step.WHOLE, train_step.PEERS_WORK)}
    rows: list[dict] = [
        {"preset": "a"} | ours,
        {"preset": "b", f"clips/s, {train_step.PEER}": 2.0} | ours,
    ]
    found = train_step.ratios(rows)
    assert found == {
        "ours, whole / PyTorch, a": None,
        "ours, the peer's work / PyTorch, a": None,
        "ours, whole / PyTorch, b": 1.5,
        "ours, the peer's work / PyTorch, b": 1.5,
    }


@pytest.mark.slow
def test_a_run_prints_its_tables_and_writes_them(small_preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_step, "why_no_peer", lambda: "PyTorch is at lunch")
    monkeypatch.setattr(train_step, "crossing_in_a_process", lambda *_: [{"devices": 8}])
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    file = tmp_path / "step.json"
    command = ["--quick", "--presets", small_preset, "--clips", "4", "--json", str(file)]
    assert train_step.main(command) == 0
    found, shown = json.loads(file.read_text()), capsys.readouterr().out
    assert found["ratios"] == {
        "ours, whole / PyTorch, here": None,
        "ours, the peer's work / PyTorch, here": None,
    }
    (row,) = found["steps"]
    assert row["clips/s, ours, whole"] > 0 and not any("MFU" in name for name in row)
    assert "PyTorch: PyTorch is at lunch" in shown
    assert "| ours, whole / PyTorch, here | missing |" in shown
    for wrong in (["--presets", "nothing"], ["--clips", "3"]):
        with pytest.raises(SystemExit):
            train_step.main(wrong)


@pytest.mark.slow
def test_nothing_crosses_on_one_device(small_preset):
    (row,) = train_step.crossing(small_preset, CLIPS, [(1, 1)])
    assert row.pop("gradients, MB") > 0
    assert row == {"devices": 1, "fsdp": 1, "clips a step": CLIPS, "MB a device": 0.0}
    assert jax.device_count() == 1


@pytest.mark.slow
def test_gradients_cross_once_and_with_fsdp_parameters_too():
    one, whole, split = train_step.crossing_in_a_process("tiny", CLIPS, quick=True)
    assert (one["devices"], one["MB a device"]) == (1, 0.0)
    # Each gradient is reduced once; what is left are features and pairs of 32 clips.
    assert 1 < whole["MB, all-reduce"] / whole["gradients, MB"] < 1.5
    assert split["MB, all-gather"] > whole.get("MB, all-gather", 0.0)


def test_it_needs_no_tensorflow():
    assert processes.imported_without_tensorflow("benchmarks.train_step") == {}
