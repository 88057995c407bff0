"""Connections of `animclip serve`: none keeps a place that it does not use.

uvicorn waits for a request, and for a reader, as long as the client likes, and counts connections
that say nothing. A few idle ones would so shut everybody out, with or without a token.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from typing import Any, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from animclip_jax.serving.guard import HEADERS, App, refused

# A connection that is younger has had no time to ask.
_GRACE_SECONDS = 1.0


class Limits(NamedTuple):
    """What clients may hold.

    connections: at once, of all clients; per_client: of one address (IPv6: of one /64 network).
    seconds: in which a request must arrive whole, and part of an answer be taken. busy: answers in
    the app's place where no connection can be spared.
    """

    connections: int
    per_client: int
    seconds: float
    busy: App


class Connection(H11Protocol):
    """uvicorn's, with deadlines; at the limit the client that holds most gives up an idle one."""

    def __init__(self, *args: Any, limits: Limits, **options: Any):
        super().__init__(*args, **options)
        self.limits = limits
        self.host = ""
        self.idle_since = self.loop.time()
        self.deadline: asyncio.TimerHandle | None = None
        self.unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.host = _network(self.client[0]) if self.client else ""
        self._make_room()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.deadline and self.conn.their_state in (h11.DONE, h11.MUST_CLOSE):
            self.deadline.cancel()
            self.deadline = None

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        if self.deadline is None:
            self._await_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread = self.loop.call_later(self.limits.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.unread:
            self.unread.cancel()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "not an HTTP/1.1 request")

    @property
    def is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        there: list[Connection] = [
            one
            for one in self.connections
            if isinstance(one, Connection) and one is not self and not one.transport.is_closing()
        ]
        held = Counter(one.host for one in there)
        if held[self.host] >= self.limits.per_client:
            there = [one for one in there if one.host == self.host]
        elif len(there) < self.limits.connections:
            return
        old = self.loop.time() - _GRACE_SECONDS
        idle = [one for one in there if not one.is_answering and one.idle_since <= old]
        if idle:
            most = max(idle, key=lambda one: (held[one.host], -one.idle_since))
            most.transport.close()
        else:
            self.app = self.limits.busy

    def _await_request(self) -> None:
        self.deadline = self.loop.call_later(self.limits.seconds, self._end)

    def _end(self) -> None:
        """The request has not arrived, or nobody took the end of the answer before."""
        self.deadline = None
        if self.transport.is_closing():
            self.transport.abort()
        elif self.is_answering and self.cycle.response_started:
            self._await_request()
        elif self.is_answering or self.conn.trailing_data[0]:
            self._refuse(408, f"the request did not arrive in {self.limits.seconds:g} seconds")
        else:
            self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        """Answers in the app's place, where nothing is answered yet, and closes."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = refused(status, reason)
            headers = [*answer.raw_headers, *_HEADERS, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.is_answering:
            # So that nothing more is sent of what the app was about to answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _cancel(self) -> None:
        for timer in (self.deadline, self.unread):
            if timer:
                timer.cancel()


_HEADERS = [(name.encode(), text.encode()) for name, text in HEADERS.items()]


def _network(address: str) -> str:
    """Whose address it is: in IPv6 a client has a whole network of them."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
