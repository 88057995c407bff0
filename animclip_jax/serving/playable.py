"""Which videos Chromium plays: the table of docs/search.md, measured by benchmarks."""

from __future__ import annotations

from pathlib import Path

# By the names of files, for Chromium looks into them: what plays in one of a kind plays in all.
CONTAINERS = frozenset(
    (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".webm", ".mkv", ".ogv", ".ogg", ".gif")
)
# By FFmpeg's names.
CODECS = frozenset(("h264", "av1", "vp8", "vp9", "gif"))


def plays(name: str, codec: str) -> bool:
    """Whether a video of that name and codec plays; a codec that is not known, "", may."""
    return Path(name).suffix.lower() in CONTAINERS and codec in (*CODECS, "")
