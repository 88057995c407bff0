"""`animclip serve INDEX`: a page that searches an index, and a JSON API (at /api), offline.

Only this machine reaches it, unless --host says otherwise, which needs a token.
"""

from __future__ import annotations

import argparse
import functools
import ipaddress
import os
import socket
import sys
import webbrowser
from pathlib import Path

from animclip_jax.search import note, open_searcher
from animclip_jax.signals import stoppable

TOKEN = "ANIMCLIP_TOKEN"
MIN_TOKEN = 16


@stoppable("animclip serve")
def main(argv: list[str] | None = None) -> int:
    """Serves until Ctrl-C or SIGTERM; returns 1 after saying on stderr what is wrong."""
    options = parse(argv)
    try:
        import uvicorn

        from animclip_jax.serving.app import make_app
        from animclip_jax.serving.connection import Connection, Limits
        from animclip_jax.serving.guard import Guard, refused
    except ImportError as error:
        print(
            f"animclip serve: {error}; pip install 'animclip-jax[app]' brings it", file=sys.stderr
        )
        return 1
    try:
        with _listen(options.host, options.port) as listening:
            searcher = open_searcher(options.index, options.model, options.rerank_k)
            searcher.warm_up()
            url = _url(options.host, listening.getsockname()[1])
            index = searcher.index
            print(f"{url}  {index.num_videos} videos in {len(index)} segments; Ctrl-C stops")
            if told := note(searcher):
                print(told)
            sys.stdout.flush()
            if options.open:
                webbrowser.open(f"{url}/?token={options.token}" if options.token else url)
            behind = functools.partial(Guard, names=options.allowed_host, token=options.token)
            headers = {"retry-after": "1", "connection": "close"}
            busy = behind(refused(503, "too many connections at once", headers))
            limits = Limits(
                options.max_connections, options.max_per_client, options.request_timeout, busy
            )
            # The plain parts of uvicorn: what is installed besides changes nothing.
            config = uvicorn.Config(
                behind(make_app(searcher, options.max_waiting)),
                http=functools.partial(Connection, limits=limits),  # type: ignore[arg-type]
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=3,
            )
            uvicorn.Server(config).run(sockets=[listening])
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip serve: {error}", file=sys.stderr)
        return 1
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="animclip serve", description=__doc__)
    parser.add_argument("index", type=Path, help="a folder that animclip index wrote")
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
    parser.add_argument("--model", help="where the index's model is, if it has moved")
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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise OSError(
            f"can't listen on {host} port {port}: {reason}; --port=0 takes a free one"
        ) from error
    # asyncio sets it for sockets of its own alone; without it an answer's second part, its body,
    # waits 40 ms for the first to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
