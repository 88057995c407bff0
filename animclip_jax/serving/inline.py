"""The page of the search as it is sent: its style and theme inside, its modules announced.

A browser then paints it without a second request, and asks for all modules at once.
"""

import base64
import functools
import hashlib
import re
from pathlib import Path

HERE = Path(__file__).parent
_LINK = re.compile(r'<link rel="stylesheet" href="/([^"]+)">')
_SCRIPT = re.compile(r'<script src="/([^"]+)"></script>')
_MODULE = re.compile(r'( *)<script src="/([^"]+)" type="module"></script>')
_IMPORTED = re.compile(r'^(?:import|\}) .*from "/(.+)";$', re.MULTILINE)


@functools.cache
def page() -> str:
    """page.html with the text of the style sheet and of the plain script that it names."""
    text = _read("page.html")
    text = _LINK.sub(lambda link: f"<style>{_read(link[1])}</style>", text)
    text = _SCRIPT.sub(lambda script: f"<script>{_read(script[1])}</script>", text)
    return _MODULE.sub(_announced, text)


def allowed(name: str) -> str:
    """What a content security policy says so that the text of a file may stand in the page."""
    digest = hashlib.sha256(_read(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def modules(name: str) -> list[str]:
    """The modules that a module needs, those of its own modules included, in order."""
    found: list[str] = []
    ahead = [name]
    while ahead:
        for needed in _IMPORTED.findall(_read(ahead.pop())):
            if needed not in found:
                found.append(needed)
                ahead.append(needed)
    return sorted(found)


def _announced(script: re.Match[str]) -> str:
    links = (f'{script[1]}<link rel="modulepreload" href="/{name}">' for name in modules(script[2]))
    return "\n".join([*links, script[0]])


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
