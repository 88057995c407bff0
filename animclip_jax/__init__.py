"""AnimCLIP-JAX: pictures filmed into clips, CLIP trained on them, and the videos it then finds."""

import os
from pathlib import Path

# Runs before JAX or TensorFlow loads: both would print a page of start-up notes into every command.
# TensorFlow's note on oneDNN obeys no log level. Without oneDNN its results also stop depending on
# the number of threads, and decoding and cropping pictures never used it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# Before libtpu loads: it asks no metadata server what machine this is, and lets a second one load.
FOR_LIBTPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


def has_tpu(devices: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Whether a device of Google's is in this machine, by what Linux lists."""
    return any(path.read_text().strip() == "0x1ae0" for path in devices.glob("*/vendor"))


if not has_tpu():
    # Else libtpu, where it is installed, looks for a TPU and prints that it finds none.
    for _name, _value in FOR_LIBTPU.items():
        os.environ.setdefault(_name, _value)


def __getattr__(name: str) -> str:
    """`__version__`: of the package that is installed, read when it is asked for."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("animclip-jax")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
