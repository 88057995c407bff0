"""What `animclip convert` takes."""

from __future__ import annotations

import argparse

from animclip_jax.cli.parser import Parser
from animclip_jax.options import kinds

LAYOUTS = ("animclip", "big_vision", "hugging_face", "open_clip")
ACTIVATIONS = ("quick_gelu", "gelu", "gelu_tanh", "relu")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = Parser(
        prog="animclip convert",
        description="Convert published weights of CLIP, PE-Core, SigLIP or VideoPrism to our "
        "layout, or back.",
    )
    parser.add_argument(
        "source",
        type=kinds.home,
        help="a folder (Hugging Face's CLIPModel, open_clip's or ours), a file (OpenAI's .pt, "
        "open_clip's .safetensors, big_vision's or VideoPrism's .npz), or OWNER/NAME on the "
        "Hugging Face Hub",
    )
    parser.add_argument(
        "--out", required=True, type=kinds.path, help="the folder to write; it must not exist"
    )
    parser.add_argument("--to", default="animclip", choices=LAYOUTS, help="the layout to write")
    parser.add_argument(
        "--image-size",
        type=kinds.whole,
        help="resize the position embeddings for pictures of this side, in pixels",
    )
    parser.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        help="the activation of the MLPs, for a file that does not name it",
    )
    parser.add_argument(
        "--tokenizer",
        type=kinds.path,
        help="SigLIP's or VideoPrism's vocabulary, where it is not beside the weights: a .model of "
        "sentencepiece or tokenizer.json",
    )
    parser.add_argument(
        "--revision", help="the commit on the Hub; needed if the weights are not safetensors"
    )
    return parser.parse_args(argv)
