"""What `animclip search` takes."""

from __future__ import annotations

import argparse

from animclip_jax.cli.parser import Parser
from animclip_jax.options import kinds
from animclip_jax.video_index import sentence


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options; options may stand before, behind and between the other words."""
    parser = Parser(
        prog="animclip search",
        description="Find moments of indexed videos by a sentence, a picture or a video.",
    )
    parser.add_argument("index", type=kinds.path, help="the folder that animclip index wrote")
    parser.add_argument(
        "text", nargs="?", help="the sentence to search for; leave it out with --image or --video"
    )
    parser.add_argument("--image", type=kinds.path, help="find moments that look like this picture")
    parser.add_argument("--video", type=kinds.path, help="find moments that look like this video")
    parser.add_argument("-n", type=int, default=10, help="how many moments to show")
    parser.add_argument("--coarse-only", action="store_true", help="leave out the re-ranking")
    parser.add_argument("--rerank-k", type=int, default=50, help="how many candidates to re-rank")
    parser.add_argument("--json", action="store_true", help="print the moments as JSON")
    parser.add_argument(
        "--model", type=kinds.home, help="the folder of the index's model, if it has moved"
    )
    options = parser.parse_intermixed_args(argv)
    if options.text is not None:
        try:
            options.text = sentence.checked(options.text)
        except ValueError as error:
            parser.error(str(error))
    if sum(bool(given) for given in (options.text, options.image, options.video)) != 1:
        parser.error("give a sentence, --image=FILE or --video=FILE: exactly one of them")
    if not 1 <= options.n <= options.rerank_k:
        parser.error(
            f"-n {options.n}: wanted 1 to {options.rerank_k}; --rerank-k raises this limit"
        )
    return options
