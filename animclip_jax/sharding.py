"""Where arrays live: the one file that knows the mesh.

Axes: `data` splits the batch; `fsdp` splits the batch and, by size, parameters and optimizer state;
`tensor` splits the towers' attention heads and MLP widths, and leaves the batch whole.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from animclip_jax.models.attention_kernels import Kernel
from animclip_jax.models.transformer import SCANNED
from animclip_jax.words import count, require_at_least

AXES = ("data", "fsdp", "tensor")
BATCH = ("data", "fsdp")
# Smaller arrays are cheaper to keep everywhere than to gather.
MIN_SHARDED_SIZE = 2**14
# Which axis of a parameter `tensor` splits, by the end of its path and counted from the last axis,
# because scanned layers are stacked along a first one: heads of attention, hidden width of MLPs.
TENSOR_AXES: dict[tuple[str, ...], int] = {
    ("query", "kernel"): -2,
    ("query", "bias"): -2,
    ("key_value", "kernel"): -2,
    ("key_value", "bias"): -2,
    ("out", "kernel"): -3,
    ("up", "kernel"): -1,
    ("up", "bias"): -1,
    ("down", "kernel"): -2,
    # Of LoRA's two matrices, the one that has the axis.
    ("query", "kernel", "b"): -2,
    ("key_value", "kernel", "b"): -2,
    ("out", "kernel", "a"): -3,
    ("up", "kernel", "b"): -1,
    ("down", "kernel", "a"): -2,
}


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along each axis; -1 for `data` takes what the others leave.

    Raises ValueError: `fsdp` or `tensor` is below 1.
    """

    data: int
    fsdp: int
    tensor: int = 1

    def __post_init__(self) -> None:
        require_at_least(1, {"mesh.fsdp": self.fsdp, "mesh.tensor": self.tensor})


