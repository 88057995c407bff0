"""What converting a checkpoint costs: private memory and seconds, beside torch.load and a copy.

    python -m benchmarks.convert [--layers 24] [--width 1024] [--json FILE]

Makes a state dict of random float32 weights under OpenAI's names, as .safetensors, as the same in
float16 and, where PyTorch is installed, as .pt; and a SigLIP of the same towers as big_vision's
.npz. Converts each in a process of its own. Memory is the most that it had of pages that are no
file's, less what it had before: pages of the mapped file can be given up at any time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax import files
from benchmarks.private_memory import Peak

WHOLE, HALF, NPZ = "model.safetensors", "half.safetensors", "model.npz"


def make(path: Path, layers: int, width: int) -> None:
    """Writes a model with two towers of that size: of float16 where the file's name is HALF's."""
    from animclip_jax.models import parameters
    from animclip_jax.models.clip import ClipConfig
    from animclip_jax.models.towers import CLIP, SIGLIP
    from animclip_jax.models.transformer import TransformerConfig
    from animclip_jax.weights import big_vision, folder, rules

    tower = TransformerConfig(width=width, layers=layers, heads=width // 64, mlp_width=4 * width)
    siglip = path.suffix == ".npz"
    family, activation = (SIGLIP, "gelu_tanh") if siglip else (CLIP, "gelu")
    config = ClipConfig(
        224, 14, tower, tower, embed_dim=width, activation=activation, towers=family
    )
    rng = np.random.default_rng(0)
    params = {
        name: rng.standard_normal(shape, np.float32)
        for name, shape in parameters.shapes(config).items()
    }
    if siglip:
        big_vision.save(path.with_suffix(""), params, config)
        (path.with_suffix("") / big_vision.FILE).rename(path)
        return
    tensors = rules.to_theirs(params, config, rules.Layout.OPENAI)
    dtype = np.float16 if path.name == HALF else np.float32
    folder.write_tensors(path, {name: value.astype(dtype) for name, value in tensors.items()})


def convert(path: Path) -> Peak:
    """Converts into a new folder."""
    from animclip_jax.weights import folder, source

    with tempfile.TemporaryDirectory(dir=path.parent) as out, Peak() as peak:
        activation = None if path.suffix == ".npz" else "gelu"
        folder.save(Path(out) / "ours", *source.deferred(path, activation))
    return peak


def load_and_copy(path: Path) -> Peak:
    """What PyTorch does with the same file: load, and a copy of the state dict."""
    import torch

    with Peak() as peak:
        state = torch.load(path, weights_only=True)
        copied = {name: value.clone() for name, value in state.items()}
    assert len(copied) == len(state)
    return peak


def main() -> None:
    """Prints a line for each way of reading."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("make", "pt", "convert", "torch"), help="internal")
    parser.add_argument("--file", type=Path, help="internal")
    options = parser.parse_args()
    if options.only == "make":
        return make(options.file, options.layers, options.width)
    if options.only == "pt":
        import torch
        from safetensors.torch import load_file

        return torch.save(load_file(options.file), options.file.with_suffix(".pt"))
    if options.only:
        peak = (convert if options.only == "convert" else load_and_copy)(options.file)
        print(json.dumps({"private_bytes": peak.grown, "seconds": peak.seconds}))
        return None
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        tensors = Path(folder) / WHOLE
        size = ["--layers", str(options.layers), "--width", str(options.width)]

        def run(only: str, file: Path) -> str:
            command = [sys.executable, "-m", "benchmarks.convert", *size, "--only", only]
            done = subprocess.run(
                [*command, "--file", str(file)], stdout=subprocess.PIPE, check=True, text=True
            )
            return done.stdout

        ways = [("convert", tensors.with_name(name)) for name in (WHOLE, HALF, NPZ)]
        for _, file in ways:
            run("make", file)
        try:
            import torch  # noqa: F401
        except ImportError:
            print("PyTorch is not installed: no .pt, and nothing to compare with")
        else:
            run("pt", tensors)
            ways += [("convert", tensors.with_suffix(".pt")), ("torch", tensors.with_suffix(".pt"))]
        for only, file in ways:
            row = json.loads(run(only, file)) | {"what": f"{only} {file.name}"}
            row["times_its_size"] = row["private_bytes"] / file.stat().st_size
            print(
                f"{row['what']:22} {file.stat().st_size / 1e9:.2f} GB: private memory "
                f"{row['times_its_size']:.2f} times its size, {row['seconds']:.1f} s"
            )
            found.append(row)
    if options.json:
        files.write_json(options.json, found, indent=1)
    return None


if __name__ == "__main__":
    main()
