"""Where arrays live: the one file that knows the mesh.

Axes: `data` splits the batch; `fsdp` splits the batch and, by size, parameters and optimizer state.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

# Smaller arrays are cheaper to keep everywhere than to gather.
MIN_SHARDED_SIZE = 2**14


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along each axis; -1 for `data` takes what the others leave."""

    data: int
    fsdp: int


def make_mesh(config: MeshConfig) -> Mesh:
    """A mesh over all devices.

    Raises:
      ValueError: the axes' product is not the number of devices.
    """
    devices = jax.device_count()
    data = devices // config.fsdp if config.data == -1 else config.data
    if data * config.fsdp != devices:
        raise ValueError(
            f"mesh data={config.data} x fsdp={config.fsdp} does not cover {devices} devices: "
            "choose sizes whose product is that number, or data=-1"
        )
    return jax.make_mesh((data, config.fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)


def state_sharding(mesh: Mesh, state: Any) -> Any:
    """A sharding for each array of parameters or optimizer state.

    Large arrays are split over `fsdp` along their largest axis that it divides. The rule sees
    shapes only, so that Adam's moments are split as their parameters are.
    """
    parts = mesh.shape["fsdp"]

    def rule(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        spec: list[str | None] = [None] * len(leaf.shape)
        axes = [i for i, size in enumerate(leaf.shape) if size % parts == 0]
        if parts > 1 and axes and np.prod(leaf.shape) >= MIN_SHARDED_SIZE:
            spec[max(axes, key=lambda i: leaf.shape[i])] = "fsdp"
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(rule, state)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Batches are split along their first axis over every device."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def put_batch(mesh: Mesh, batch: Any) -> Any:
    """This process's part of a batch (NumPy arrays) -> global arrays."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)
