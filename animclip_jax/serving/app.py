"""The routes of `animclip serve`: the page, the API, thumbnails, and the videos by parts."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from animclip_jax.search import describe, note
from animclip_jax.serving.guard import refused
from animclip_jax.serving.playable import plays
from animclip_jax.video_index.query_picture import read_picture
from animclip_jax.video_index.searcher import Answer, Searcher

HERE = Path(__file__).parent
OPENAPI = json.loads((HERE / "openapi.json").read_text())
PAGE_FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
MAX_QUERY, MAX_PICTURE_BYTES = 1000, 10 * 2**20
DEFAULT_RESULTS, MAX_RESULTS = 12, 100
# Of what browsers play; the rest goes out as bytes.
MEDIA_TYPES = {
    **dict.fromkeys((".mp4", ".m4v"), "video/mp4"),
    **{".mov": "video/quicktime", ".webm": "video/webm", ".mkv": "video/x-matroska"},
    **{".ogv": "video/ogg", ".gif": "image/gif"},
}
UNKNOWN = "application/octet-stream"

T = TypeVar("T")


def make_app(searcher: Searcher, max_waiting: int = 32) -> Starlette:
    """The app, without its guard. max_waiting: searches at once, beyond which it answers 503."""
    service = _Service(searcher, max_waiting)
    routes = [
        Route("/", _page),
        *(Route(f"/{name}", functools.partial(_page_file, name)) for name in PAGE_FILES),
        Route("/api", lambda request: HTMLResponse(_describe())),
        Route("/openapi.json", lambda request: JSONResponse(OPENAPI)),
        Route("/api/index", service.tell_index),
        Route("/api/search", service.search, methods=["GET", "POST"]),
        Route("/thumbnail/{segment}", service.thumbnail),
        Route("/video/{segment}", service.video),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _explain})  # type: ignore[dict-item]
    app.router.redirect_slashes = False
    return app


async def _explain(request: Request, error: HTTPException) -> Response:
    return refused(error.status_code, error.detail, error.headers)


def _page(request: Request) -> Response:
    return FileResponse(HERE / "page.html", media_type="text/html")


def _describe() -> str:
    """openapi.json in plain HTML."""
    pages = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    shared = {
        (status, OPENAPI["components"]["responses"][name.rpartition("/")[2]]["description"])
        for methods in OPENAPI["paths"].values()
        for operation in methods.values()
        for status, one in operation["responses"].items()
        if (name := one.get("$ref"))
    }
    return pages.get_template("api.html").render(OPENAPI, shared=sorted(shared))


def _page_file(name: str, request: Request) -> Response:
    return FileResponse(HERE / name, media_type=PAGE_FILES[name])


class _Service:
    """Answers from one searcher, one query at a time; the others wait, up to a limit."""

    def __init__(self, searcher: Searcher, max_waiting: int):
        self.searcher, self.max_waiting = searcher, max_waiting
        self.index = searcher.index
        self.root = self.index.root.resolve()
        self.waiting = 0
        self.thread = ThreadPoolExecutor(1, "search")

    async def tell_index(self, request: Request) -> Response:
        told = {
            "videos": self.index.num_videos,
            "segments": len(self.index),
            "reranks": self.searcher.reranks,
            "note": note(self.searcher),
        }
        return JSONResponse(told)

    async def search(self, request: Request) -> Response:
        by_picture = request.method == "POST"
        return await (self.search_picture if by_picture else self.search_text)(request)

    async def search_text(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()
        if not 1 <= len(text) <= MAX_QUERY:
            raise HTTPException(400, f"q: {len(text)} characters, wanted 1 to {MAX_QUERY}")
        coarse_only = request.query_params.get("coarse_only", "false")
        if coarse_only not in ("true", "false"):
            raise HTTPException(400, "coarse_only: wanted true or false")
        count = self._count(request)
        search = functools.partial(self.searcher.by_text, coarse_only=coarse_only == "true")
        return self._answer(await self._in_turn(search, text), count)

    async def search_picture(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith("image/"):
            raise HTTPException(415, f"content type {kind!r}: wanted a picture, image/...")
        count = self._count(request)
        data = await _body(request)

        def search(data: bytes) -> Answer:
            return self.searcher.by_picture(read_picture(data))

        try:
            answer = await self._in_turn(search, data)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return self._answer(answer, count)

    async def thumbnail(self, request: Request) -> Response:
        picture = self.index.thumbnail(self._segment(request))
        return Response(picture, media_type="image/jpeg")

    async def video(self, request: Request) -> Response:
        name = self.index.names[self._segment(request)]
        path, state = await run_in_threadpool(self._inside, name)
        return FileResponse(path, media_type=media_type(name), stat_result=state)

    def _inside(self, name: str) -> tuple[Path, os.stat_result]:
        """The file of a video; raises 404 where it is gone, lies elsewhere or can't be read."""
        try:
            # Unlike Path.resolve, realpath bears links that lead to themselves.
            path = Path(os.path.realpath(self.root / name))
            if path.is_relative_to(self.root) and path.is_file():
                with path.open("rb") as file:
                    return path, os.stat(file.fileno())
        except OSError as error:
            raise HTTPException(404, f"the video can't be read: {error.strerror}") from error
        raise HTTPException(404, "the video is no longer where it was indexed")

    def _segment(self, request: Request) -> int:
        number = _number(request.path_params["segment"])
        if number is None or number >= len(self.index):
            raise HTTPException(404, f"no such segment; there are 0 to {len(self.index) - 1}")
        return number

    def _count(self, request: Request) -> int:
        count = _number(request.query_params.get("n", str(DEFAULT_RESULTS)))
        if count is None or not 1 <= count <= MAX_RESULTS:
            raise HTTPException(400, f"n: wanted a number from 1 to {MAX_RESULTS}")
        return min(count, self.searcher.num_candidates)

    async def _in_turn(self, function: Callable[[Any], T], given: Any) -> T:
        if self.waiting >= self.max_waiting:
            raise HTTPException(503, "too many searches at once", {"retry-after": "1"})
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, function, given)
        finally:
            self.waiting -= 1

    def _answer(self, answer: Answer, count: int) -> Response:
        """The best by either ranking, so that the page can show both."""
        hits = [hit for hit in answer.hits if min(hit.rank, hit.coarse_rank) <= count]
        reranked = answer.hits[0].fused is not None
        told = {
            "stage": "reranked" if reranked else "coarse",
            "note": note(self.searcher),
            "count": count,
            "candidates": len(answer.hits),
            "milliseconds": {stage: 1000 * spent for stage, spent in answer.seconds.items()},
            "results": [
                describe(hit, self.index)
                | {"segment": hit.segment}
                | _how_it_plays(self.index.names[hit.segment], self.index.codecs[hit.segment])
                for hit in hits
            ],
        }
        return JSONResponse(told)


async def _body(request: Request) -> bytes:
    """A picture's bytes, in memory alone."""
    data = bytearray()
    try:
        async for part in request.stream():
            data += part
            if len(data) > MAX_PICTURE_BYTES:
                raise HTTPException(413, f"over {MAX_PICTURE_BYTES} bytes", {"connection": "close"})
    except ClientDisconnect as error:
        raise HTTPException(400, "the picture breaks off") from error
    return bytes(data)


def _how_it_plays(name: str, codec: str) -> dict[str, Any]:
    return {"media_type": media_type(name), "codec": codec or None, "plays": plays(name, codec)}


def _number(text: str) -> int | None:
    """A number of a sane length."""
    return int(text) if re.fullmatch("[0-9]{1,12}", text) else None


def media_type(name: str) -> str:
    """What a video is sent as, by its file's name."""
    return MEDIA_TYPES.get(Path(name).suffix.lower(), UNKNOWN)
