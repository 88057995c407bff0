"""The peaks of devices, by the names that JAX has for them."""

from types import SimpleNamespace

import jax
import pytest

from animclip_jax.training.chips import chip_of


@pytest.mark.parametrize(
    ("kind", "flops"),
    [("TPU v5 lite", 197e12), ("TPU v5", 459e12), ("NVIDIA H200", 989e12), ("TPU v99", None)],
)
def test_peaks(kind, flops):
    chip = chip_of(SimpleNamespace(device_kind=kind))
    assert (chip and chip.flops) == flops


def test_of_a_cpu_nothing_is_known():
    assert chip_of(jax.devices()[0]) is None
