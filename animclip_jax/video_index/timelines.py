"""Moments as timelines for editors: CMX3600 EDL, and OpenTimelineIO's JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from animclip_jax.video_index.ranking import Hit, Moment
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.timecode import Base, editing, exact, may_drop
from animclip_jax.words import on_a_terminal, readable
from input_pipeline.media.segment_settings import RATES_SINCE

# Of a photo, which itself lasts for no time; and of a film whose rate is not known.
STILL_SECONDS, UNKNOWN_RATE = 5.0, Fraction(25)
# What an EDL can number.
MOST_EVENTS = 999
# Where programmes begin: before it lie bars and tone.
_HOUR = "01:00:00:00"
TITLE_LETTERS = 70


class Clip(NamedTuple):
    """A moment as a cut of its file.

    rate: frames a second, None of a photo. timecode: of the file's first frame, "" where it has
    none. start, seconds: of the cut, from the file's first frame. length: seconds of the file.
    """

    moment: Moment
    rate: Fraction | None
    timecode: str
    start: float
    seconds: float
    length: float

    @property
    def name(self) -> str:
        return PurePosixPath(self.moment.video).name

    @property
    def score(self) -> float:
        """By which it was ranked, as far as one number says it."""
        found = self.moment.coarse if self.moment.reranked is None else self.moment.reranked
        return round(found, 4)

    @property
    def label(self) -> str:
        return f"rank {self.moment.rank}, score {self.score:g}"

    def base(self, otherwise: Fraction) -> Base:
        """What its file's time codes count."""
        rate = otherwise if self.rate is None else exact(self.rate)
        return Base(rate, may_drop(rate) and ":" not in self.timecode[-3:] and bool(self.timecode))

    def begin(self, base: Base) -> int:
        """The file's first frame, as a time code of that base counts it."""
        own = self.base(base.rate)
        return base.frame(self.timecode, own.each) if self.timecode else 0


def clips(hits: Sequence[Hit], index: Index) -> list[Clip]:
    """The cuts of results.

    Raises FileNotFoundError, ValueError where an index of an earlier version does not know a film's
    rate, and its file can't say it.
    """
    rates: dict[str, Fraction | None] = {}
    found = []
    for hit in hits:
        name, moment = index.names[hit.segment], index.moment(hit)
        video = index.catalogue.videos[name]
        if name not in rates:
            rates[name] = _rate(index, name)
        first, end = index.span(index.siblings(hit.segment))
        seconds = STILL_SECONDS if video.photo else moment.end - moment.start
        start, length = moment.start - first, STILL_SECONDS if video.photo else end - first
        found.append(Clip(moment, rates[name], video.timecode, start, seconds, length))
    return found


def _rate(index: Index, name: str) -> Fraction | None:
    video = index.catalogue.videos[name]
    if video.photo:
        return None
    if video.rate or video.division >= RATES_SINCE:
        return Fraction(video.rate) if video.rate else UNKNOWN_RATE
    # Here, since PyAV takes a while to load.
    from input_pipeline.media.indexing import rate_of

    return rate_of(index.root / name) or UNKNOWN_RATE


def edl(some: Sequence[Clip], title: str) -> str:
    """A CMX3600 EDL, in the rate that most of the videos have, of the first 999."""
    rates = Counter(editing(one.rate) for one in some if one.rate is not None)
    rate = rates.most_common(1)[0][0] if rates else UNKNOWN_RATE
    counts = [one.base(rate) for one in some if one.timecode]
    drops = may_drop(rate) and all(base.drops for base in counts if base.rate == rate)
    base = Base(rate, drops)
    # A title of nothing would be taken for the next line.
    lines = [f"TITLE: {on_a_terminal(title)[:TITLE_LETTERS].strip() or 'moments'}"]
    lines += [f"FCM: {'' if drops else 'NON-'}DROP FRAME", ""]
    recorded = base.frame(_HOUR, base.each)
    for number, one in enumerate(some[:MOST_EVENTS], 1):
        length = max(1, base.frames(one.seconds))
        first = one.begin(base) + base.frames(one.start)
        edges = first, first + length, recorded, recorded + length
        lines.append(f"{number:03}  AX       V     C        {' '.join(map(base.code, edges))}")
        lines.append(f"* FROM CLIP NAME: {on_a_terminal(one.name)}")
        lines.append(f"* SOURCE FILE: {on_a_terminal(one.moment.path)}")
        lines.append(f"* LOC: {base.code(recorded)} GREEN   {one.label}")
        if one.rate is not None and exact(one.rate) != rate:
            lines.append(f"* SOURCE RATE: {float(exact(one.rate)):.5g}")
        lines.append("")
        recorded += length
    return "\n".join(lines)


def otio(some: Sequence[Clip], title: str) -> str:
    """An OpenTimelineIO timeline as JSON, a clip a result, each in its own video's rate."""
    track = _object("Track.1", name="moments", kind="Video", source_range=None)
    track["children"] = list(_otio_clips(some))
    stack = _object("Stack.1", name="tracks", source_range=None, children=[track])
    timeline = _object("Timeline.1", name=readable(title), global_start_time=None, tracks=stack)
    return json.dumps(timeline, indent=1) + "\n"


def _otio_clips(some: Sequence[Clip]) -> Iterator[dict[str, Any]]:
    rates = [one.rate for one in some if one.rate is not None]
    for one in some:
        base = one.base(exact(rates[0]) if rates else UNKNOWN_RATE)
        begin, length = one.begin(base), max(1, base.frames(one.seconds))
        start = begin + base.frames(one.start)
        file = _object(
            "ExternalReference.1",
            name=one.name,
            target_url=Path(one.moment.path).as_uri(),
            available_range=_range(begin, max(1, base.frames(one.length)), base),
            available_image_bounds=None,
        )
        told = {"animclip": one.moment.as_json()}
        mark = _object("Marker.2", name=one.label, color="GREEN", comment="")
        mark |= {"marked_range": _range(start, 0, base), "metadata": told}
        yield _object("Clip.2", name=one.name, source_range=_range(start, length, base)) | {
            "metadata": told,
            "markers": [mark],
            "media_references": {"DEFAULT_MEDIA": file},
            "active_media_reference_key": "DEFAULT_MEDIA",
        }


def _object(schema: str, **fields: Any) -> dict[str, Any]:
    """What every object of OpenTimelineIO has."""
    whole: dict[str, Any] = {"metadata": {}}
    if schema.split(".")[0] in ("Track", "Stack", "Clip"):
        whole |= {"effects": [], "markers": [], "enabled": True}
    return {"OTIO_SCHEMA": schema} | whole | fields


def _range(start: int, length: int, base: Base) -> dict[str, Any]:
    def time(value: int) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(base.rate), "value": float(value)}

    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": time(start), "duration": time(length)}
