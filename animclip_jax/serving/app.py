"""The routes of `animclip serve`: the page, the API, thumbnails, and the videos by parts."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match

from animclip_jax.engines.engine import EngineError
from animclip_jax.serving import answers, inline
from animclip_jax.serving.footage import Footage, sent
from animclip_jax.serving.guard import refused
from animclip_jax.serving.previews import Previews
from animclip_jax.serving.service import MAX_PICTURE_BYTES, Service
from animclip_jax.video_index import moments
from animclip_jax.video_index.searcher import Searcher
from animclip_jax.words import holdings
from input_pipeline.media.preview import MAX_SECONDS
from input_pipeline.media.strip import FRAMES, HEIGHT, WIDTH

HERE = Path(__file__).parent
PAGE_FILES = {
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys((path.name for path in HERE.glob("*.js")), "text/javascript"),
}

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_PICTURE = {
    "required": True,
    "description": f"A picture of at most {MAX_PICTURE_BYTES >> 20} MiB.",
    "content": {f"image/{kind}": _BYTES for kind in ("jpeg", "png", "webp", "gif", "bmp")},
}
_PAGES = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
_UNCHANGED = {"description": "If-None-Match names the file as it is."}
_RANGES = "Answers range requests as in RFC 9110: Range: bytes=0-999."


def make_app(
    searcher: Searcher,
    max_waiting: int = 32,
    previews: Previews | None = None,
    opens_folders: bool = False,
) -> FastAPI:
    """The app, without its guard; its `state.service` is what `Live` keeps fresh.

    max_waiting: searches at once, beyond which it answers 503.
    previews: what makes them, if any are made. opens_folders: whether browsers on this machine may
      have the folder of a video opened.
    """
    service = Service(searcher, max_waiting, previews)
    app = FastAPI(
        title="animclip serve",
        version="2",
        description="Searches the segments of indexed videos. Every error is an object with a "
        "text, `error`.",
        # FastAPI's own pages load scripts from elsewhere; api.html needs nothing but this server.
        openapi_url=None,
        redirect_slashes=False,
        responses=answers.SHARED_ERRORS,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers={
            HTTPException: _explain,
            EngineError: _explain_engine,
            RequestValidationError: _explain_invalid,
        },
    )
    _add_search(app, service)
    _add_export(app, service)
    app.get(
        "/api/timeline/{moment}",
        summary="All segments of the video that a segment belongs to, each with its score.",
        description="Filters, `by` and `n` change nothing. What is said is not looked at.",
        response_model=answers.Timeline,
        responses=answers.errors(_404="No such segment."),
    )(service.timeline)
    app.get("/api/index", summary="What is indexed.", response_model=answers.Index)(service.index)
    app.get(
        "/api/status",
        summary="What is indexed, since when, and what can't be read.",
        response_model=answers.Status,
    )(service.status)
    footage = Footage(service, opens_folders)
    _add_files(app, service, footage)
    _add_previews(app, footage)
    _add_folder(app, footage)
    _add_pages(app, service)
    _answer_heads(app)
    app.state.service = service
    return app


def _add_search(app: FastAPI, service: Service) -> None:
    """The routes of searches by words and by a picture."""
    found: dict[str, Any] = {
        "response_model": answers.Answer,
        "response_description": "The results.",
    }
    app.get(
        "/api/search",
        summary="Search, in two stages where a sentence says what should be there.",
        **found,
    )(service.search_text)
    app.post(
        "/api/search",
        summary="Search by a picture, and by what GET takes. Its `id` is in `like` of the answer.",
        responses=answers.errors(
            _403="The request came from a page of another server.",
            _413="The picture is too large.",
            _415="Not a picture.",
        ),
        openapi_extra={"requestBody": _PICTURE},
        **found,
    )(service.search_picture)


def _add_export(app: FastAPI, service: Service) -> None:
    """The route of results as a file."""
    kinds = [kind.partition(";")[0] for kind in moments.MEDIA_TYPES.values()]
    app.get(
        "/api/export",
        summary="The best `n` results of a search as a file for players, spreadsheets or editors.",
        response_class=Response,
        responses={
            **answers.errors(_404="A video whose frame rate is asked for can't be read."),
            200: {"description": "The file.", "content": {kind: _BYTES for kind in kinds}},
        },
    )(service.export)


def _add_files(app: FastAPI, service: Service, footage: Footage) -> None:
    """Routes of pictures and videos as they are."""
    app.get(
        "/thumbnail/{moment}",
        summary="The middle frame of a segment.",
        response_class=Response,
        responses={
            **answers.errors(_404="No such segment."),
            200: {"description": "A JPEG.", "content": {"image/jpeg": _BYTES}},
        },
    )(service.thumbnail)
    app.get(
        "/picture/{picture}",
        summary="A picture that was searched with, made small.",
        description="The server keeps the last thousand in memory.",
        response_class=Response,
        responses={
            **answers.errors(_404="No such picture, or it was forgotten."),
            200: {"description": "A JPEG.", "content": {"image/jpeg": _BYTES}},
        },
    )(service.picture)
    app.get(
        "/video/{moment}",
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
            304: _UNCHANGED,
        },
    )(footage.video)


def _add_previews(app: FastAPI, footage: Footage) -> None:
    """Routes of what is made of videos for browsers."""
    app.get(
        "/preview/{moment}",
        summary="A segment as a small MP4 (H.264, AAC) that every browser plays.",
        description=f"Its times are those of the video. Of a segment longer than {MAX_SECONDS:g} "
        f"seconds it is the beginning. It is made when it is asked for first, and kept. {_RANGES}",
        response_class=Response,
        responses={
            **answers.errors(
                _404="No such segment, or there is no preview of it; the error says why.",
                _416="A range outside the file.",
                _507="The server has no room for it.",
            ),
            200: {"description": "The preview.", "content": {"video/mp4": _BYTES}},
            206: {"description": "The requested bytes."},
            304: _UNCHANGED,
        },
    )(footage.preview)
    app.get(
        "/strip/{moment}",
        summary=f"{FRAMES} frames of a segment side by side, {WIDTH} x {HEIGHT} pixels each.",
        description=f"Of a segment longer than {MAX_SECONDS:g} seconds they are of the beginning. "
        "It is made and kept as a preview is.",
        response_class=Response,
        responses={
            **answers.errors(
                _404="No such segment, or no frames of it can be shown; the error says why.",
                _507="The server has no room for it.",
            ),
            200: {"description": "A JPEG.", "content": {"image/jpeg": _BYTES}},
            304: _UNCHANGED,
        },
    )(footage.strip)


def _add_folder(app: FastAPI, footage: Footage) -> None:
    """Routes of where videos lie."""
    app.get(
        "/api/folder/{moment}",
        summary="Where the file of a segment lies, and whether POST opens its folder.",
        response_model=answers.Place,
        responses=answers.errors(_404="No such segment."),
    )(footage.place)
    app.post(
        "/api/folder/{moment}",
        summary="Opens the folder of a segment's file in the file manager.",
        description="For browsers on the server's own machine.",
        response_class=Response,
        status_code=204,
        responses=answers.errors(
            _403="The server opens no folders, the client is on another machine, or the request "
            "came from a page of another server.",
            _404="No such segment, or the file is gone or can't be read.",
            _501="There is no file manager.",
        ),
    )(footage.show)


def _add_pages(app: FastAPI, service: Service) -> None:
    """The page with its files, and the API's description: of the routes that were added before."""
    openapi = app.openapi()
    described = HTMLResponse(_describe(openapi))
    app.add_route("/openapi.json", lambda request: JSONResponse(openapi))
    app.add_route("/api", lambda request: described)
    app.add_route("/", _page)
    app.add_route("/status", functools.partial(_status, service))
    for name in PAGE_FILES:
        app.add_route(f"/{name}", functools.partial(_page_file, name))


