"""A training step on a CPU beside its matrix products alone, ours and PyTorch's.

    python -m benchmarks.products [--presets tiny,small] [--repeats 9] [--json FILE]

Steps are those of `benchmarks.model`: both towers, forward and backward, 8 pictures and captions.
The products are those with the layers' kernels, each forward and twice backward, on arrays of the
same shapes: no step that computes them with that library can take less. All are taken in turn.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from animclip_jax import files, process
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.presets import PRESETS
from benchmarks import model

CLIPS = 8
# What multiplies a layer's arrays: x, kernel and gradient to the product and to both gradients.
Multiply = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


def shapes(config: ClipConfig, clips: int) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of every layer's products with its kernels."""
    towers = ((config.vision, 1 + config.grid**2), (config.text, config.context_length))
    found = []
    for tower, tokens in towers:
        width, mlp = tower.width, tower.mlp_width
        kernels = ((width, width), (width, 2 * width), (width, width), (width, mlp), (mlp, width))
        found += [(clips * tokens, *kernel) for kernel in kernels] * tower.layers
    return found


def gflop(config: ClipConfig, clips: int) -> float:
    """Of all products, forward and backward."""
    return sum(6 * rows * inputs * outputs for rows, inputs, outputs in shapes(config, clips)) / 1e9


def multiply(x: Any, kernel: Any, gradient: Any) -> tuple[Any, Any, Any]:
    """The product of a layer, and the gradients of its input and of its kernel."""
    return x @ kernel, gradient @ kernel.T, x.T @ gradient


def arrays(config: ClipConfig, clips: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random x [rows, inputs], kernel [inputs, outputs] and gradient [rows, outputs], a layer's."""
    random = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32)

    return [(draw(n, i), draw(i, o), draw(n, o)) for n, i, o in shapes(config, clips)]


def all_of(multiply: Multiply, layers: Sequence[tuple[Any, Any, Any]]) -> Callable[[], Any]:
    """A function that computes every layer's products."""
    return lambda: [multiply(*layer) for layer in layers]


def measure(name: str, repeats: int) -> model.Row:
    """Seconds of the steps and of their products alone, and the ratios to PyTorch's step."""
    config = PRESETS[name]
    drawn = arrays(config, CLIPS)
    ours = all_of(jax.jit(multiply), jax.device_put(drawn))
    steps: dict[str, Callable[[], Any]] = {
        "products s, ours": lambda: jax.block_until_ready(ours())
    }
    has_torch = all(importlib.util.find_spec(module) for module in ("torch", "transformers"))
    if has_torch:
        import torch

        layers = [tuple(map(torch.from_numpy, layer)) for layer in drawn]
        steps["products s, PyTorch"] = all_of(multiply, layers)
    row = model.step_times(config, CLIPS, repeats, steps)
    row |= {"preset": name, "GFLOP": gflop(config, CLIPS)}
    if has_torch:
        peer = row["step s, PyTorch"]
        row["step, ours / PyTorch"] = row["step s, ours"] / peer
        row["our products alone / PyTorch's step"] = row["products s, ours"] / peer
    return row


def main(argv: list[str] | None = None) -> int:
    """Prints the table; writes it as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default=",".join(model.QUICK_PRESETS), help="with commas")
    parser.add_argument("--repeats", type=int, default=9, help="of each, in turn")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    options = parser.parse_args(argv)
    process.keep_freed_memory()
    rows = [measure(name, options.repeats) for name in options.presets.split(",")]
    print(model.table(rows))
    if options.json:
        files.write_json(options.json, {"presets": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
