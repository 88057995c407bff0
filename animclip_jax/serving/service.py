"""Answers the API's questions from one searcher, one query at a time."""

from __future__ import annotations

import asyncio
import datetime
import functools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np
from fastapi import Query as InQuery
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from animclip_jax.serving.answers import Status
from animclip_jax.serving.pictures import Kept, Pictures
from animclip_jax.serving.playable import media_type, plays
from animclip_jax.serving.previews import Previews
from animclip_jax.serving.questions import Export, Moment, Picture, Question
from animclip_jax.video_index import moments
from animclip_jax.video_index import query as queries
from animclip_jax.video_index.open import note
from animclip_jax.video_index.query import Part, Query, QueryError
from animclip_jax.video_index.ranking import Answer
from animclip_jax.video_index.reader import ID, Index
from animclip_jax.video_index.searcher import Searcher
from animclip_jax.words import readable
from input_pipeline.media import picture

MAX_PICTURE_BYTES = 10 * 2**20
# That the page offers to choose from, and files that can't be read that it names.
MAX_FOLDERS, MAX_BAD = 1000, 1000
# Letters of the name of a file of results.
MAX_NAME = 60
# Moments that an empty page shows.
NUM_EXAMPLES = 6
FORGOTTEN = "no such picture here: choose it again, the server has forgotten it"

Asked = Annotated[Question, InQuery()]
Saved = Annotated[Export, InQuery()]
T = TypeVar("T")


class _Found(NamedTuple):
    """An answer, and what was searched by besides sentences, as the API tells it."""

    answer: Answer
    like: list[dict[str, Any]]


class Service:
    """The functions behind the routes. Queries wait for each other, up to a limit."""

    def __init__(self, searcher: Searcher, max_waiting: int, previews: Previews | None = None):
        # Another one takes its place when the index has changed: who answers takes it once.
        self.searcher, self.max_waiting = searcher, max_waiting
        self.problem: str | None = None
        self.pictures = Pictures()
        self.previews = previews
        self.waiting = 0
        self.thread = ThreadPoolExecutor(1, "search")

    async def index(self) -> dict[str, Any]:
        """What is indexed."""
        searcher = self.searcher
        index = searcher.index
        videos, photos = index.catalogue.counts
        return {
            "videos": videos,
            "photos": photos,
            "segments": len(index),
            "reranks": searcher.reranks,
            "speaks": index.speaks,
            "folders": index.folders[:MAX_FOLDERS],
            "examples": _examples(index),
            "note": note(searcher),
        }

    async def status(self) -> dict[str, Any]:
        """What is indexed, since when, and what can't be read."""
        index = self.searcher.index
        bad = sorted(index.catalogue.quarantined.items())
        updated = index.state[2] / 1e9 if index.state else 0.0
        held = {
            name: value
            for name, value in (await self.index()).items()
            if name in Status.model_fields
        }
        return held | {
            "root": readable(str(index.root)),
            "hours": index.hours,
            "model": index.catalogue.model_path,
            "updated": datetime.datetime.fromtimestamp(updated, datetime.UTC),
            "problem": self.problem,
            "quarantined_count": len(bad),
            "quarantined": [
                {"file": readable(name), "reason": one.reason} for name, one in bad[:MAX_BAD]
            ],
        }

    async def search_text(self, asked: Asked) -> dict[str, Any]:
        """A search by what is in the address alone."""
        return await self._search(asked, None)

    async def search_picture(self, request: Request, asked: Asked) -> dict[str, Any]:
        """A search by a picture, and by what is in the address."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith("image/"):
            raise HTTPException(415, f"content type {kind!r}: wanted a picture, image/...")
        return await self._search(asked, await _body(request))

    async def export(self, asked: Saved) -> Response:
        """The results of a search by what is in the address, as a file."""
        searcher = self.searcher

        def write(asked: Export) -> str:
            answer = self._found(searcher, asked, None).answer
            shown = answer.hits[: asked.n]
            try:
                return moments.written(asked.format, answer, shown, searcher, asked.title)
            except (OSError, ValueError) as error:
                raise HTTPException(404, str(error)) from error

        try:
            document = await self._in_turn(write, asked)
        except QueryError as error:
            raise HTTPException(400, str(error)) from error
        words = "-".join(re.findall("[A-Za-z0-9]+", asked.title)).lower()[:MAX_NAME] or "moments"
        return Response(
            document.encode("utf-8", "replace"),
            media_type=moments.MEDIA_TYPES[asked.format],
            headers={"content-disposition": f'attachment; filename="{words}.{asked.format}"'},
        )

    async def timeline(self, moment: Moment, asked: Asked) -> dict[str, Any]:
        """The video of a segment, and how well each of its segments fits the query."""
        searcher = self.searcher
        index = searcher.index
        segments = index.siblings(existing(index, moment))

        def scores(asked: Question) -> list[float]:
            return searcher.scores(self._query(searcher, asked, None)[0], segments).tolist()

        try:
            scored = await self._in_turn(scores, asked)
        except QueryError as error:
            raise HTTPException(400, str(error)) from error
        first = segments.start
        shown = _how_it_plays(index, first, False) | {"photo": index.photo[first]}
        del shown["preview"]
        return shown | {
            "video": readable(index.names[first]),
            "segments": [
                {
                    "id": index.id(one),
                    "start": round(float(index.times[one, 0]), 3),
                    "end": round(float(index.times[one, 1]), 3),
                    "coarse": score,
                    "preview": _preview(index, one, self.previews is not None),
                }
                for one, score in zip(segments, scored, strict=True)
            ],
        }

    async def thumbnail(self, moment: Moment) -> Response:
        """A segment's middle frame."""
        index = self.searcher.index
        # A published index asks its engine, which may take long.
        found = await run_in_threadpool(index.thumbnail, existing(index, moment))
        return Response(found, media_type="image/jpeg")

    async def picture(self, picture: Picture) -> Response:
        """A picture that was sent, made small."""
        kept = self.pictures.find(picture)
        if kept is None:
            raise HTTPException(404, FORGOTTEN)
        return Response(kept.thumbnail, media_type="image/jpeg")

    async def _search(self, asked: Question, data: bytes | None) -> dict[str, Any]:
        searcher = self.searcher
        search = functools.partial(self._found, searcher, asked)
        try:
            found = await self._in_turn(search, data)
        except QueryError as error:
            raise HTTPException(400, str(error)) from error
        count = min(asked.n, len(found.answer.hits))
        return _told(searcher, found, count, self.previews is not None)

    def _found(self, searcher: Searcher, asked: Question, data: bytes | None) -> _Found:
        """Searches; raises QueryError where the question has no answer."""
        query, told = self._query(searcher, asked, data)
        answer = searcher.answer(
            query,
            by=asked.by,
            coarse_only=asked.coarse_only == "true",
            filters=asked.filters,
            is_deep=asked.n > searcher.num_candidates,
            num_scenes=asked.n if asked.group == "1" else 0,
        )
        return _Found(answer, told)

    def _query(
        self, searcher: Searcher, asked: Question, data: bytes | None
    ) -> tuple[Query, list[dict[str, Any]]]:
        """What is searched for, and what of it is no sentence; raises QueryError."""
        like = [(one, 1) for one in asked.like] + [(one, -1) for one in asked.unlike]
        if data is not None:
            like.append((self._keep(searcher, data), 1))
        parts = [*queries.parsed(asked.q)] if asked.q else []
        parts += map(queries.without, asked.without)
        told = []
        for written, sign in like:
            id, weight = queries.weighted(written)
            embedding, known = self._alike(searcher.index, id)
            parts.append(Part(embedding, sign * weight))
            told.append({"id": id, "weight": sign * weight, **known})
        return Query(tuple(parts)), told

    def _keep(self, searcher: Searcher, data: bytes) -> str:
        try:
            pixels = picture.pixels(data, picture.QUERY)
        except ValueError as error:
            raise QueryError(str(error)) from error
        kept = Kept(searcher.encoded(pixels).embedding, picture.thumbnail(pixels))
        return self.pictures.keep(data, kept)

    def _alike(self, index: Index, id: str) -> tuple[Any, dict[str, Any]]:
        """An embedding, and the video and the second of a moment, which a picture has not."""
        if ID.fullmatch(id):
            segment = index.segment(id)
            place = {"video": readable(index.names[segment]), "start": index.times[segment, 0]}
            return index.embeddings(np.array([segment]))[0], place
        kept = self.pictures.find(id)
        if kept is None:
            raise QueryError(FORGOTTEN)
        return kept.embedding, {"video": None, "start": None}

    async def _in_turn(self, function: Callable[[Any], T], given: Any) -> T:
        if self.waiting >= self.max_waiting:
            raise HTTPException(503, "too many searches at once", {"retry-after": "1"})
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, function, given)
        finally:
            self.waiting -= 1


