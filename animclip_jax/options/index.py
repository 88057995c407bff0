"""What `animclip index` takes."""

from __future__ import annotations

import argparse

from animclip_jax.cli.parser import Parser
from animclip_jax.options import kinds
from animclip_jax.video_index.effort import BATCH_SIZE, ON_CPU, Effort

LOOK_SECONDS = 10.0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = Parser(
        prog="animclip index",
        description="Make a folder of videos searchable, or bring its index up to date. "
        "Run again, it reads only new and changed files. Published CLIP weights have no re-ranker.",
    )
    parser.add_argument(
        "videos",
        type=kinds.path,
        help="the folder of videos and photos, with all below it",
    )
    parser.add_argument(
        "--model",
        type=kinds.home,
        required=True,
        help="a folder that animclip export or convert wrote, or OWNER/NAME on the Hugging Face "
        "Hub",
    )
    parser.add_argument("--out", type=kinds.path, required=True, help="the folder of the index")
    parser.add_argument(
        "--to",
        type=kinds.target,
        help="also publish the index: lancedb:FOLDER (or a bucket) and qdrant:URL can be searched "
        "there, parquet:DIR is for other programs",
    )
    _add_segments(parser)
    _add_reading(parser)
    parser.add_argument(
        "--retry", action="store_true", help="try again to read files that could not be read before"
    )
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove every video that is no longer there, even if that is most of them or all",
    )
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=LOOK_SECONDS,
        help="keep running, look at the folder every so many seconds "
        f"({LOOK_SECONDS:g}), and bring the index up to date when it has changed",
    )
    options = parser.parse_args(argv)
    _check(parser, options)
    return options


def _add_segments(parser: Parser) -> None:
    """Options that say what the segments are, and how many go through the model at once."""
    parser.add_argument(
        "-w", "--window", type=float, default=10.0, help="the longest segment, in seconds"
    )
    parser.add_argument(  # fmt: skip
        "--shots",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also cut where the shot changes (default yes)",
    )
    parser.add_argument(  # fmt: skip
        "--photos",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="index photos, too (default yes)",
    )
    parser.add_argument(
        "--batch-size",
        type=kinds.whole,
        help=f"segments per batch (default {BATCH_SIZE}, on a CPU {ON_CPU})",
    )


def _add_reading(parser: Parser) -> None:
    """Options that say where files are read, and how long and large each may be."""
    defaults = Effort()
    parser.add_argument(
        "--processes", type=kinds.whole, help="processes that decode; without it one for each core"
    )
    parser.add_argument("--engine", help=kinds.ENGINE)
    parser.add_argument("--part", type=kinds.part, metavar="I/N", help=kinds.PART)
    parser.add_argument("--merge", type=kinds.whole, metavar="N", help=kinds.MERGE)
    parser.add_argument(
        "--time-limit",
        type=float,
        default=defaults.limits.seconds,
        help="seconds allowed for a file",
    )
    parser.add_argument(
        "--memory-limit",
        type=float,
        default=defaults.limits.gibibytes,
        help="GiB of memory allowed for a file",
    )


def _check(parser: Parser, options: argparse.Namespace) -> None:
    """Ends the command where options exclude each other, or a number is out of its range."""
    if options.watch is not None and not 0.1 <= options.watch <= 86400:
        parser.error(f"--watch={options.watch:g}: wanted 0.1 to 86400 seconds")
    if (options.part is not None) + (options.merge is not None) + (options.watch is not None) > 1:
        parser.error("--part, --merge and --watch: wanted one of them at most")
    if options.part is not None and options.to is not None:
        parser.error("--part and --to: an index is published when its parts are merged")