def make_mesh(config: MeshConfig, chosen: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh over all devices, or over those chosen.

    Raises:
      ValueError: the axes' product is not the number of devices.
    """
    devices = jax.device_count() if chosen is None else len(chosen)
    data = devices // (config.fsdp * config.tensor) if config.data == -1 else config.data
    sizes = (data, config.fsdp, config.tensor)
    if min(sizes) < 1 or math.prod(sizes) != devices:
        raise ValueError(
            f"mesh data={config.data} x fsdp={config.fsdp} x tensor={config.tensor} does not cover "
            f"{count(devices, 'device')}: choose sizes whose product is that number, or data=-1"
        )
    return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=chosen)


def state_sharding(mesh: Mesh, state: Any) -> Any:
    """A sharding for each array of parameters or optimizer state.

    TENSOR_AXES says what `tensor` splits, where it divides it. Large arrays are also split over
    `fsdp`, along the largest axis left that it divides; not along that of scanned layers, whose
    parts are wanted one after the other, nor along the rows of a table, which are looked up. The
    rule sees shapes and the ends of paths, which Adam's moments share with their parameters.
    """

    def rule(path: tuple, leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        return NamedSharding(mesh, _partition(mesh, _names(path), leaf.shape))

    return jax.tree_util.tree_map_with_path(rule, state)


def gather(mesh: Mesh, params: Any) -> Any:
    """Parameters whole over `fsdp`, as a layer needs them; what `tensor` splits stays split.

    Said of them before each use, or the compiler splits the layer's width over `fsdp` instead, and
    sends patch tokens in place of parameters.
    """

    def whole(path: tuple, leaf: jax.Array) -> jax.Array:
        spec = _partition(mesh, _names(path), leaf.shape)
        kept = PartitionSpec(*(axis if axis == "tensor" else None for axis in spec))
        return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, kept))

    return jax.tree_util.tree_map_with_path(whole, params)


def gather_unscanned(mesh: Mesh, params: dict) -> dict:
    """`gather` of the parameters outside of scanned layers."""
    return {
        name: below
        if name == SCANNED
        else gather_unscanned(mesh, below)
        if isinstance(below, dict)
        else gather(mesh, {name: below})[name]
        for name, below in params.items()
    }


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Batches are split along their first axis over `data` and `fsdp`."""
    return NamedSharding(mesh, PartitionSpec(BATCH))


def on_each(mesh: Mesh, function: Callable[[Any], Any], batch: Any, check_vma: bool = True) -> Any:
    """Inside a jitted function: `function` of each device's rows of a batch, [B, ...] -> [B, ...].

    Nothing crosses, and loops and branches inside go as often as a device's own rows want.
    check_vma: see `jax.shard_map`; not for a Pallas kernel, which does not say what varies.
    """
    spread = PartitionSpec(BATCH)
    each = jax.shard_map(
        function, mesh=mesh, in_specs=(spread,), out_specs=spread, check_vma=check_vma
    )
    return each(batch)


def attention_kernel(mesh: Mesh, interpret: bool = False) -> Kernel | None:
    """Our kernel, spread over the mesh; None without TPUs, or where `tensor` splits heads.

    interpret: see `attention_kernels.attend`.
    """
    has_it = interpret or platform(mesh) == "tpu"
    if not has_it or mesh.shape["tensor"] > 1:
        return None
    devices = mesh.shape["data"] * mesh.shape["fsdp"]
    return Kernel(functools.partial(on_each, mesh, check_vma=False), devices, interpret)


def platform(mesh: Mesh) -> str:
    """Of its devices: "cpu", "gpu" or "tpu"."""
    found: str = mesh.devices.flat[0].platform
    return "gpu" if found == "cuda" else found


def take_rows(mesh: Mesh, arrays: Any, rows: jax.Array) -> Any:
    """Inside a jitted function: rows int [P] of arrays [B, ...], both split like batches: [P, ...].

    Each device gathers the arrays and takes its rows. Left to itself the compiler computes all rows
    on every device, or, told where they belong, collects the gradients of all of them on every
    device; here each adds up those of its own rows, and the sums are what is reduced.
    """

    def take(x: jax.Array, rows: jax.Array) -> jax.Array:
        return jax.lax.all_gather(x, BATCH, tiled=True)[rows]

    spread = PartitionSpec(BATCH)
    on_each = jax.shard_map(take, mesh=mesh, in_specs=(spread, spread), out_specs=spread)
    return jax.tree.map(lambda x: on_each(x, rows), arrays)


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def process_part(mesh: Mesh) -> tuple[int, int]:
    """Which part of each batch this process feeds, and of how many equal parts.

    Processes that `tensor` spans hold the same rows, and feed the same part.
    """
    rows: dict[int, set[int]] = {}
    for (data, fsdp, _), device in np.ndenumerate(mesh.devices):
        rows.setdefault(device.process_index, set()).add(data * mesh.shape["fsdp"] + fsdp)
    parts = sorted({tuple(sorted(part)) for part in rows.values()})
    return parts.index(tuple(sorted(rows[jax.process_index()]))), len(parts)


def put_batch(mesh: Mesh, batch: Any) -> Any:
    """This process's part of a batch (NumPy arrays) -> global arrays."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def require_rows(mesh: Mesh, rows: int) -> None:
    """Raises ValueError where a batch of so many rows can't be split evenly over the devices."""
    devices = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % devices:
        raise ValueError(
            f"batch_size {rows}: wanted a multiple of the {count(devices, 'device')} it is split "
            f"over, such as {math.ceil(rows / devices) * devices}"
        )


def require_parts(mesh: Mesh, rows: int, size: int) -> None:
    """Raises ValueError where so many rows can't be split into parts of `size` over the devices."""
    devices = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % size or size % devices:
        raise ValueError(
            f"microbatch {size}: wanted a part of the batch, {rows}, that is a multiple of the "
            f"{count(devices, 'device')} it is split over"
        )


def split(mesh: Mesh, batch: Any, size: int) -> Any:
    """Arrays [B, ...] -> [B / size, size, ...], each part spread over the devices like a batch.

    A part takes rows of every device, one in B / size, so that none crosses.

    Raises:
      ValueError: the sizes don't divide each other.
    """
    rows = len(jax.tree.leaves(batch)[0])
    require_parts(mesh, rows, size)
    place = NamedSharding(mesh, PartitionSpec(None, BATCH))

    def parts(x: jax.Array) -> jax.Array:
        x = x.reshape(size, rows // size, *x.shape[1:]).swapaxes(0, 1)
        return jax.lax.with_sharding_constraint(x, place)

    return jax.tree.map(parts, batch)


def join(mesh: Mesh, parts: Any) -> Any:
    """What `split` took apart: [P, N, ...] -> [P x N, ...], rows in their first order."""

    def whole(x: jax.Array) -> jax.Array:
        x = x.swapaxes(0, 1).reshape(x.shape[0] * x.shape[1], *x.shape[2:])
        return jax.lax.with_sharding_constraint(x, batch_sharding(mesh))

    return jax.tree.map(whole, parts)


def local(mesh: Mesh, params: dict) -> tuple[Mesh, dict]:
    """A mesh of this process's devices alone, with whole parameters between them.

    Parameters that are split over `fsdp` or `tensor` are then split over these devices by `fsdp`;
    others are not moved. All processes call this together; with one, nothing changes.
    """
    processes = jax.process_count()
    if processes == 1:
        return mesh, params
    devices = sorted(mesh.devices.flat, key=lambda device: (device.process_index, device.id))
    here = len(devices) // processes
    is_split = mesh.shape["fsdp"] * mesh.shape["tensor"] > 1
    data, fsdp = (1, here) if is_split else (here, 1)
    everywhere = _mesh(devices, (processes * data, fsdp, 1))
    own = _mesh([d for d in devices if d.process_index == jax.process_index()], (data, fsdp, 1))
    moved = jax.device_put(params, state_sharding(everywhere, params))

    def of_this_process(x: jax.Array, place: NamedSharding) -> jax.Array:
        parts = [shard.data for shard in x.addressable_shards]
        return jax.make_array_from_single_device_arrays(x.shape, place, parts)

    return own, jax.tree.map(of_this_process, moved, state_sharding(own, params))


def _mesh(devices: Sequence[jax.Device], sizes: tuple[int, int, int]) -> Mesh:
    return Mesh(np.reshape(np.array(devices), sizes), AXES, axis_types=(AxisType.Auto,) * len(AXES))


def from_all_processes(rows: np.ndarray) -> np.ndarray:
    """Arrays of one shape, [R, ...] in each of P processes, to all of them: [P x R, ...].

    They pass between the first devices of the processes. All processes call this together.
    """
    first = {device.process_index: device for device in reversed(jax.devices())}
    devices = np.array([first[number] for number in sorted(first)])
    mesh = Mesh(devices, ("process",), axis_types=(AxisType.Auto,))
    given = jax.make_array_from_process_local_data(
        NamedSharding(mesh, PartitionSpec("process")), rows
    )
    return np.asarray(_to_all(replicated(mesh))(given).addressable_data(0))


@functools.lru_cache
def _to_all(whole: NamedSharding) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda x: x, out_shardings=whole)


def table(state: Any) -> str:
    """What is split how, and the bytes that a device holds: a line for each way of splitting.

    Args:
      state: arrays, or ShapeDtypeStructs with shardings.
    """
    rows: dict[str, list[int]] = {}
    for leaf in jax.tree.leaves(state):
        row = rows.setdefault(" x ".join(filter(None, leaf.sharding.spec)) or "whole", [0, 0, 0])
        held = math.prod(leaf.sharding.shard_shape(leaf.shape))
        for column, amount in enumerate((1, leaf.size, held)):
            row[column] += amount * (leaf.dtype.itemsize if column else 1)
    lines = [f"{'parameters and optimizer':<24} {'arrays':>8} {'MB':>10} {'MB a device':>12}"]
    total = [sum(column) for column in zip(*rows.values(), strict=True)]
    for name, (arrays, size, held) in [*sorted(rows.items()), ("all", total)]:
        lines.append(f"{name:<24} {arrays:>8} {size / 1e6:>10.2f} {held / 1e6:>12.2f}")
    return "\n".join(lines)


def _partition(mesh: Mesh, names: list[str], shape: tuple[int, ...]) -> PartitionSpec:
    spec: list[str | None] = [None] * len(shape)
    fsdp, tensor = mesh.shape["fsdp"], mesh.shape["tensor"]
    ends = (tuple(names[-count:]) for count in (2, 3))
    split = next((TENSOR_AXES[end] for end in ends if end in TENSOR_AXES), None)
    # A layer of the same name that has no heads is whole.
    has_axis = split is not None and len(shape) >= -split
    if split is not None and has_axis and tensor > 1 and shape[split] % tensor == 0:
        spec[split] = "tensor"
    first = 1 if SCANNED in names else 0
    last = len(shape) - 1 if names[-1:] == ["embedding"] else 0
    free = [
        axis
        for axis in range(max(first, last), len(shape))
        if spec[axis] is None and shape[axis] % fsdp == 0
    ]
    if fsdp > 1 and free and math.prod(shape) >= MIN_SHARDED_SIZE:
        spec[max(free, key=lambda axis: shape[axis])] = "fsdp"
    return PartitionSpec(*spec)


def _names(path: tuple) -> list[str]:
    """The dictionary keys of a path in a tree."""
    return [key.key for key in path if isinstance(key, jax.tree_util.DictKey)]
