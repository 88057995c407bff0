"""What `animclip index` takes."""

from __future__ import annotations

import argparse

from animclip_jax.options import kinds
from animclip_jax.video_index.effort import Effort


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    defaults = Effort()
    parser = argparse.ArgumentParser(
        prog="animclip index",
        description="makes a folder of videos searchable; the same command again reads new and "
        "changed files alone. Published models and folders of animclip convert search without "
        "re-ranking.",
    )
    parser.add_argument(
        "videos", type=kinds.path, help="the folder; folders below it are searched too"
    )
    parser.add_argument(
        "--model",
        type=kinds.home,
        required=True,
        help="a folder of animclip export, or a published model's name",
    )
    parser.add_argument("--out", type=kinds.path, required=True, help="the index, a folder")
    parser.add_argument(
        "-w", "--window", type=float, default=10.0, help="seconds of a segment, at most (10)"
    )
    parser.add_argument(  # fmt: skip
        "--shots",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="cut where the shot changes, too",
    )
    parser.add_argument("--batch_size", type=kinds.whole, default=defaults.batch_size)
    parser.add_argument("--processes", type=kinds.whole, help="that decode; without it all cores")
    parser.add_argument(
        "--time_limit", type=float, default=defaults.limits.seconds, help="seconds for a file"
    )
    parser.add_argument(
        "--memory_limit", type=float, default=defaults.limits.gibibytes, help="GiB for a file"
    )
    parser.add_argument(
        "--retry", action="store_true", help="read files again that could not be read before"
    )
    parser.add_argument(
        "--forget",
        action="store_true",
        help="forget every video that is not seen now, even most of them or all",
    )
    return parser.parse_args(argv)
