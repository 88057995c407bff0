"""What every request passes first: the Host header, the token; and what every answer carries."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response

COOKIE = "animclip_token"
# Nothing from elsewhere, no script in the page itself, no frame around it.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """An app behind its checks.

    A page elsewhere can make a browser ask this server, by a name that it lets point here (DNS
    rebinding): a Host header is an address, `localhost`, or one of `names`.
    """

    def __init__(self, app: App, names: Collection[str] = (), token: str | None = None):
        self.app, self.token = app, token
        self.names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                added = [(name.encode(), text.encode()) for name, text in HEADERS.items()]
                kept = [pair for pair in added if pair[0] not in there]
                message["headers"] = [*message["headers"], *kept]
            await send(message)

        answer = self._refusal(HTTPConnection(scope), scope["method"]) or self.app
        await answer(scope, receive, send_guarded)

    def _refusal(self, request: HTTPConnection, method: str) -> Response | None:
        """What is answered in the app's place."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return refused(421, "this server is not known by that name; --allowed_host adds one")
        origin = request.headers.get("origin")
        foreign = origin is not None and _netloc(origin) != hosts[0]
        if foreign and method not in ("GET", "HEAD"):
            return refused(403, "asked by a page of another server")
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
        if self._is_token(request.cookies.get(COOKIE, "")):
            return None
        query = parse_qs(request.scope["query_string"].decode("latin-1"))
        if request.scope["path"] == "/" and self._is_token(query.get("token", [""])[-1]):
            assert self.token is not None
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return answer
        return refused(401, "open /?token=TOKEN first, or send Authorization: Bearer TOKEN")

    def _is_token(self, given: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given.encode(), self.token.encode())


def refused(status: int, reason: str) -> JSONResponse:
    """An error as the API tells it."""
    return JSONResponse({"error": reason}, status)


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
