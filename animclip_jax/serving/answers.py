"""What the API answers, as types: FastAPI makes the schema of them, and checks what is sent."""

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Object(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(_Object):
    """Every error."""

    error: str


class Index(_Object):
    """The index that is searched."""

    videos: int
    photos: int
    segments: int
    reranks: bool
    speaks: Annotated[bool, Field(description="Whether videos have subtitles.")]
    folders: Annotated[list[str], Field(description="With files below them; the first 1,000.")]
    examples: Annotated[list[str], Field(description="The `id` of a few of its moments.")]
    note: Annotated[str | None, Field(description="What the model can't do.")]


class Quarantined(_Object):
    """A file that can't be read."""

    file: str
    reason: str


class Status(_Object):
    """The index that is searched, and what is not in it."""

    root: Annotated[str, Field(description="The folder that was indexed.")]
    videos: int
    photos: int
    segments: int
    hours: Annotated[float, Field(description="How long its videos last together.")]
    speaks: Annotated[bool, Field(description="Whether videos have subtitles.")]
    reranks: bool
    model: Annotated[str, Field(description="Where the model was when the index was made.")]
    note: Annotated[str | None, Field(description="What the model can't do.")]
    updated: Annotated[datetime.datetime, Field(description="When the index changed last.")]
    problem: Annotated[
        str | None,
        Field(description="Why an index that has changed since can't be used; null else."),
    ]
    quarantined_count: int
    quarantined: Annotated[list[Quarantined], Field(description="The first 1,000.")]


class Span(_Object):
    """A segment of a scene."""

    id: str
    start: Annotated[float, Field(description="In seconds.")]
    end: Annotated[float, Field(description="In seconds.")]
    score: Annotated[float, Field(description="Cosine similarity to the query.")]


class Result(_Object):
    """A segment that was found, and what else was found of its scene."""

    id: Annotated[str, Field(description="Names the segment, also after an update of the index.")]
    rank: Annotated[int, Field(ge=1)]
    coarse_rank: Annotated[
        int | None,
        Field(ge=1, description="Before re-ranking; null where it was found by words alone."),
    ]
    video: Annotated[str, Field(description="Path below the indexed folder.")]
    photo: Annotated[bool, Field(description="Whether it is a photo: start and end are 0.")]
    start: Annotated[float, Field(description="In seconds.")]
    end: Annotated[float, Field(description="In seconds.")]
    coarse: Annotated[
        float, Field(description="Cosine similarity: the highest of what was found of the scene.")
    ]
    reranked: Annotated[
        float | None, Field(description="The score after re-ranking; null without it.")
    ]
    seen: Annotated[bool, Field(description="Whether it was found by what it shows.")]
    said: Annotated[
        str | None, Field(description="Where it was found by its subtitles, an excerpt of these.")
    ]
    path: Annotated[str, Field(description="Of the file, on the server's machine.")]
    scene_start: Annotated[float, Field(description="Of the whole scene, in seconds.")]
    scene_end: Annotated[float, Field(description="Of the whole scene, in seconds.")]
    segments: Annotated[
        list[Span],
        Field(
            description="What was found of the scene, by time, the segment itself too; with "
            "`group=0` that alone."
        ),
    ]
    media_type: str
    codec: Annotated[
        str | None, Field(description="FFmpeg's name of the video codec; null if not known.")
    ]
    plays: Annotated[
        bool, Field(description="Whether Chromium plays a file of that name and codec.")
    ]
    preview: Annotated[
        str | None,
        Field(
            description="The address of an MP4 of the segment that every browser plays; null for a "
            "photo, or if the server makes none."
        ),
    ]


class Likeness(_Object):
    """A picture or a moment that was searched by."""

    id: str
    weight: Annotated[float, Field(description="Negative for what should not be alike.")]
    video: Annotated[str | None, Field(description="The video of a moment; null of a picture.")]
    start: Annotated[float | None, Field(description="Of the moment, in seconds.")]


class Piece(_Object):
    """A segment of a video's timeline."""

    id: str
    start: Annotated[float, Field(description="In seconds.")]
    end: Annotated[float, Field(description="In seconds.")]
    coarse: Annotated[float, Field(description="Cosine similarity to the query.")]
    preview: Annotated[str | None, Field(description="As of a result.")]


class Timeline(_Object):
    """A video, and how well each of its segments fits a query."""

    video: Annotated[str, Field(description="Path below the indexed folder.")]
    photo: bool
    media_type: str
    codec: str | None
    plays: bool
    segments: Annotated[list[Piece], Field(description="All of them, by time.")]


class Place(_Object):
    """Where the file of a segment lies."""

    path: Annotated[str, Field(description="On the server's machine.")]
    opens: Annotated[bool, Field(description="Whether POST opens its folder for this client.")]


class Answer(_Object):
    """The results of a search, best first by either ranking."""

    stage: Literal["coarse", "reranked"]
    note: Annotated[str | None, Field(description="What the model can't do.")]
    like: list[Likeness]
    count: Annotated[int, Field(description="Results of each ranking.")]
    candidates: Annotated[int, Field(description="Segments that were ranked.")]
    milliseconds: dict[str, float]
    results: list[Result]


def errors(**described: str) -> dict[int | str, dict[str, Any]]:
    """Responses with an Error, by status: errors(_404="No such segment.")."""
    return {int(s[1:]): {"model": Error, "description": text} for s, text in described.items()}


# What any request may be answered.
SHARED_ERRORS = errors(
    _400="A parameter is missing or wrong, or the request is not HTTP.",
    _401="The server requires a token, and this one is missing or wrong.",
    _408="The request did not arrive in time.",
    _421="The Host header names another server.",
    _500="The server failed; its output says why.",
    _503="Too many searches, previews or connections at once, or no answer from the engine that "
    "holds a published index; try again.",
)
# Pydantic's 422 never goes out: a wrong parameter is a 400.
SHARED_ERRORS["default"] = {"model": Error, "description": "Any other error."}
