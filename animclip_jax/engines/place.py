"""Names of engines, as commands take them: lancedb:FOLDER, qdrant:URL, parquet:DIR."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

LANCEDB, QDRANT, PARQUET = "lancedb", "qdrant", "parquet"
SCHEMES = {LANCEDB: "a folder or a bucket", QDRANT: "an http or https URL", PARQUET: "a folder"}


class Place(NamedTuple):
    """Where an index is published: an engine of SCHEMES, and the folder, bucket or URL of it."""

    engine: str
    where: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.where}"


def given(text: str) -> Place | None:
    """The place that a text names; None where it names a folder of this machine.

    Raises ValueError where the engine's name is followed by nothing that it could be at.
    """
    engine, colon, where = text.partition(":")
    if not colon or engine not in SCHEMES:
        return None
    wanted = f"{text!r}: wanted {engine}:, and behind it {SCHEMES[engine]}"
    if not where:
        raise ValueError(wanted)
    if engine == QDRANT:
        if not where.startswith(("http://", "https://")) or not where.partition("//")[2]:
            raise ValueError(f"{wanted}, such as {QDRANT}:http://localhost:6333")
    elif "://" not in where:
        where = str(Path(os.path.expanduser(where)))
        if engine == PARQUET and Path(where).name in ("", ".."):  # New files take its name.
            raise ValueError(f"{wanted} with a name of its own, such as {PARQUET}:films")
    elif engine == PARQUET:
        raise ValueError(f"{wanted} of this machine")
    return Place(engine, where)


def target(text: str) -> Place:
    """As `given`. Raises ValueError, too, where it names no engine."""
    if (found := given(text)) is None:
        raise ValueError(f"{text!r}: wanted one of {', '.join(f'{one}:' for one in SCHEMES)}")
    return found
