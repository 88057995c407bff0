"""--format=stablehlo: a program a function for JAX alone, the parameters in a file beside them.

A program takes any batch size, and holds what CPUs, NVIDIA's GPUs and TPUs need.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from animclip_jax import files
from animclip_jax.exporting import functions
from animclip_jax.exporting.functions import Named
from animclip_jax.exporting.source import Source
from animclip_jax.weights import folder, manifest, safetensors_file

KIND = "stablehlo"
SUFFIX = ".jax_export"
# In a manifest: the packages that are needed to run the programs, and from which version on.
OLDEST = "oldest_reader"
# Measured: what JAX 0.12 writes for any batch size runs in 0.11.2, not in 0.10.2, whose StableHLO
# has no such check of sizes. What 0.10.2 writes runs in all three.
_CHANGED, _FIRST_READER = (0, 11), "0.11.2"


def needs() -> dict[str, dict[str, str]]:
    """What a manifest says of who can run programs that this JAX writes."""
    written_by = jax.__version_info__
    first = _FIRST_READER if written_by >= _numbers(_FIRST_READER) else jax.__version__
    return {OLDEST: {"jax": first if written_by >= _CHANGED else "0.10.2"}}


def require_reader(document: dict[str, Any], directory: Path) -> None:
    """Raises ValueError where this JAX can't run the programs of a manifest."""
    oldest = document.get(OLDEST, {}).get("jax", "0")
    if jax.__version_info__ < _numbers(oldest):
        raise ValueError(
            f"{directory}: its programs need JAX {oldest} or later, this is {jax.__version__} "
            f"(they were written by {document['packages'].get('jax')}): install a later JAX, or "
            "export the model again with this one"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])


def write(directory: Path, source: Source) -> None:
    """Writes the programs, and the configuration and the parameters as our folder has them."""
    folder.write(directory, source.params, source.config)
    with functions.without_paths():
        for name, function in functions.make(source.config, source.num_frames).items():
            program = jax.export.export(jax.jit(function.call), platforms=functions.PLATFORMS)
            found = program(function.parameters, function.inputs)
            files.write_bytes(directory / f"{name}{SUFFIX}", found.serialize())


def load(directory: Path) -> functions.Loaded:
    """The functions.

    Raises:
      FileNotFoundError, ValueError: a file is missing, has changed or can't be read; names it.
    """
    document = manifest.check(directory, KIND, ("functions", "tokens", "tokens.shape"))
    require_reader(document, directory)
    params = jax.device_put(safetensors_file.read(directory / folder.TENSORS))

    def call(program: jax.export.Exported, name: str, given: Named) -> Named:
        inputs = document["functions"][name]["inputs"]
        if "tokens" in inputs:
            functions.require_tokens(given["tokens"], document, name)
        found = jax.jit(program.call)(params, {name: given[name] for name in inputs})
        return {name: np.asarray(value) for name, value in found.items()}

    return {
        name: functools.partial(
            call,
            jax.export.deserialize(bytearray((directory / f"{name}{SUFFIX}").read_bytes())),
            name,
        )
        for name in document["functions"]
    }