def _told(searcher: Searcher, found: _Found, count: int, previews: bool) -> dict[str, Any]:
    """The best by either ranking, so that the page can show both."""
    index, answer = searcher.index, found.answer
    hits = [hit for hit in answer.hits if min(hit.rank, hit.coarse_rank or hit.rank) <= count]
    return {
        "stage": answer.stage,
        "note": note(searcher),
        "like": found.like,
        "count": count,
        "candidates": answer.candidates,
        "milliseconds": answer.milliseconds,
        "results": [
            index.moment(hit).as_json() | _how_it_plays(index, hit.segment, previews)
            for hit in hits
        ],
    }


def _examples(index: Index) -> list[str]:
    """Moments from all over the index, of as many videos as may be."""
    videos = np.unique(np.linspace(0, len(index.videos) - 1, NUM_EXAMPLES).astype(int)).tolist()
    return [index.id((index.starts[one] + index.starts[one + 1]) // 2) for one in videos]


def existing(index: Index, moment: str) -> int:
    """The number of a segment; raises 404 where there is none of that id."""
    try:
        return index.segment(moment)
    except QueryError as error:
        raise HTTPException(404, str(error)) from error


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


def _how_it_plays(index: Index, segment: int, previews: bool) -> dict[str, Any]:
    name, codec, photo = index.names[segment], index.codecs[segment], index.photo[segment]
    return {
        "media_type": media_type(name),
        "codec": codec or None,
        "plays": photo or plays(name, codec),
        "preview": _preview(index, segment, previews),
    }


def _preview(index: Index, segment: int, previews: bool) -> str | None:
    """Its address, where there may be one."""
    return f"/preview/{index.id(segment)}" if previews and not index.photo[segment] else None
