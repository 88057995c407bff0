"""What a chip can do at best, as its maker publishes it."""

from typing import NamedTuple

import jax


class Chip(NamedTuple):
    """Peaks of one device: bfloat16 FLOP/s, bytes/s of its memory and to others, one way.

    `google_name` is what an accelerator type of Google Cloud begins with, and `units` how many of
    what the type counts a chip has: "v5p-1024" are 512 chips.
    """

    flops: float
    hbm_bandwidth: float
    network: float
    google_name: str = ""
    units: int = 1


# By JAX's device_kind. TPUs: cloud.google.com/tpu/docs, the page of each version (the network is
# half of the bidirectional figure, or the older pages' Gbps / 8). GPUs: NVIDIA's data sheets, of
# dense products, SXM; NVLink one way.
CHIPS = {
    "TPU v4": Chip(275e12, 1200e9, 300e9, "v4", 2),
    "TPU v5 lite": Chip(197e12, 819e9, 200e9, "v5litepod"),
    "TPU v5": Chip(459e12, 2765e9, 600e9, "v5p", 2),
    "TPU v5p": Chip(459e12, 2765e9, 600e9, "v5p", 2),
    "TPU v6 lite": Chip(918e12, 1600e9, 400e9, "v6e"),
    "NVIDIA A100-SXM4-40GB": Chip(312e12, 1555e9, 300e9),
    "NVIDIA A100-SXM4-80GB": Chip(312e12, 2039e9, 300e9),
    "NVIDIA H100 80GB HBM3": Chip(989e12, 3350e9, 450e9),
    "NVIDIA H200": Chip(989e12, 4800e9, 450e9),
}


def chip_of(device: jax.Device) -> Chip | None:
    """The peaks of a device; None where they are not known, as of a CPU."""
    return CHIPS.get(device.device_kind)
