"""`animclip serve INDEX`: a page that searches an index, and a JSON API (at /api), offline.

Only this machine reaches it, unless --host says otherwise, which needs a token.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["serve", *sys.argv[1:]]))

import argparse
import errno
import functools
import os
import socket
import webbrowser

import uvicorn

from animclip_jax import process
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.serve import parse
from animclip_jax.serving.app import make_app
from animclip_jax.serving.connection import Connection, Limits
from animclip_jax.serving.guard import Guard, refused
from animclip_jax.serving.live import Live
from animclip_jax.serving.previews import kept_in
from animclip_jax.video_index.open import note, open_index
from animclip_jax.video_index.searcher import Searcher
from animclip_jax.words import holdings

# What the system says of a port that it does not give.
_OF_PORTS = (errno.EADDRINUSE, errno.EACCES)


@stoppable("animclip serve")
def main(argv: list[str] | None = None) -> int:
    """Serves until Ctrl-C or SIGTERM; returns 1 after saying on stderr what is wrong."""
    options = parse(argv)
    process.keep_programs_of_queries()
    process.ignore_odd_pictures()
    try:
        with (
            listen(options.host, options.port) as listening,
            kept_in(options.previews, options.previews_limit) as previews,
        ):
            searcher = open_index(options.index, options.model, options.rerank_k)
            searcher.warm_up()
            _announce(options, listening.getsockname()[1], searcher)
            behind = functools.partial(Guard, names=options.allowed_host, token=options.token)
            headers = {"retry-after": "1", "connection": "close"}
            busy = behind(refused(503, "too many connections at once", headers))
            limits = Limits(
                options.max_connections, options.max_per_client, options.request_timeout, busy
            )
            app = make_app(searcher, options.max_waiting, previews, options.open_folder)
            live = Live(app.state.service, options.rerank_k)
            # The plain parts of uvicorn: what is installed besides changes nothing.
            config = uvicorn.Config(
                behind(app),
                http=functools.partial(Connection, limits=limits),  # type: ignore[arg-type]
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=3,
            )
            live.start()
            try:
                uvicorn.Server(config).run(sockets=[listening])
            finally:
                live.ended.set()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip serve: {error}", file=sys.stderr)
        return 1
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can connect to. Raises OSError, which says what else to give."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        advice = "--port=0 takes a free one"
        if number not in _OF_PORTS:
            advice = "--host takes an address of this machine, or 0.0.0.0 for all of them"
        # Of a name that can't be looked up, the number is none of the system's.
        reason = os.strerror(number) if number > 0 else "no such name or address"
        raise OSError(f"can't listen on {host} port {port}: {reason}; {advice}") from error
    # asyncio sets it for sockets of its own alone; without it an answer's second part, its body,
    # waits 40 ms for the first to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _announce(options: argparse.Namespace, port: int, searcher: Searcher) -> None:
    """Says where the server is and what it searches, and opens the page if that is wanted."""
    url, index = _url(options.host, port), searcher.index
    print(f"{url}  {holdings(*index.catalogue.counts, len(index))}; Ctrl-C stops")
    if told := note(searcher):
        print(told)
    sys.stdout.flush()
    if options.open:
        webbrowser.open(f"{url}/?token={options.token}" if options.token else url)


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
