"""--format=onnx: the dual encoders as two ONNX files, through jax2onnx.

They take any number of captions or videos. Captions have the context length: jax2onnx can't follow
a slice of unknown length. jax2onnx requires an older Orbax than ours may be, so it is an extra, and
imported inside of functions alone.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

from animclip_jax.exporting.functions import (
    Function,
    Loaded,
    Named,
    make,
    require_tokens,
    without_paths,
)
from animclip_jax.exporting.source import Source
from animclip_jax.weights import manifest

KIND = "onnx"
SUFFIX = ".onnx"
# Of onnxruntime: errors alone. It warns of constants in a loop that nothing reads.
_ERRORS = 3


def write(directory: Path, source: Source) -> None:
    """Writes a file a function; tensors over 1 MB are in `NAME.onnx.data` beside it.

    Args:
      source: of `dual_encoders`.

    Raises:
      ValueError: the packages are missing, or can't; says what installs them.
    """
    jax2onnx, _ = _import()
    # It says of shapes inside a loop that their type is not known; onnxruntime finds it out.
    logging.getLogger("onnx_ir.serde").setLevel(logging.ERROR)
    with without_paths():
        for name, function in make(source.config, source.num_frames, any_length=False).items():
            jax2onnx.to_onnx(
                functools.partial(_call, function, source.params),
                list(function.inputs.values()),
                model_name=name,
                return_mode="file",
                output_path=str(directory / f"{name}{SUFFIX}"),
                input_names=list(function.inputs),
                output_names=list(function.outputs),
            )


def load(directory: Path) -> Loaded:
    """The functions, computed by onnxruntime on CPUs.

    Raises:
      FileNotFoundError, ValueError: a file is missing, has changed or can't be read; names it.
    """
    document = manifest.check(directory, KIND, ("functions", "tokens", "tokens.shape"))
    _, onnxruntime = _import()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS

    def call(session: Any, name: str, given: Named) -> Named:
        inputs = document["functions"][name]["inputs"]
        if "tokens" in inputs:
            require_tokens(given["tokens"], document, name)
        outputs = [output.name for output in session.get_outputs()]
        found = session.run(outputs, {key: given[key] for key in inputs})
        return dict(zip(outputs, found, strict=True))

    sessions = {
        name: onnxruntime.InferenceSession(
            str(directory / f"{name}{SUFFIX}"), options, providers=["CPUExecutionProvider"]
        )
        for name in document["functions"]
    }
    return {name: functools.partial(call, session, name) for name, session in sessions.items()}


def _call(function: Function, parameters: Named, *given: Any) -> tuple[Any, ...]:
    """Outputs in their order, of inputs in theirs."""
    return tuple(function.call(parameters, dict(zip(function.inputs, given, strict=True))).values())


def _import() -> tuple[Any, Any]:
    try:
        import jax2onnx
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            f"--format={KIND} needs jax2onnx and onnxruntime: {error}. They ask for an older "
            "Orbax, so install them in a new environment, in a clone of AnimCLIP-JAX: "
            f"pip install '.[{KIND}]'"
        ) from error
    return jax2onnx, onnxruntime
