"""What an update of an index did, as numbers and in words."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from animclip_jax.api import DRAWN_ONLY, Model
from animclip_jax.video_index.listing import Listing
from animclip_jax.words import count, holdings, on_a_terminal
from input_pipeline.media import quarantine

# Names in a line of the report.
SHOWN = 5


class Summary(NamedTuple):
    """What an update did, in files, and what the index holds now.

    divided: how many of those that were read had been divided in an older way. kept: how many of
    its files can't be seen now, and may be there.
    """

    indexed: int
    divided: int
    unchanged: int
    removed: int
    kept: int
    quarantined: dict[str, str]
    videos: int
    photos: int
    segments: int
    listing: Listing


def limits_of(model: Model, name: str) -> list[str]:
    """What searches with a model can't do, for people."""
    coarse = f"{name} has no re-ranker: searches of this index are coarse only"
    return [coarse] * (not model.reranks) + [DRAWN_ONLY] * model.drawn_only


def report(out: Path, done: Summary) -> str:
    """What an update did, for people."""
    lines = [
        f"{out}: {holdings(done.videos, done.photos, done.segments)}; this time "
        f"{done.indexed} indexed, {done.unchanged} unchanged, {done.removed} removed"
    ]
    if done.divided:
        lines.append(
            f"{count(done.divided, 'video')} divided anew: shots are found more exactly now, "
            "moments are grouped by scene, and larger models see larger frames"
        )
    if done.quarantined:
        listed = out / quarantine.NAME
        lines.append(f"{len(done.quarantined)} can't be read, listed in {listed} with the reason")
    if done.listing.others:
        lines.append(f"not videos by their names: {count(done.listing.others, 'file')}")
    reasons: dict[str, list[str]] = {}
    for name, reason in sorted(done.listing.left.items()):
        reasons.setdefault(reason, []).append(on_a_terminal(name))
    for reason, names in reasons.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"left alone: {', '.join(names[:SHOWN])}{more}: {reason}")
    if done.kept:
        lines.append(
            f"{count(done.kept, 'video')} not found now, kept in the index; --forget removes "
            "missing videos"
        )
    return "\n".join(lines)
