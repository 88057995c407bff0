"""Plans for GPUs that are not here: what is known of them, and what their compiler says."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from animclip_jax.planning import estimate, gpus, hlo
from animclip_jax.planning.program import described_devices
from animclip_jax.training.chips import CHIPS


@pytest.mark.parametrize("topology", ["h100", "h100:0", "h100:9", "h100:2x4", "rtx:1", "h100:-1"])
def test_what_is_not_known_is_refused(topology):
    with pytest.raises(ValueError, match=f"--topology={topology}: wanted a TPU.* or one of a100"):
        described_devices(topology)


def test_without_their_compiler_it_is_named(monkeypatch):
    monkeypatch.setattr(gpus, "PLUGINS", ("no_such_plugin",))
    with pytest.raises(
        ValueError, match=r"h100:8: the compiler for GPUs is not installed.*animclip-jax\[gpu\]"
    ):
        described_devices("h100:8")


def test_every_gpu_has_its_peaks():
    assert {gpu.kind for gpu in gpus.GPUS.values()} <= set(CHIPS)
    for gpu in gpus.GPUS.values():
        assert gpu.bandwidth == pytest.approx(CHIPS[gpu.kind].hbm_bandwidth, rel=0.01)


@pytest.mark.slow
def test_a_program_is_compiled_for_gpus_that_nobody_holds(monkeypatch):
    if not gpus.has_compiler():
        pytest.skip("no compiler for GPUs: pip install '.[gpu]'")
    devices = described_devices("h100:4")
    assert len(devices) == 4 and all(map(gpus.is_described, devices))
    assert not any(map(gpus.is_described, jax.devices()))
    assert estimate.available_gib(devices[0]) == pytest.approx(59.33, abs=0.01)
    monkeypatch.setenv(gpus.SHARE_VARIABLES[1], "0.9")
    assert estimate.available_gib(devices[0]) == pytest.approx(71.2, abs=0.01)

    mesh = jax.sharding.Mesh(devices, ("data",))
    spread, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
    product = jax.jit(jnp.dot, in_shardings=(spread, whole), out_shardings=whole)
    shapes = [jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in ((512, 256), (256, 128))]
    compiled = product.lower(*shapes).compile(gpus.compiler_options(devices[0]))
    # Triton's choice of tiles would be tried out on the device.
    text = compiled.as_text()
    assert text is not None and "__cublas$" in text
    found = hlo.cost(text)
    assert found.flops == 2 * 512 * 256 * 128 / 4
    (gathered,) = found.collectives
    assert gathered == ("all-gather", (0, 1, 2, 3))


def test_the_share_of_memory_is_the_one_that_jax_reads(monkeypatch):
    device: Any = SimpleNamespace(device_kind="NVIDIA H200")
    newer, older = gpus.SHARE_VARIABLES
    for name in gpus.SHARE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    whole = gpus.GPUS["h200"].memory
    assert gpus.memory_for_jax(device) == 0.75 * whole
    monkeypatch.setenv(older, "0.5")
    assert gpus.memory_for_jax(device) == 0.5 * whole
    monkeypatch.setenv(newer, "0.9")
    assert gpus.memory_for_jax(device) == 0.9 * whole
    monkeypatch.setenv(newer, "x")
    with pytest.raises(ValueError, match="XLA_CLIENT_MEM_FRACTION=x: wanted a share"):
        gpus.gpu_devices("h200:1")
