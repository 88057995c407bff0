"""What `animclip serve` takes."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

from animclip_jax.cli.parser import Parser, dashed
from animclip_jax.options import kinds
from animclip_jax.process import CACHE
from animclip_jax.serving.nearness import is_loopback

TOKEN = "ANIMCLIP_TOKEN"
MIN_TOKEN = 16
PREVIEWS = f"{CACHE}/previews"
# One preview always fits.
MIN_GIBIBYTES = 0.02
DESCRIPTION = (
    "Search an index in the browser, or by a JSON API (see /api). It needs no internet. Only this "
    "machine can connect, unless --host names another address; --token is then required."
)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = Parser(prog="animclip serve", description=DESCRIPTION)
    parser.add_argument(
        "index",
        type=kinds.index,
        help="the folder that animclip index wrote, or what its --to names: lancedb:FOLDER, "
        "qdrant:URL",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument(
        "--port", type=int, default=8000, help="the port to listen on; 0 takes a free one"
    )
    parser.add_argument(
        "--token",
        help=f"the password of other machines, at least {MIN_TOKEN} letters and digits; without it "
        f"the value of ${TOKEN}",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        help="another name of this server; repeat it for more",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--model", type=kinds.home, help="the folder of the index's model, if it has moved"
    )
    parser.add_argument("--rerank-k", type=int, default=50, help="how many candidates to re-rank")
    _add_limits(parser)
    parser.add_argument(
        "--previews",
        type=kinds.path,
        default=PREVIEWS,
        help="the folder for previews of what browsers can't play, or none",
    )
    parser.add_argument(
        "--previews-limit", type=float, default=1.0, help="GiB that previews may take on the disk"
    )
    parser.add_argument(
        "--open-folder",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let browsers on this machine open a video's folder; never where --host lets in "
        "other machines",
    )
    options = parser.parse_args(argv)
    if options.token is None:
        options.token = os.environ.get(TOKEN)
    _check(parser, options)
    options.open_folder = options.open_folder and is_loopback(options.host)
    if options.previews == Path("none"):
        options.previews = None
    return options


def _add_limits(parser: Parser) -> None:
    """Options that say how much is answered at once, and how long a request may take."""
    parser.add_argument(
        "--max-waiting", type=int, default=32, help="searches at once; more get a 503"
    )
    parser.add_argument(
        "--max-connections", type=int, default=128, help="connections at once; more get a 503"
    )
    parser.add_argument(
        "--max-per-client", type=int, default=32, help="connections at once from one address"
    )
    parser.add_argument(
        "--request-timeout", type=float, default=30.0, help="seconds in which a request must arrive"
    )


def _check(parser: Parser, options: argparse.Namespace) -> None:
    """Ends the command where an option is out of its range, or strangers would be let in."""
    if not is_loopback(options.host) and not options.token:
        parser.error(f"--host={options.host}: other machines reach that address; give --token")
    if options.token and not _is_token(options.token):
        parser.error(f"--token: wanted {MIN_TOKEN} letters (a to z) and digits or more")
    for name in ("rerank_k", "max_waiting", "max_connections", "max_per_client"):
        if getattr(options, name) < 1:
            parser.error(f"--{dashed(name)}={getattr(options, name)}: wanted 1 or more")
    if not 0 < options.request_timeout < 86400:
        parser.error(f"--request-timeout={options.request_timeout:g}: wanted more than 0 seconds")
    if not MIN_GIBIBYTES <= options.previews_limit < math.inf:
        parser.error(f"--previews-limit={options.previews_limit:g}: wanted {MIN_GIBIBYTES} or more")
    if not 0 <= options.port < 65536:
        parser.error(f"--port={options.port}: wanted 0 to 65535")


def _is_token(text: str) -> bool:
    """Whether a text is long enough, and of letters that headers and cookies can hold."""
    return len(text) >= MIN_TOKEN and text.isascii() and text.isalnum()
