"""What `animclip report` takes."""

from __future__ import annotations

import argparse

from animclip_jax.cli.parser import Parser
from animclip_jax.options import kinds


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = Parser(
        prog="animclip report",
        description="Gather the results of a run or a sweep into one page.",
    )
    parser.add_argument("workdir", type=kinds.path, help="the folder of a run or of a sweep")
    parser.add_argument(
        "--main", metavar="ARM", help="the arm to compare with; without it the sweep's main arm"
    )
    return parser.parse_args(argv)
