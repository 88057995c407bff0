"""What `animclip export` takes."""

from __future__ import annotations

import argparse

from animclip_jax.options import kinds

# Every format by what a person needs to know of it; the first is the default.
FORMATS = {
    "safetensors": "our folder, which index and convert read",
    "hf": "dual encoders for transformers' CLIPModel",
    "stablehlo": "programs for JAX alone, on CPUs, GPUs and TPUs",
    "savedmodel": "signatures for TensorFlow",
}
DESCRIPTION = """writes a trained model in a form that others read

SOURCE is the folder of a run, whose newest checkpoint is taken, or of a model, which `animclip
convert` and `animclip export --format=safetensors` write. DIR appears when what is in it has been
read again and computes what the model does.
"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    listed = "\n".join(f"  {name:<12} {what}" for name, what in FORMATS.items())
    parser = argparse.ArgumentParser(
        prog="animclip export",
        description=f"{DESCRIPTION}\nFORMAT:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = next(iter(FORMATS))
    parser.add_argument("source", type=kinds.path, help="the folder of a run or of a model")
    parser.add_argument(
        "--out", required=True, type=kinds.path, help="the folder to write, a new one"
    )
    parser.add_argument(
        "--format",
        default=default,
        choices=FORMATS,
        metavar="FORMAT",
        help=f"one of the above (default {default})",
    )
    parser.add_argument(
        "--batch_size", type=kinds.whole, help="the only one that a savedmodel takes (default any)"
    )
    options = parser.parse_args(argv)
    if options.batch_size is not None and options.format != "savedmodel":
        parser.error("--batch_size is for --format=savedmodel; leave it out")
    return options
