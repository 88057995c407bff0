"""AnimCLIP-JAX: pictures filmed into clips, CLIP trained on them, and the videos it then finds."""

import importlib

# Before TensorFlow, which brings an SQLite without full-text search that would take its place.
import sqlite3  # noqa: F401
from typing import TYPE_CHECKING, Any

from animclip_jax import process

if TYPE_CHECKING:
    from animclip_jax.api import Model, animate, load
    from animclip_jax.video_index.open import open_index

    __version__: str

process.quieten()

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
