"""--format=stablehlo: a program a function for JAX alone, the parameters in a file beside them.

A program takes any batch size, and holds what CPUs, NVIDIA's GPUs and TPUs need.
"""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import jax.export
import numpy as np

from animclip_jax import files, manifest
from animclip_jax.exporting import functions
from animclip_jax.exporting.functions import Named
from animclip_jax.exporting.source import Source
from animclip_jax.weights import folder

KIND = "stablehlo"
SUFFIX = ".jax_export"


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
    document = manifest.check(directory, KIND)
    params = jax.device_put(folder.read_tensors(directory / folder.TENSORS))

    def call(program: jax.export.Exported, inputs: Named, given: Named) -> Named:
        found = jax.jit(program.call)(params, {name: given[name] for name in inputs})
        return {name: np.asarray(value) for name, value in found.items()}

    return {
        name: functools.partial(
            call,
            jax.export.deserialize(bytearray((directory / f"{name}{SUFFIX}").read_bytes())),
            function["inputs"],
        )
        for name, function in document["functions"].items()
    }
