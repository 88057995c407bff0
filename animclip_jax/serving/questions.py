"""What the API is asked, as types: FastAPI describes them and checks what is sent."""

from __future__ import annotations

import datetime
from dataclasses import fields
from typing import Annotated, Literal

from fastapi import Path as InPath
from pydantic import BaseModel, Field, StringConstraints

from animclip_jax.video_index.filters import Filters
from animclip_jax.video_index.query import MAX_CHARACTERS, MAX_PARTS
from animclip_jax.video_index.searcher import DEPTH

DEFAULT_RESULTS, MAX_RESULTS = 12, DEPTH
MOMENT, PICTURE = r"[0-9a-f]{16}-\d{1,9}", r"[0-9a-f]{32}"

Sentence = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=MAX_CHARACTERS, pattern=r"\S"
    ),
]
Alike = Annotated[
    str, StringConstraints(pattern=rf"^({MOMENT}|{PICTURE})(\^\d+(\.\d+)?)?$", max_length=60)
]
Moment = Annotated[str, InPath(pattern=f"^{MOMENT}$", description="A result's `id`.")]
Picture = Annotated[str, InPath(pattern=f"^{PICTURE}$", description="A picture's `id`.")]


class Question(BaseModel):
    """The parameters of every search."""

    q: Annotated[
        Sentence | None,
        Field(
            description='The sentence. -word and -"some words" are what should not be there, '
            '+"some words" is another sentence, and ^2 behind any of them is its weight.'
        ),
    ] = None
    without: Annotated[
        list[Sentence],
        Field(max_length=MAX_PARTS, description="What should not be there; may be repeated."),
    ] = []
    like: Annotated[
        list[Alike],
        Field(
            max_length=MAX_PARTS,
            description="The `id` of a result, or of a picture that was sent before: find what is "
            "like it. ^2 behind it is its weight. May be repeated.",
        ),
    ] = []
    unlike: Annotated[
        list[Alike],
        Field(max_length=MAX_PARTS, description="As `like`, for what should not be alike."),
    ] = []
    n: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_RESULTS,
            description="The number of results for each ranking. Those that the re-ranker did not "
            "see stand behind those that it saw.",
        ),
    ] = DEFAULT_RESULTS
    by: Annotated[
        Literal["seen", "said", "both"],
        Field(description="Whether to find moments by what they show, by subtitles, or by both."),
    ] = "both"
    folder: Annotated[
        str,
        Field(max_length=4096, description="Only below this folder of the one that was indexed."),
    ] = ""
    name: Annotated[
        str,
        Field(
            max_length=255,
            description="Only files with this in their names; * and ? stand for any letters.",
        ),
    ] = ""
    since: Annotated[
        datetime.date | None,
        Field(description="Only what was made on this day or later; 2026-11-29."),
    ] = None
    until: Annotated[
        datetime.date | None, Field(description="Only what was made on this day or before.")
    ] = None
    longer: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False, description="Only videos of so many seconds or more."),
    ] = None
    shorter: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False, description="Only videos of so many seconds or fewer."),
    ] = None
    shape: Annotated[
        Literal["", "landscape", "portrait", "square"], Field(description="Only of this shape.")
    ] = ""
    kind: Annotated[
        Literal["", "video", "photo"], Field(description="Only videos, or only photos.")
    ] = ""
    coarse_only: Annotated[
        Literal["true", "false"], Field(description="Whether to skip re-ranking.")
    ] = "false"
    group: Annotated[
        Literal["1", "0"],
        Field(
            description="Whether a scene is one result, for all of its segments that were found."
        ),
    ] = "1"

    @property
    def title(self) -> str:
        """What is searched for, in words."""
        return self.q or " ".join(self.without) or "moments"

    @property
    def filters(self) -> Filters:
        """What may be found."""
        return Filters(**{one.name: getattr(self, one.name) for one in fields(Filters)})


class Export(Question):
    """The parameters of a search whose results are saved."""

    format: Annotated[
        Literal["json", "csv", "edl", "otio"],
        Field(description="JSON, a table, or a timeline for editors: CMX3600 EDL, OpenTimelineIO."),
    ]
