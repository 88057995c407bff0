"""What every request passes first: the Host header, the token; and what every answer carries."""

from __future__ import annotations

import hashlib
import hmac
import http
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response

from animclip_jax.serving.inline import allowed

# Begins the cookie's name. Ports share cookies: each token has one, so that servers don't log out
# each other's users.
COOKIE = "animclip_token_"
# Nothing from elsewhere, in the page itself two files of ours alone, no frame around it.
# Films are replaced, and pages come with new versions, under one address: each use asks anew.
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; script-src 'self' {allowed('theme.js')};"
        f" style-src 'self' {allowed('page.css')}; img-src 'self'; media-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-cache",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_HEADERS = [(name.encode(), text.encode()) for name, text in HEADERS.items()]
FAILED = "the server failed to answer; its output says why"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_logger = logging.getLogger("uvicorn.error")


class _Answer:
    """What is sent of an answer: always with HEADERS, and an error always as the API tells it.

    status: once it is sent.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self.scope, self.receive, self.sender = scope, receive, send
        self.status: int | None = None
        self.error: Message | None = None
        self.reason = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if message["status"] >= 400 and headers.get("content-type") != JSONResponse.media_type:
                self.error = message
                return
            kept = [pair for pair in _HEADERS if pair[0].decode() not in headers]
            message["headers"] = [*message["headers"], *kept]
            self.status = message["status"]
        elif self.error is not None:
            self.reason += message.get("body", b"")
            if not message.get("more_body"):
                await self._tell(self.error)
            return
        await self.sender(message)

    async def _tell(self, error: Message) -> None:
        """An error of Starlette's own, in its words where it has any."""
        self.error, status = None, error["status"]
        reason = self.reason.decode("utf-8", "replace") or http.HTTPStatus(status).phrase
        reason = FAILED if status == 500 else reason
        left_out = ("content-type", "content-length")
        answer = refused(status, reason)
        for name, text in Headers(raw=error["headers"]).items():
            if name not in left_out:
                answer.headers[name] = text
        await answer(self.scope, self.receive, self.send)


class Guard:
    """An app behind its checks.

    A page elsewhere can make a browser ask this server, by a name that it lets point here (DNS
    rebinding): a Host header is an address, `localhost`, or one of `names`.
    """

    def __init__(self, app: App, names: Collection[str] = (), token: str | None = None):
        self.app, self.token = app, token
        self.names = {"localhost", *(name.lower() for name in names)}
        self.cookie = COOKIE + hashlib.sha256((token or "").encode()).hexdigest()[:8]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        answer = _Answer(scope, receive, send)
        app = self._refusal(HTTPConnection(scope), scope["method"]) or self.app
        try:
            await app(scope, receive, answer.send)
        except Exception as error:
            asked = f"{scope['method']} {scope['path']!r}"
            if answer.status in (200, 206):
                # Such as a video that is cut while it plays. uvicorn closes the connection.
                _logger.error(
                    "%s: the answer breaks off: %s: %s", asked, type(error).__name__, error
                )
                return
            _logger.error("%s: %s", asked, type(error).__name__, exc_info=error)
            if answer.status is None:
                await refused(500, FAILED)(scope, receive, answer.send)

    def _refusal(self, request: HTTPConnection, method: str) -> Response | None:
        """What is answered in the app's place."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return refused(421, "this server is not known by that name; --allowed-host adds one")
        origin = request.headers.get("origin")
        foreign = origin is not None and _netloc(origin) != hosts[0]
        if foreign and method not in ("GET", "HEAD"):
            return refused(403, "the request came from a page of another server")
        return self._ask_for_token(request) if self.token else None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self.names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def _ask_for_token(self, request: HTTPConnection) -> Response | None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given):
            return None
        if self._is_token(request.cookies.get(self.cookie, "")):
            return None
        query = parse_qs(request.scope["query_string"].decode("latin-1"))
        if request.scope["path"] == "/" and self._is_token(query.get("token", [""])[-1]):
            assert self.token is not None
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
            return answer
        return refused(401, "open /?token=TOKEN first, or send Authorization: Bearer TOKEN")

    def _is_token(self, given: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given.encode(), self.token.encode())


def refused(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as the API tells it."""
    return JSONResponse({"error": reason}, status, headers)


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
