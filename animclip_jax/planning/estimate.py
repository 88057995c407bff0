"""A configuration on a set of devices -> does it fit, what does a step cost, what limits it."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, SingleDeviceSharding

from animclip_jax import sharding
from animclip_jax.planning import gpus, hlo, program
from animclip_jax.training.chips import chip_of
from animclip_jax.training.config import TrainingConfig

GIB = 2**30
# The TPU compiler's words when a program does not fit, and when its temporaries alone do not.
TOO_LARGE = re.compile(
    r"(?:Used |memory required .*\()([\d.]+)([KMGT]?)"
    r"(?: of |\) exceeds available HBM \()([\d.]+)([KMGT]?)"
)

# Says what begins, and that it has ended.
Phase = Callable[[str], contextlib.AbstractContextManager[None]]


def silent(doing: str) -> contextlib.AbstractContextManager[None]:
    """A phase that says nothing."""
    return contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What one kind of collective sends over some axes of the mesh, a step and chip."""

    kind: str
    axes: str
    devices: int
    count: int
    gib: float

    @property
    def sent_gib(self) -> float:
        """What leaves a chip when the ring or torus is used at its best."""
        rounds = {"all-reduce": 2.0, "collective-permute": self.devices / max(1, self.devices - 1)}
        return self.gib * rounds.get(self.kind, 1.0) * (self.devices - 1) / self.devices


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything is for one chip and one step. None is what is not known.

    fits: what the compiler accepted is compared with the device's memory, too.
    hbm_gib_by_kind: None where the program does not fit: the compiler then says the total alone.
    flops: of matrix products, 2 a multiply-add; highest_flops: those of them in float32 at HIGHEST
      precision, which a TPU passes over six times. hbm_traffic_gib: read and written.
    seconds: at best, by what limits: "compute", "hbm", "network"; "step" is the largest of them.
    """

    fits: bool | None
    chips: int
    device_kind: str
    hbm_gib_per_chip: float
    hbm_gib_available: float | None
    compile_seconds: float
    hbm_gib_by_kind: dict[str, float] | None = None
    flops: float | None = None
    highest_flops: float | None = None
    hbm_traffic_gib: float | None = None
    collectives: list[Traffic] | None = None
    seconds: dict[str, float] | None = None
    unknown_loops: int = 0


def plan(
    config: TrainingConfig,
    devices: Sequence[jax.Device],
    phase: Phase = silent,
) -> Plan:
    """Compiles the train step for the devices and reads what it costs.

    Args:
      phase: entered for each part of the work that takes seconds or minutes.

    Raises:
      ValueError: the mesh does not cover the devices, or the batch does not divide by them.
    """
    mesh = sharding.make_mesh(config.mesh, devices)
    sharding.require_rows(mesh, config.batches.batch_size)
    kind, began = devices[0].device_kind, time.perf_counter()
    with phase("tracing the train step"):
        lowered, state = program.lower(config, mesh)
    try:
        with phase("compiling it"):
            compiled = lowered.compile(gpus.compiler_options(devices[0]))
    except jax.errors.JaxRuntimeError as error:
        if (said := TOO_LARGE.search(str(error))) is None:
            raise
        used, most = gibibytes(said[1], said[2]), gibibytes(said[3], said[4])
        return Plan(False, len(devices), kind, used, most, time.perf_counter() - began)
    took = time.perf_counter() - began
    parts = _memory_by_kind(mesh, state, compiled.memory_analysis())
    total, available = sum(parts.values()), available_gib(devices[0])
    with phase("reading its costs"):
        cost = hlo.cost(compiled.as_text() or "")
    collectives = sorted(_traffic(mesh, cost), key=lambda one: -one.gib)
    return Plan(
        fits=None if available is None else total <= available,
        chips=len(devices),
        device_kind=kind,
        hbm_gib_per_chip=total,
        hbm_gib_available=available,
        compile_seconds=took,
        hbm_gib_by_kind=parts,
        flops=cost.flops,
        highest_flops=(cost.passes - cost.flops) / (hlo.HIGHEST_PASSES - 1),
        hbm_traffic_gib=cost.bytes / GIB,
        collectives=collectives,
        seconds=seconds_at_best(devices[0], cost, collectives),
        unknown_loops=cost.unknown_loops,
    )


def available_gib(device: jax.Device) -> float | None:
    """What a program may use: the TPU compiler's word, or what a GPU reports or is known for."""
    if device.platform == "tpu":
        huge = jax.ShapeDtypeStruct((2**40,), jnp.int8, sharding=SingleDeviceSharding(device))
        try:
            jax.jit(lambda x: x + 1).lower(huge).compile()
        except jax.errors.JaxRuntimeError as error:
            if said := TOO_LARGE.search(str(error)):
                return gibibytes(said[3], said[4])
        return None
    if gpus.is_described(device):
        return gpus.memory_for_jax(device) / GIB
    stats = device.memory_stats()
    return stats["bytes_limit"] / GIB if stats and "bytes_limit" in stats else None


def gibibytes(number: str, unit: str) -> float:
    return float(number) * 1024.0 ** (" KMGT".index(unit or " ") - 3)


def _memory_by_kind(mesh: Mesh, state: Any, memory: Any) -> dict[str, float]:
    places = sharding.state_sharding(mesh, state)

    def held(shapes: Any, places: Any) -> int:
        sizes = jax.tree.map(
            lambda leaf, place: int(np.prod(place.shard_shape(leaf.shape))) * leaf.dtype.itemsize,
            shapes,
            places,
        )
        return sum(jax.tree.leaves(sizes))

    params = held((state.params, state.average), (places.params, places.average))
    optimizer = held(state.opt_state, places.opt_state)
    parts = {
        "parameters": params,
        "optimizer": optimizer,
        "batch": memory.argument_size_in_bytes - params - optimizer,
        "activations": memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes,
        "code": memory.generated_code_size_in_bytes,
    }
    return {name: size / GIB for name, size in parts.items()}


def _traffic(mesh: Mesh, cost: hlo.Cost) -> list[Traffic]:
    found: dict[tuple[str, str, int], list[float]] = {}
    for one, size in cost.collectives.items():
        group = one.group or tuple(range(mesh.devices.size))  # none named: all of them
        if len(group) == 1:  # with itself
            continue
        row = found.setdefault((one.kind, axes_of(mesh, group), len(group)), [0, 0])
        row[0] += cost.calls[one]
        row[1] += size
    return [Traffic(*key, int(count), size / GIB) for key, (count, size) in found.items()]


def axes_of(mesh: Mesh, group: tuple[int, ...]) -> str:
    """The axes along which the members of a group of devices differ, such as "data x fsdp"."""
    places = np.unravel_index(np.array(group, int), mesh.devices.shape)
    differ = [name for name, at in zip(mesh.axis_names, places, strict=True) if len(set(at)) > 1]
    return " x ".join(map(str, differ)) or "?"


def seconds_at_best(
    device: jax.Device, cost: hlo.Cost, collectives: Sequence[Traffic]
) -> dict[str, float] | None:
    if (chip := chip_of(device)) is None:
        return None
    seconds = {
        "compute": (cost.passes if device.platform == "tpu" else cost.flops) / chip.flops,
        "hbm": cost.bytes / chip.hbm_bandwidth,
        "network": sum(one.sent_gib for one in collectives) * GIB / chip.network,
    }
    return seconds | {"step": max(seconds.values())}