def _answer_heads(app: FastAPI) -> None:
    """Lets HEAD through wherever GET is answered: Starlette's own routes do, FastAPI's do not."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
            route.methods.add("HEAD")


def _describe(openapi: dict[str, Any]) -> str:
    """The API's description as a page."""
    shared = {str(s): one["description"] for s, one in answers.SHARED_ERRORS.items()}
    return _PAGES.get_template("api.html").render(openapi, shared=shared)


async def _status(service: Service, request: Request) -> Response:
    told = await service.status()
    held = holdings(told["videos"], told["photos"], told["segments"])
    return HTMLResponse(_PAGES.get_template("status.html").render(told, holdings=held))


async def _explain(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette names the methods of the first route of a path alone.
        scope, partial = request.scope, Match.PARTIAL
        routes = (one for one in request.app.routes if one.matches(scope)[0] == partial)
        headers["allow"] = ", ".join(sorted(set().union(*(one.methods for one in routes))))
    return refused(error.status_code, error.detail, headers)


async def _explain_engine(request: Request, error: EngineError) -> Response:
    """A published index that can't be read now."""
    return refused(503, str(error), {"retry-after": "1"})


async def _explain_invalid(request: Request, error: RequestValidationError) -> Response:
    """The first parameter that is wrong; in a path it is a segment that does not exist."""
    first = error.errors()[0]
    where, name = first["loc"][:2]
    if where == "path":
        return refused(404, f"no such {name}")
    return refused(400, f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}")


def _page(request: Request) -> Response:
    return HTMLResponse(inline.page())


def _page_file(name: str, request: Request) -> Response:
    path = HERE / name
    return sent(request, path, PAGE_FILES[name], path.stat())
