"""The routes of `animclip serve`: the page, the API, thumbnails, and the videos by parts."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader
from pydantic import StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Match

from animclip_jax.serving import answers
from animclip_jax.serving.guard import refused
from animclip_jax.serving.playable import plays
from animclip_jax.video_index import sentence
from animclip_jax.video_index.open import note
from animclip_jax.video_index.searcher import Answer, Searcher
from input_pipeline.media import picture

HERE = Path(__file__).parent
PAGE_FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
MAX_PICTURE_BYTES = 10 * 2**20
DEFAULT_RESULTS, MAX_RESULTS = 12, 100
# Of what browsers play; the rest goes out as bytes.
MEDIA_TYPES = {
    **dict.fromkeys((".mp4", ".m4v"), "video/mp4"),
    **{".mov": "video/quicktime", ".webm": "video/webm", ".mkv": "video/x-matroska"},
    **{".ogv": "video/ogg", ".gif": "image/gif"},
}
UNKNOWN = "application/octet-stream"

Sentence = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=sentence.MAX_CHARACTERS, pattern=r"\S"
    ),
    Query(description="The sentence."),
]
Count = Annotated[
    int, Query(ge=1, le=MAX_RESULTS, description="The number of results for each ranking.")
]
CoarseOnly = Annotated[Literal["true", "false"], Query(description="Whether to skip re-ranking.")]
Segment = Annotated[int, InPath(ge=0, description="A result's `segment`.")]

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_PICTURE = {
    "required": True,
    "description": f"A picture of at most {MAX_PICTURE_BYTES >> 20} MiB.",
    "content": {f"image/{kind}": _BYTES for kind in ("jpeg", "png", "webp", "gif", "bmp")},
}
_RANGES = "Answers range requests as in RFC 9110: Range: bytes=0-999."

T = TypeVar("T")


def make_app(searcher: Searcher, max_waiting: int = 32) -> FastAPI:
    """The app, without its guard. max_waiting: searches at once, beyond which it answers 503."""
    service = _Service(searcher, max_waiting)
    app = FastAPI(
        title="animclip serve",
        version="1",
        description="Searches the segments of indexed videos. Every error is an object with a "
        "text, `error`.",
        # FastAPI's own pages load scripts from elsewhere; api.html needs nothing but this server.
        openapi_url=None,
        redirect_slashes=False,
        responses=answers.SHARED_ERRORS,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers={
            HTTPException: _explain,
            RequestValidationError: _explain_invalid,
        },
    )
    found: dict[str, Any] = {
        "response_model": answers.Answer,
        "response_description": "The results.",
    }
    app.get("/api/search", summary="Search by a sentence, in two stages.", **found)(
        service.search_text
    )
    app.post(
        "/api/search",
        summary="Search by a picture, by embeddings alone. It is held in memory only.",
        responses=answers.errors(
            _403="The request came from a page of another server.",
            _413="The picture is too large.",
            _415="Not a picture.",
        ),
        openapi_extra={"requestBody": _PICTURE},
        **found,
    )(service.search_picture)
    app.get("/api/index", summary="What is indexed.", response_model=answers.Index)(service.index)
    _add_files(app, service)
    _add_pages(app)
    _answer_heads(app)
    return app


def _add_files(app: FastAPI, service: _Service) -> None:
    """Routes of what is not JSON."""
    app.get(
        "/thumbnail/{segment}",
        summary="The middle frame of a segment.",
        response_class=Response,
        responses={
            **answers.errors(_404="No such segment."),
            200: {"description": "A JPEG.", "content": {"image/jpeg": _BYTES}},
        },
    )(service.thumbnail)
    app.get(
        "/video/{segment}",
        summary="The whole video that a segment belongs to.",
        description=_RANGES,
        response_class=Response,
        responses={
            **answers.errors(
                _404="No such segment, or the file is gone or can't be read.",
                _416="A range outside the file.",
            ),
            200: {"description": "The file."},
            206: {"description": "The requested bytes."},
        },
    )(service.video)


def _add_pages(app: FastAPI) -> None:
    """The page with its files, and the API's description: of the routes that were added before."""
    openapi = app.openapi()
    described = HTMLResponse(_describe(openapi))
    app.add_route("/openapi.json", lambda request: JSONResponse(openapi))
    app.add_route("/api", lambda request: described)
    app.add_route("/", _page)
    for name in PAGE_FILES:
        app.add_route(f"/{name}", functools.partial(_page_file, name))


