"""What `animclip animate` takes."""

from __future__ import annotations

import argparse

from animclip_jax.animation.config import COMPONENTS, PRESETS
from animclip_jax.cli.parser import Parser
from animclip_jax.options import kinds


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = Parser(
        prog="animclip animate",
        description="Film a photo as training does, as a clip or a sheet of its frames.",
    )
    parser.add_argument(
        "photo", nargs="+", type=kinds.path, help="a picture of any shape; give two for two scenes"
    )
    parser.add_argument(
        "--out",
        type=kinds.path,
        required=True,
        help="the file to write: .gif or .mp4 for a clip, .png or .jpg for a sheet of all frames",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--preset", default="full", choices=PRESETS, help="the components to combine")
    what.add_argument("--component", choices=COMPONENTS, help="one component alone")
    what.add_argument(
        "--grid",
        choices=("presets", "components"),
        help="all presets or all components, side by side",
    )
    parser.add_argument("--num-frames", type=int, default=24, help="frames of the clip")
    parser.add_argument("--image-size", type=int, default=224, help="side of a frame, in pixels")
    parser.add_argument(
        "--seed", type=int, default=0, help="the random seed; another one films another clip"
    )
    parser.add_argument("--fps", type=float, default=8.0, help="frames per second")
    parser.add_argument(
        "--show-path", action="store_true", help="also draw the camera's windows on the photo"
    )
    parser.add_argument(
        "--told",
        action="store_true",
        help="also show the clip backwards, and print what a caption may say of both",
    )
    return parser.parse_args(argv)
