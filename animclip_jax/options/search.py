"""What `animclip search` takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields

from animclip_jax.cli.parser import Parser
from animclip_jax.options import kinds
from animclip_jax.video_index import filters, query

DESCRIPTION = (
    "Find moments of indexed videos by sentences, pictures and videos, or several of these. "
    "-word in the sentence is what should not be there, and ^2 behind a part is its weight."
)
# Options that give a part of the query.
PARTS = {
    "without": "leave out what this sentence says; repeat it for more",
    "like": "find moments like this picture, video or moment (FILE@1:02.5); repeat it for more",
    "unlike": "leave out what is like this picture, video or moment; repeat it for more",
}

# Options that say what may be found.
ONLY: dict[str, tuple[Callable[[str], object], str]] = {
    "folder": (str, "only below this folder of the one that was indexed"),
    "name": (str, "only files with this in their names; * and ? stand for any letters"),
    "since": (str, "only what was made on this day or later, as in 2026-11-29"),
    "until": (str, "only what was made on this day or before"),
    "longer": (float, "only videos of so many seconds or more"),
    "shorter": (float, "only videos of so many seconds or fewer"),
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options; options may stand before, behind and between the other words.

    parts: what the sentence and --without say, as parts of a query. only: what may be found.
    """
    parser = Parser(prog="animclip search", description=DESCRIPTION)
    parser.add_argument(
        "index",
        type=kinds.index,
        help="the folder that animclip index wrote, or what its --to names: lancedb:FOLDER, "
        "qdrant:URL",
    )
    parser.add_argument("text", nargs="?", help="the sentence to search for")
    for name, told in PARTS.items():
        parser.add_argument(f"--{name}", action="append", default=[], help=told)
    parser.add_argument("--image", type=kinds.path, help="as --like, a picture whatever its name")
    parser.add_argument("--video", type=kinds.path, help="as --like, a video whatever its name")
    parser.add_argument(
        "--by",
        choices=("seen", "said", "both"),
        default="both",
        help="find moments by what they show, by what their subtitles say, or by both",
    )
    for name, (kind, told) in ONLY.items():
        parser.add_argument(f"--{name}", type=kind, help=told)
    for name, choices in (("shape", filters.SHAPES), ("kind", filters.KINDS)):
        parser.add_argument(f"--{name}", choices=choices, help=f"only of this {name}")
    parser.add_argument("-n", type=int, default=10, help="how many moments to show")
    parser.add_argument(
        "--group",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show a scene once, for all of its moments (default yes)",
    )
    parser.add_argument("--coarse-only", action="store_true", help="leave out the re-ranking")
    parser.add_argument("--rerank-k", type=int, default=50, help="how many candidates to re-rank")
    parser.add_argument(
        "--format",
        choices=("json", "csv", "edl", "otio"),
        help="print the moments as JSON, as a table (CSV), or as a timeline for editors (CMX3600 "
        "EDL, OpenTimelineIO)",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="as --format=json"
    )
    parser.add_argument(
        "--model", type=kinds.home, help="the folder of the index's model, if it has moved"
    )
    options = parser.parse_intermixed_args(argv)
    _read_query(parser, options)
    return options


def _read_query(parser: Parser, options: argparse.Namespace) -> None:
    """Adds parts and filters to the options; ends the command where they can't be searched."""
    try:
        options.parts = [] if options.text is None else [*query.parsed(options.text)]
        options.parts += map(query.without, options.without)
        names = [one.name for one in fields(filters.Filters)]
        given = {name: value for name in names if (value := getattr(options, name)) is not None}
        options.only = filters.Filters(**given)
    except ValueError as error:
        parser.error(str(error))
    if not any((options.parts, options.like, options.unlike, options.image, options.video)):
        parser.error("nothing to search for: give a sentence, --like=FILE or --without=SENTENCE")
    if not 1 <= options.n <= options.rerank_k:
        parser.error(
            f"-n {options.n}: wanted 1 to {options.rerank_k}; --rerank-k raises this limit"
        )
