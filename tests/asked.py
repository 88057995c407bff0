"""An app that is asked in this process, without a network."""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.served import Reply

HOST = (b"host", b"localhost")


def completed(work: Coroutine[Any, Any, Any]) -> Any:
    """What it gives, in a thread of its own: a browser's driver keeps this one's event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def ask(
    app: Any,
    path: str,
    method: str = "GET",
    messages: list[dict] | None = None,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Reply:
    """messages: what the app receives; a whole and empty body unless given. headers: besides."""
    received = iter(messages or [{"type": "http.request", "body": b"", "more_body": False}])
    sent: list[dict] = []

    async def receive() -> dict:
        try:
            return next(received)
        except StopIteration:
            await asyncio.sleep(3600)
            raise AssertionError from None

    async def send(message: dict) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    sent_with = [HOST, (b"content-type", b"image/png"), *headers]
    scope |= {"headers": sent_with, "root_path": "", "http_version": "1.1", "scheme": "http"}
    completed(app(scope, receive, send))
    told = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
    return Reply(sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:]))
