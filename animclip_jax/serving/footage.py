"""What the server gives of a segment's file: the video, previews, and where it lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from animclip_jax.serving import nearness
from animclip_jax.serving.playable import media_type
from animclip_jax.serving.questions import Moment
from animclip_jax.serving.service import Service, existing
from animclip_jax.words import readable
from input_pipeline.media.clip import Clip
from input_pipeline.media.strip import Strip

# A desktop is needed to see a file manager; other systems have one.
DESKTOPS = ("DISPLAY", "WAYLAND_DISPLAY")


class Footage:
    """The functions behind the routes of files.

    opens_folders: whether a client on this machine may have a folder opened.
    """

    def __init__(self, service: Service, opens_folders: bool):
        self.service, self.opens_folders = service, opens_folders

    async def video(self, request: Request, moment: Moment) -> Response:
        """The file of a segment."""
        index = self.service.searcher.index
        name = index.names[existing(index, moment)]
        path, state = await run_in_threadpool(_inside, index.root, name)
        return sent(request, path, media_type(name), state)

    async def preview(self, request: Request, moment: Moment) -> Response:
        """A segment, or its beginning, as every browser plays it."""
        return await self._made(Clip, "video/mp4", request, moment)

    async def strip(self, request: Request, moment: Moment) -> Response:
        """Frames of a segment, or of its beginning, side by side."""
        return await self._made(Strip, "image/jpeg", request, moment)

    async def _made(
        self, kind: type[Clip] | type[Strip], media_type: str, request: Request, moment: Moment
    ) -> Response:
        if self.service.previews is None:
            raise HTTPException(404, "this server makes no previews")
        index = self.service.searcher.index
        segment = existing(index, moment)
        if index.photo[segment]:
            raise HTTPException(404, "a photo has no preview: /video/ID sends it")
        path, state = await run_in_threadpool(_inside, index.root, index.names[segment])
        # As the API tells its times.
        start, end = (round(seconds, 3) for seconds in index.times[segment].tolist())
        made, state = await self.service.previews.find(kind(path, start, end), state, request)
        return sent(request, made, media_type, state)

    async def place(self, request: Request, moment: Moment) -> dict[str, Any]:
        """Where the file of a segment lies, and whether its folder can be opened."""
        index = self.service.searcher.index
        name = index.names[existing(index, moment)]
        return {
            "path": readable(os.fspath(index.root / name)),
            "opens": self.opens_folders and nearness.is_here(request) and has_desktop(),
        }

    async def show(self, request: Request, moment: Moment) -> Response:
        """Opens the folder of a segment's file on the screen of this machine."""
        if not self.opens_folders:
            raise HTTPException(403, "this server opens no folders")
        if not nearness.is_here(request):
            raise HTTPException(403, "folders open for browsers on the server's own machine alone")
        index = self.service.searcher.index
        path, _ = await run_in_threadpool(_inside, index.root, index.names[existing(index, moment)])
        if not has_desktop() or not await run_in_threadpool(_has_opened, path):
            raise HTTPException(501, "the server finds no file manager to open the folder with")
        return Response(status_code=204)


def sent(request: Request, path: Path, media_type: str, state: os.stat_result) -> Response:
    """A file or a range of it; 304 where If-None-Match names the whole file as it is.

    state: of the file.
    """
    file = FileResponse(path, media_type=media_type, stat_result=state)
    known = request.headers.get("if-none-match", "")
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    if "range" in request.headers or not {file.headers["etag"], "*"} & set(tags):
        return file
    return Response(status_code=304, headers={"etag": file.headers["etag"]})


def has_desktop() -> bool:
    """Whether a file manager that is opened here can be seen."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in DESKTOPS)


def _has_opened(path: Path) -> bool:
    """Opens the file manager at a file; False where there is none."""
    return click.launch(os.fspath(path), locate=True) == 0


def _inside(root: Path, name: str) -> tuple[Path, os.stat_result]:
    """The file of a video; raises 404 where it is gone, lies elsewhere or can't be read."""
    try:
        # Unlike Path.resolve, realpath bears links that lead to themselves.
        real, path = os.path.realpath(root), Path(os.path.realpath(root / name))
        if path.is_relative_to(real) and path.is_file():
            with path.open("rb") as file:
                return path, os.stat(file.fileno())
    except OSError as error:
        raise HTTPException(404, f"the video can't be read: {error.strerror}") from error
    raise HTTPException(404, "the video is no longer where it was indexed")
