"""What `animclip export` takes."""

from __future__ import annotations

import argparse
import re

from animclip_jax.cli.parser import Parser
from animclip_jax.options import kinds

# Every format by what a person needs to know of it; the first is the default.
FORMATS = {
    "safetensors": "our own folder, which animclip index and convert read",
    "hf": "the dual encoders, for transformers' CLIPModel or SiglipModel",
    "stablehlo": "programs for JAX alone, on CPUs, GPUs and TPUs",
    "savedmodel": "signatures for TensorFlow",
    "onnx": "the dual encoders, for ONNX Runtime",
    "hub": "our own folder with a model card, for the Hugging Face Hub",
}
DESCRIPTION = """Write a trained model in a format that other software reads.
The folder appears only after its content was read back and gave the model's results."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    listed = "\n".join(f"  {name:<12} {what}" for name, what in FORMATS.items())
    parser = Parser(
        prog="animclip export",
        description=f"{DESCRIPTION}\n\nFormats:\n{listed}",
    )
    default = next(iter(FORMATS))
    parser.add_argument(
        "source",
        type=kinds.path,
        help="the folder of a run, whose best step is taken, else its newest checkpoint, or of a "
        "model",
    )
    parser.add_argument(
        "--out", required=True, type=kinds.path, help="the folder to write; it must not exist"
    )
    parser.add_argument(
        "--format",
        default=default,
        choices=FORMATS,
        help="the format to write",
    )
    parser.add_argument(
        "--batch-size",
        type=kinds.whole,
        help="fix the batch size of a savedmodel; without it any size is accepted",
    )
    parser.add_argument(
        "--push",
        metavar="OWNER/NAME",
        help="make this repository on the Hugging Face Hub and upload a hub export to it",
    )
    parser.add_argument("--private", action="store_true", help="only you can see what --push makes")
    parser.add_argument(
        "--license",
        help="licence of a hub export, by the Hub's name, such as apache-2.0; default: the licence "
        "of the weights that training started from, if known",
    )
    options = parser.parse_args(argv)
    if options.format != "hub" and (options.push or options.license):
        parser.error("--push and --license are for --format=hub")
    if options.private and not options.push:
        parser.error("--private is for --push")
    if options.license and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", options.license):
        parser.error(f"--license={options.license}: wanted the Hub's name, such as apache-2.0")
    if options.batch_size is not None and options.format != "savedmodel":
        parser.error("--batch-size is for --format=savedmodel; leave it out")
    return options