def _answer_heads(app: FastAPI) -> None:
    """Lets HEAD through wherever GET is answered: Starlette's own routes do, FastAPI's do not."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
            route.methods.add("HEAD")


def _describe(openapi: dict[str, Any]) -> str:
    """The API's description as a page."""
    pages = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    shared = {str(s): one["description"] for s, one in answers.SHARED_ERRORS.items()}
    return pages.get_template("api.html").render(openapi, shared=shared)


async def _explain(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette names the methods of the first route of a path alone.
        scope, partial = request.scope, Match.PARTIAL
        routes = (one for one in request.app.routes if one.matches(scope)[0] == partial)
        headers["allow"] = ", ".join(sorted(set().union(*(one.methods for one in routes))))
    return refused(error.status_code, error.detail, headers)


async def _explain_invalid(request: Request, error: RequestValidationError) -> Response:
    """The first parameter that is wrong; in a path it is a segment that does not exist."""
    first = error.errors()[0]
    where, name = first["loc"][:2]
    if where == "path":
        return refused(404, f"no such {name}")
    return refused(400, f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}")


def _page(request: Request) -> Response:
    return FileResponse(HERE / "page.html", media_type="text/html")


def _page_file(name: str, request: Request) -> Response:
    return FileResponse(HERE / name, media_type=PAGE_FILES[name])


class _Service:
    """Answers from one searcher, one query at a time; the others wait, up to a limit."""

    def __init__(self, searcher: Searcher, max_waiting: int):
        self.searcher, self.max_waiting = searcher, max_waiting
        self.root = searcher.index.root.resolve()
        self.waiting = 0
        self.thread = ThreadPoolExecutor(1, "search")

    async def index(self) -> dict[str, Any]:
        return {
            "videos": self.searcher.index.num_videos,
            "segments": len(self.searcher.index),
            "reranks": self.searcher.reranks,
            "note": note(self.searcher),
        }

    async def search_text(
        self, q: Sentence, n: Count = DEFAULT_RESULTS, coarse_only: CoarseOnly = "false"
    ) -> dict[str, Any]:
        search = functools.partial(self.searcher.by_text, coarse_only=coarse_only == "true")
        return self._answer(await self._in_turn(search, q), n)

    async def search_picture(self, request: Request, n: Count = DEFAULT_RESULTS) -> dict[str, Any]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith("image/"):
            raise HTTPException(415, f"content type {kind!r}: wanted a picture, image/...")
        data = await _body(request)

        def search(data: bytes) -> Answer:
            return self.searcher.by_picture(picture.pixels(data, picture.QUERY))

        try:
            answer = await self._in_turn(search, data)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return self._answer(answer, n)

    async def thumbnail(self, segment: Segment) -> Response:
        found = self.searcher.index.thumbnail(self._existing(segment))
        return Response(found, media_type="image/jpeg")

    async def video(self, segment: Segment) -> Response:
        name = self.searcher.index.names[self._existing(segment)]
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

    def _existing(self, segment: int) -> int:
        last = len(self.searcher.index) - 1
        if segment > last:
            raise HTTPException(404, f"no such segment; there are 0 to {last}")
        return segment

    async def _in_turn(self, function: Callable[[Any], T], given: Any) -> T:
        if self.waiting >= self.max_waiting:
            raise HTTPException(503, "too many searches at once", {"retry-after": "1"})
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, function, given)
        finally:
            self.waiting -= 1

    def _answer(self, answer: Answer, count: int) -> dict[str, Any]:
        """The best by either ranking, so that the page can show both."""
        index = self.searcher.index
        count = min(count, self.searcher.num_candidates)
        hits = [hit for hit in answer.hits if min(hit.rank, hit.coarse_rank) <= count]
        return {
            "stage": "coarse" if answer.hits[0].fused is None else "reranked",
            "note": note(self.searcher),
            "count": count,
            "candidates": len(answer.hits),
            "milliseconds": {stage: 1000 * spent for stage, spent in answer.seconds.items()},
            "results": [
                index.moment(hit)._asdict()
                | {"segment": hit.segment}
                | _how_it_plays(index.names[hit.segment], index.codecs[hit.segment])
                for hit in hits
            ],
        }


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


def media_type(name: str) -> str:
    """What a video is sent as, by its file's name."""
    return MEDIA_TYPES.get(Path(name).suffix.lower(), UNKNOWN)
