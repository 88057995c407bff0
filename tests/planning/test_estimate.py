"""What is made of a compiled program: memory by kind, collectives by axis, time at best."""

from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from animclip_jax import settings, sharding
from animclip_jax.planning import estimate, hlo
from animclip_jax.training.chips import CHIPS
from configs import quickstart

MESH: Any = SimpleNamespace(devices=np.empty((4, 8)), axis_names=("data", "fsdp"))


@pytest.mark.parametrize(
    ("group", "axes"),
    [
        (tuple(range(8)), "fsdp"),
        ((0, 8, 16, 24), "data"),
        (tuple(range(32)), "data x fsdp"),
        ((), "?"),
    ],
)
def test_axes_are_named(group, axes):
    assert estimate.axes_of(MESH, group) == axes


def test_what_leaves_a_chip():
    def sent(kind):
        return estimate.Traffic(kind, "data", 4, 1, 8.0).sent_gib

    assert sent("all-gather") == sent("reduce-scatter") == sent("all-to-all") == 6.0
    assert sent("all-reduce") == 12.0
    assert sent("collective-permute") == pytest.approx(8.0)


def test_time_at_best_is_that_of_the_narrowest():
    chip = CHIPS["TPU v5 lite"]
    device = SimpleNamespace(device_kind="TPU v5 lite", platform="tpu")
    cost = hlo.Cost(flops=chip.flops, passes=2 * chip.flops, bytes=3 * chip.hbm_bandwidth)
    traffic = [estimate.Traffic("all-gather", "data", 2, 1, 2 * chip.network / 2**30)]
    seconds = estimate.seconds_at_best(device, cost, traffic)
    assert seconds == pytest.approx({"compute": 2, "hbm": 3, "network": 1, "step": 3})
    assert estimate.seconds_at_best(jax.devices()[0], cost, traffic) is None


@pytest.mark.parametrize(
    ("said", "used", "available"),
    [
        ("Ran out of memory in memory space hbm. Used 20.29G of 15.75G hbm.", 20.29, 15.75),
        ("the total memory required for HLO temporaries (2.00T) exceeds available HBM (15.75G)",
         2048, 15.75),
        ("Used 512.00M of 31.25G hbm", 0.5, 31.25),
    ],
)  # fmt: skip
def test_the_compilers_refusals_are_read(said, used, available):
    found = estimate.TOO_LARGE.search(f"RESOURCE_EXHAUSTED: {said} More.")
    assert found is not None
    assert estimate.gibibytes(found[1], found[2]) == used
    assert estimate.gibibytes(found[3], found[4]) == available


def test_a_collective_that_names_no_devices_is_of_all():
    one = hlo.Collective("all-reduce", ())
    cost: Any = SimpleNamespace(collectives={one: 2**30}, calls={one: 3})
    (found,) = estimate._traffic(MESH, cost)
    assert (found.devices, found.axes, found.count, found.gib) == (32, "data x fsdp", 3, 1.0)
    assert found.sent_gib == 2 * 31 / 32


def test_a_batch_that_the_devices_do_not_divide_is_refused(monkeypatch):
    three = jax.sharding.AbstractMesh((3, 1, 1), sharding.AXES)
    monkeypatch.setattr(estimate.sharding, "make_mesh", lambda *_: three)
    config = settings.training(settings.changed(quickstart.get_config(), {"batch_size": 32}))
    with pytest.raises(ValueError, match="batch_size 32: .* multiple of the 3 devices .* as 33"):
        estimate.plan(config, jax.devices())
