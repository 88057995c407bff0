"""Words in what commands print, and in errors of settings."""

import math
import os
import re
import unicodedata
from collections.abc import Mapping


def count(number: int, noun: str) -> str:
    """As in "1 video" and "1,200 videos", "2 queries", "3 batches"."""
    if number != 1:
        noun = re.sub("ry$", "rie", re.sub("ch$", "che", noun)) + "s"
    return f"{number:,} {noun}"


def holdings(videos: int, photos: int, segments: int) -> str:
    """What an index holds, as in "5 videos and 2 photos in 9 segments"."""
    kinds = [count(videos, "video")] * (videos > 0 or not photos)
    kinds += [count(photos, "photo")] * (photos > 0)
    return f"{' and '.join(kinds)} in {count(segments, 'segment')}"


def installs(extra: str) -> str:
    """The command that adds an extra's packages, of a package from wherever it was installed."""
    return f'pip install "animclip-jax[{extra}]"'


def readable(name: str) -> str:
    """A file's name as text, also where its bytes are none."""
    return os.fsencode(name).decode("utf-8", "replace")


def comparable(name: str) -> str:
    """A name as people type it: however its accents are stored, and where bytes are no text."""
    return unicodedata.normalize("NFC", readable(name))


def on_a_terminal(name: str) -> str:
    """A name, or a line that has one, as `readable`; what a terminal would obey as numbers."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in readable(name)
    )


def clock(seconds: float) -> str:
    """As in 1:02:03.4, the hours where there are any."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def require_amounts(settings: Mapping[str, float]) -> None:
    """Raises ValueError, which names the setting, where one is negative or not finite."""
    for name, given in settings.items():
        if not 0 <= given < math.inf:
            raise ValueError(f"{name} {given}: wanted a finite number, 0 or more")


def require_at_least(least: int, settings: Mapping[str, int]) -> None:
    """Raises ValueError, which names the setting, where one of these numbers is less."""
    for name, given in settings.items():
        if given < least:
            raise ValueError(f"{name} {given}: wanted {least} or more")
