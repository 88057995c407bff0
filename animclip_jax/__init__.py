"""AnimCLIP-JAX: pictures filmed into clips, CLIP trained on them, and the videos it then finds."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animclip_jax.api import Model, animate, load
    from animclip_jax.video_index.open import open_index

    __version__: str

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


# What Python programs call, and the module that holds it, imported when it is asked for: JAX takes
# seconds.
_API = {
    "load": "animclip_jax.api",
    "Model": "animclip_jax.api",
    "animate": "animclip_jax.api",
    "open_index": "animclip_jax.video_index.open",
}
__all__ = ["Model", "__version__", "animate", "load", "open_index"]


def __getattr__(name: str) -> Any:
    """The names of `_API`, and `__version__`, that of the installed package."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("animclip-jax")
    if name in _API:
        return getattr(importlib.import_module(_API[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
