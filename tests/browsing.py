"""The page of `animclip serve` in a browser, for tests that use it as people do."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse
from starlette.routing import Route

from animclip_jax.serving.playable import media_type

SIZES = {"wide": (1280, 800), "narrow": (400, 800)}


@contextlib.contextmanager
def opened(browser: Any, url: str, size: str, name: str, **options: Any) -> Iterator[Any]:
    """The page, whose console must stay empty and whose requests stay on the server.

    Args:
      size: of SIZES; a wide page is light and a narrow one dark, unless the options say otherwise.
      name: of the screenshot, where ANIMCLIP_SCREENSHOTS names a folder.
      options: as Playwright's contexts have them.
    """
    width, height = SIZES[size]
    colours = {"color_scheme": {"wide": "light", "narrow": "dark"}[size]}
    viewport = {"width": width, "height": height}
    context = browser.new_context(viewport=viewport, **colours | options)
    page = context.new_page()
    complaints: list[str] = []
    expected = "Failed to load resource"  # Chromium's word for an answer that is an error.
    page.on("console", lambda said: complaints.extend([said.text] * (expected not in said.text)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: complaints.extend([asked.url] * (not asked.url.startswith(url))),
    )
    page.goto(url)
    yield page
    shot = os.environ.get("ANIMCLIP_SCREENSHOTS")
    if shot:
        page.screenshot(path=Path(shot) / f"{name}.png")
    wide = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert complaints == []
    assert wide <= width, "nothing to scroll sideways"


def search(page, text="a white block"):
    page.fill("#query", text)
    page.press("#query", "Enter")
    page.wait_for_selector(".card")


def wait_until_it_plays(page, selector=".card video"):
    page.wait_for_function(
        "selector => { const one = document.querySelector(selector);"
        " return one && one.currentTime > 0 && !one.paused && one.videoWidth > 0; }",
        arg=selector,
    )


@contextlib.contextmanager
def files_of(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's files, by parts, with the types that serve gives."""

    def file(request: Any) -> FileResponse:
        name = request.path_params["name"]
        return FileResponse(folder / name, media_type=media_type(name))

    page = HTMLResponse('<!doctype html><link rel="icon" href="data:,">')
    routes = [Route("/", lambda request: page), Route("/{name}", file)]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server does not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
