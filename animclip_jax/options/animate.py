"""What `animclip animate` takes."""

from __future__ import annotations

import argparse

from animclip_jax.animation.config import COMPONENTS, PRESETS
from animclip_jax.options import kinds


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="animclip animate",
        description="shows what training sees: a photo filmed by the director",
    )
    parser.add_argument(
        "photo", nargs="+", type=kinds.path, help="a picture of any shape; two for two scenes"
    )
    parser.add_argument(
        "--out",
        type=kinds.path,
        required=True,
        help="clip.gif, clip.mp4, or sheet.png or .jpg with all frames",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--preset", default="full", choices=PRESETS, help="which components are on")
    what.add_argument("--component", choices=COMPONENTS, help="that one alone")
    what.add_argument("--grid", choices=("presets", "components"), help="all of them, side by side")
    parser.add_argument("--num_frames", type=int, default=24)
    parser.add_argument("--image_size", type=int, default=224, help="side of a frame in pixels")
    parser.add_argument("--seed", type=int, default=0, help="another seed films another clip")
    parser.add_argument("--fps", type=float, default=8.0)
    parser.add_argument(
        "--show-path", action="store_true", help="draw the camera's windows on the photo, too"
    )
    return parser.parse_args(argv)
