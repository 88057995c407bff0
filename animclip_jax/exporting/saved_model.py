"""--format=savedmodel: the functions as signatures of a TensorFlow SavedModel, through jax2tf.

The one file of the library that imports TensorFlow outside of input_pipeline, and inside its
functions alone: not every JAX has jax2tf, nor every machine TensorFlow.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from animclip_jax import files
from animclip_jax.api import whole_config
from animclip_jax.exporting.functions import (
    PLATFORMS,
    Loaded,
    Named,
    make,
    require_tokens,
    without_paths,
)
from animclip_jax.exporting.source import Source
from animclip_jax.weights import manifest

KIND = "savedmodel"


def write(directory: Path, source: Source, batch_size: int | None) -> None:
    """Writes the SavedModel, its parameters as variables.

    Args:
      batch_size: the only one that it takes; None for any.

    Raises:
      ValueError: the packages here can't; says what they lack.
    """
    tf, jax2tf = _import()
    clip = whole_config(source.config).clip
    module = tf.Module()
    module.parameters = {name: tf.Variable(value) for name, value in source.params.items()}
    signatures = {}
    with without_paths():
        for name, function in make(source.config, source.num_frames, batch_size).items():
            shapes = {key: str(struct.shape) for key, struct in function.inputs.items()}
            length = [f"length <= {clip.context_length}"] if "length" in str(shapes) else []
            converted = jax2tf.convert(
                function.call,
                polymorphic_shapes=[None, shapes],
                polymorphic_constraints=length,
                native_serialization_platforms=PLATFORMS,
                with_gradient=False,
            )
            signatures[name] = tf.function(
                functools.partial(_call, converted, module.parameters), autograph=False
            ).get_concrete_function(**_specs(tf, function.inputs))
        with files.writing(directory, tf.errors.OpError):
            tf.saved_model.save(module, str(directory), signatures=signatures)


def load(directory: Path) -> Loaded:
    """The functions.

    Raises:
      FileNotFoundError, ValueError: a file is missing, has changed or can't be read; names it.
    """
    document = manifest.check(directory, KIND, ("functions", "tokens", "tokens.shape"))
    tf, _ = _import()
    return {
        name: functools.partial(_run, signature, document, name)
        for name, signature in tf.saved_model.load(str(directory)).signatures.items()
    }


def _call(converted: Any, parameters: Named, **given: Any) -> Named:
    return converted(parameters, given)


def _run(signature: Any, document: dict[str, Any], name: str, given: Named) -> Named:
    tf, _ = _import()
    _, inputs = signature.structured_input_signature
    if "tokens" in inputs:
        require_tokens(given["tokens"], document, name)
    try:
        found = signature(**{name: given[name] for name in inputs})
    except tf.errors.OpError as error:
        # Checks of sizes that are not fixed are what an older TensorFlow can't read.
        reason = " ".join(error.message.split())[:400]
        raise ValueError(
            f"TensorFlow {tf.__version__} can't run what JAX {jax.__version__} wrote; with one "
            f"batch size it may, --batch-size=8: {reason}"
        ) from error
    return {name: np.asarray(value) for name, value in found.items()}


def _specs(tf: Any, inputs: Named) -> Named:
    return {
        name: tf.TensorSpec(
            [size if isinstance(size, int) else None for size in struct.shape], struct.dtype, name
        )
        for name, struct in inputs.items()
    }


def _import() -> tuple[Any, Any]:
    try:
        from jax.experimental import jax2tf

        from input_pipeline.tensorflow_on_cpu import tf
    except ImportError as error:
        raise ValueError(
            f"--format={KIND} needs TensorFlow, and a JAX that has jax2tf (this is "
            f"{jax.__version__}): {error}; --format=stablehlo needs neither"
        ) from error
    return tf, jax2tf
