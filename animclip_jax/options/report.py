"""What `animclip report` takes."""

from __future__ import annotations

import argparse

from animclip_jax.options import kinds
from animclip_jax.runs import layout


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="animclip report",
        description="gathers the results of a run or of a sweep of arms in one table and one page",
    )
    parser.add_argument("workdir", type=kinds.path, help="folder of a run, or of a sweep's arms")
    parser.add_argument("--main", metavar="ARM", help=f"the sweep's main arm [{layout.MAIN_ARM}]")
    return parser.parse_args(argv)
