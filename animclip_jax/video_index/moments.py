"""Moments as other programs take them: JSON, CSV, EDL and OpenTimelineIO."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from animclip_jax.video_index import timelines
from animclip_jax.video_index.open import as_json
from animclip_jax.video_index.ranking import Answer, Hit, Moment
from animclip_jax.video_index.searcher import Searcher

FORMATS = JSON, CSV, EDL, OTIO = "json", "csv", "edl", "otio"
MEDIA_TYPES = {
    **{JSON: "application/json", CSV: "text/csv; charset=utf-8"},
    **{EDL: "text/plain; charset=utf-8", OTIO: "application/json"},
}
_COLUMNS = tuple(name for name in Moment._fields if name != "segments")
# With which a cell begins that a spreadsheet would compute.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def written(
    format: str, answer: Answer, shown: Sequence[Hit], searcher: Searcher, title: str
) -> str:
    """Results as a document of that format.

    Args:
      format: of FORMATS. title: of a timeline.
    Raises:
      FileNotFoundError, ValueError: as `timelines.clips`.
    """
    if format == JSON:
        return json.dumps(as_json(answer, shown, searcher), indent=1) + "\n"
    if format == CSV:
        return table(searcher.index.moment(hit) for hit in shown)
    write = timelines.edl if format == EDL else timelines.otio
    return write(timelines.clips(shown, searcher.index), title)


def table(moments: Iterable[Moment]) -> str:
    """CSV with a line of names, lines end in a line feed; times are those of the found segments."""
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\n")
    writer.writerow((*_COLUMNS, "segments"))
    for moment in moments:
        fields = moment.as_json()
        spans = " ".join(f"{_seconds(one.start)}-{_seconds(one.end)}" for one in moment.segments)
        writer.writerow([_cell(fields[name]) for name in _COLUMNS] + [spans])
    return told.getvalue()


def _seconds(time: float) -> str:
    """To a thousandth, without zeros behind it, however long the video is."""
    return f"{time:.3f}".rstrip("0").rstrip(".")


def _cell(value: Any) -> Any:
    """A value as a spreadsheet shows it: an apostrophe before text that would be a formula."""
    is_formula = isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA)
    return f"'{value}" if is_formula else value
