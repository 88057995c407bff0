"""What `animclip search` takes."""

from __future__ import annotations

import argparse

from animclip_jax.options import kinds
from animclip_jax.video_index import sentence


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options; options may stand before, behind and between the other words."""
    parser = argparse.ArgumentParser(
        prog="animclip search",
        description="finds the moments of videos that show what a sentence says; --image and "
        "--video instead of a sentence search for what looks alike",
    )
    parser.add_argument("index", type=kinds.path, help="a folder that animclip index wrote")
    parser.add_argument("text", nargs="?", help="a sentence")
    parser.add_argument("--image", type=kinds.path, help="search for what looks like this picture")
    parser.add_argument("--video", type=kinds.path, help="search for what looks like this video")
    parser.add_argument("-n", type=int, default=10, help="how many to show (10)")
    parser.add_argument("--coarse-only", action="store_true", help="do not re-rank")
    parser.add_argument(
        "--rerank_k", type=int, default=50, help="how many the re-ranker puts in order (50)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--model", type=kinds.home, help="where the index's model is, if it has moved"
    )
    options = parser.parse_intermixed_args(argv)
    if options.text is not None:
        try:
            options.text = sentence.checked(options.text)
        except ValueError as error:
            parser.error(str(error))
    if sum(bool(given) for given in (options.text, options.image, options.video)) != 1:
        parser.error("wanted one of a sentence, --image=FILE and --video=FILE")
    if not 1 <= options.n <= options.rerank_k:
        parser.error(f"-n {options.n}: wanted 1 to {options.rerank_k}, which --rerank_k raises")
    return options
