"""Whether a client is on the server's own machine, and no proxy stands between."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:  # The options of the command know this file, and load nothing slow.
    from starlette.requests import Request

# What proxies add. A browser sends none of them.
OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def is_here(request: Request) -> bool:
    """Whether a browser on this machine asks, under a name of this machine.

    A proxy here makes everybody's requests come from here: those that say so, or that ask under
    another name, are not from here.
    """
    if request.client is None or any(name in request.headers for name in OF_PROXIES):
        return False
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return is_loopback(request.client.host) and is_loopback(name)


def is_loopback(host: str) -> bool:
    """Whether an address or a name reaches its own machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
