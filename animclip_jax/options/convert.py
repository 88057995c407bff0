"""What `animclip convert` takes."""

from __future__ import annotations

import argparse

from animclip_jax.options import kinds

LAYOUTS = ("animclip", "hugging_face")
ACTIVATIONS = ("quick_gelu", "gelu")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="animclip convert",
        description="turns CLIP's weights from one layout into another. SOURCE is a folder "
        "(Hugging Face's CLIPModel, open_clip's or ours), a file (OpenAI's .pt, open_clip's "
        ".safetensors), or a name on the Hugging Face Hub such as openai/clip-vit-base-patch32.",
    )
    parser.add_argument(
        "source", type=kinds.home, help="a folder, a file, or OWNER/NAME on the Hugging Face Hub"
    )
    parser.add_argument(
        "--out", required=True, type=kinds.path, help="the folder to write, a new one"
    )
    parser.add_argument(
        "--to", default="animclip", choices=LAYOUTS, help="the layout to write (default animclip)"
    )
    parser.add_argument(
        "--image_size",
        type=kinds.whole,
        help="resize the position embeddings for pictures of that side",
    )
    parser.add_argument(
        "--activation", choices=ACTIVATIONS, help="of the MLPs, for a file that does not say it"
    )
    parser.add_argument("--revision", help="a commit on the Hub, for a name without a pinned one")
    return parser.parse_args(argv)
