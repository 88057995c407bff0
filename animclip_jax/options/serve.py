"""What `animclip serve` takes."""

from __future__ import annotations

import argparse
import ipaddress
import os

from animclip_jax.options import kinds

TOKEN = "ANIMCLIP_TOKEN"
MIN_TOKEN = 16
DESCRIPTION = (
    "serves a page that searches an index, and a JSON API (at /api), offline. Only this machine "
    "reaches it, unless --host says otherwise, which needs a token."
)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="animclip serve", description=DESCRIPTION)
    parser.add_argument("index", type=kinds.path, help="a folder that animclip index wrote")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (8000)")
    parser.add_argument(
        "--token",
        default=os.environ.get(TOKEN),
        help=f"what others must know, at least {MIN_TOKEN} characters; or in ${TOKEN}",
    )
    parser.add_argument(
        "--allowed_host", action="append", default=[], help="a name this server is known by"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--model", type=kinds.home, help="where the index's model is, if it has moved"
    )
    parser.add_argument(
        "--rerank_k", type=int, default=50, help="how many the re-ranker puts in order (50)"
    )
    parser.add_argument(
        "--max_waiting", type=int, default=32, help="searches at once, then 503 (32)"
    )
    parser.add_argument(
        "--max_connections", type=int, default=128, help="connections at once, then 503 (128)"
    )
    parser.add_argument(
        "--max_per_client", type=int, default=32, help="connections at once of one address (32)"
    )
    parser.add_argument(
        "--request_timeout", type=float, default=30.0, help="seconds for a request to arrive (30)"
    )
    options = parser.parse_args(argv)
    if not _is_loopback(options.host) and not options.token:
        parser.error(f"--host={options.host}: others reach that address; --token is needed")
    if options.token and (len(options.token) < MIN_TOKEN or not options.token.isalnum()):
        parser.error(f"--token: wanted {MIN_TOKEN} letters and digits or more")
    for name in ("rerank_k", "max_waiting", "max_connections", "max_per_client"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}={getattr(options, name)}: wanted 1 or more")
    if not 0 < options.request_timeout < 86400:
        parser.error(f"--request_timeout={options.request_timeout:g}: wanted more than 0 seconds")
    if not 0 <= options.port < 65536:
        parser.error(f"--port={options.port}: wanted 0 to 65535")
    return options


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
