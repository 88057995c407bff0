"""AnimCLIP-JAX: pictures filmed into clips, CLIP trained on them, and the videos it then finds."""

import os

# Runs before JAX or TensorFlow loads: both would print a page of start-up notes into every command.
# TensorFlow's note on oneDNN obeys no log level. Without oneDNN its results also stop depending on
# the number of threads, and decoding and cropping pictures never used it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def __getattr__(name: str) -> str:
    """`__version__`: of the package that is installed, read when it is asked for."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("animclip-jax")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
