"""GPUs that are not here, described well enough for XLA to compile for them on a CPU."""

import importlib.util
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from animclip_jax import words

# What choosing a kernel by running it would need is left alone; products go to cuBLAS, whose
# choice changes neither memory nor FLOPs.
WITHOUT_RUNNING = {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}
# The share of its memory that JAX takes of a GPU, and the variables that say otherwise, the newer
# first, as JAX reads them.
MEMORY_SHARE = 0.75
SHARE_VARIABLES = "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"
MOST = 8  # of one machine, all joined by NVLink
PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")


class Gpu(NamedTuple):
    """`kind` is JAX's device_kind; sizes are in bytes, of a multiprocessor where not of the GPU."""

    kind: str
    capability: int
    multiprocessors: int
    lanes: int  # float32 units
    shared_memory: int
    block_shared_memory: int
    cache: int  # of the GPU, level two
    ghz: float
    bandwidth: int  # of the GPU's memory, a second
    memory: int  # of the GPU


# As NVIDIA's cudaGetDeviceProperties and data sheets have them, SXM.
GPUS = {
    "a100": Gpu(
        "NVIDIA A100-SXM4-80GB", 8, 108, 64, 167_936, 166_912, 40 << 20, 1.41, 2_039_040_000_000,
        85_100_068_864,
    ),
    "h100": Gpu(
        "NVIDIA H100 80GB HBM3", 9, 132, 128, 233_472, 232_448, 50 << 20, 1.98, 3_352_320_000_000,
        84_942_979_072,
    ),
    "h200": Gpu(
        "NVIDIA H200", 9, 132, 128, 233_472, 232_448, 50 << 20, 1.98, 4_800_000_000_000,
        151_397_597_184,
    ),
}  # fmt: skip


def gpu_devices(topology: str) -> Sequence[jax.Device]:
    """The GPUs of a machine that nobody holds, such as "h100:8".

    Raises:
      ValueError: there is no compiler for GPUs here, or nothing is known of such a machine.
    """
    name, _, count = topology.partition(":")
    if name not in GPUS or not count.isdecimal() or not 1 <= int(count) <= MOST:
        raise ValueError(
            f"--topology={topology}: wanted a TPU slice, such as v5e:16x16, or one of "
            f"{', '.join(GPUS)}, a colon, and how many of them, 1 to {MOST}"
        )
    _memory_share()  # What is wrong is said before anything is compiled.
    if not has_compiler():
        raise ValueError(
            f"--topology={topology}: the compiler for GPUs is not installed: "
            f"{words.installs('gpu')}"
        )
    from jax.experimental import topologies

    # Slices, machines of each, GPUs of each.
    shape = f"1x1x{count}"
    try:
        described = topologies.get_topology_desc(
            platform="cuda", target_config=_description(GPUS[name]), topology=shape
        )
    except (jax.errors.JaxRuntimeError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ValueError(f"--topology={topology}: {str(error).splitlines()[0]}") from error
    return described.devices


def has_compiler() -> bool:
    """Whether XLA's compiler for GPUs is installed."""
    return any(map(importlib.util.find_spec, PLUGINS))


def is_described(device: jax.Device) -> bool:
    """Whether it is one of `gpu_devices`."""
    return device.platform in ("cuda", "gpu") and device not in jax.devices()


def compiler_options(device: jax.Device) -> dict[str, Any]:
    """What `lowered.compile` is to be told of a program for that device."""
    return WITHOUT_RUNNING if is_described(device) else {}


def memory_for_jax(device: jax.Device) -> float:
    """Bytes that JAX would take of a described GPU; raises ValueError as `_memory_share`."""
    (memory,) = (gpu.memory for gpu in GPUS.values() if gpu.kind == device.device_kind)
    return memory * _memory_share()


def _memory_share() -> float:
    """Raises ValueError where a variable of JAX's is no share."""
    for name in SHARE_VARIABLES:
        if text := os.environ.get(name):
            try:
                return float(text)
            except ValueError:
                raise ValueError(f"{name}={text}: wanted a share such as 0.75") from None
    return MEMORY_SHARE


def _description(gpu: Gpu) -> str:
    """XLA's GpuTargetConfigProto (xla/stream_executor/device_description.proto), as text."""
    return f"""
        gpu_device_info {{
          cuda_compute_capability {{ major: {gpu.capability} minor: 0 }}
          core_count: {gpu.multiprocessors}
          fpus_per_core: {gpu.lanes}
          shared_memory_per_core: {gpu.shared_memory}
          shared_memory_per_block: 49152
          shared_memory_per_block_optin: {gpu.block_shared_memory}
          l2_cache_size: {gpu.cache}
          clock_rate_ghz: {gpu.ghz}
          memory_bandwidth: {gpu.bandwidth}
          device_memory_size: {gpu.memory}
          threads_per_warp: 32
          threads_per_block_limit: 1024
          threads_per_core_limit: 2048
          registers_per_core_limit: 65536
          registers_per_block_limit: 65536
          block_dim_limit_x: 2147483647
          block_dim_limit_y: 65535
          block_dim_limit_z: 65535
        }}
        platform_name: "CUDA"
        dnn_version_info {{ major: 9 minor: 8 }}
        device_description_str: "{gpu.kind}"
    """
