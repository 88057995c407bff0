"""Which videos Chromium plays: the table of docs/search.md, measured by benchmarks."""

from __future__ import annotations

from pathlib import Path

# By the names of files, for Chromium looks into them: what plays in one of a kind plays in all.
CONTAINERS = frozenset(
    (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".webm", ".mkv", ".ogv", ".ogg", ".gif")
)
# By FFmpeg's names.
CODECS = frozenset(("h264", "av1", "vp8", "vp9", "gif"))
# Of what browsers play; the rest goes out as bytes.
MEDIA_TYPES = {
    **dict.fromkeys((".mp4", ".m4v"), "video/mp4"),
    **{".mov": "video/quicktime", ".webm": "video/webm", ".mkv": "video/x-matroska"},
    **{".ogv": "video/ogg", ".gif": "image/gif"},
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "image/jpeg"),
    **{".png": "image/png", ".webp": "image/webp", ".bmp": "image/bmp"},
}
UNKNOWN = "application/octet-stream"


def plays(name: str, codec: str) -> bool:
    """Whether a video of that name and codec plays; a codec that is not known, "", may."""
    return Path(name).suffix.lower() in CONTAINERS and codec in (*CODECS, "")


def media_type(name: str) -> str:
    """What a video or a photo is sent as, by its file's name."""
    return MEDIA_TYPES.get(Path(name).suffix.lower(), UNKNOWN)
