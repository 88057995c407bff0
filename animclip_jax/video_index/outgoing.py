"""The index of a folder as it goes out to an engine or to files: its segments, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animclip_jax.engines.engine import EngineError, Segments
from animclip_jax.engines.place import Place
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import publication, shards
from animclip_jax.video_index.catalogue import Catalogue
from animclip_jax.video_index.publication import Published
from animclip_jax.video_index.shards import Rows
from animclip_jax.words import count

# Segments that are sent together, with a model's codes about 300 MB.
BATCH = 16384
OTHER_PLACE = "publish to another place, or remove that one"


class Counts(NamedTuple):
    """Videos and photos that a publication added, removed and left as they were; its segments."""

    added: int
    removed: int
    unchanged: int
    segments: int

    def __str__(self) -> str:
        return (
            f"{count(self.segments, 'segment')} published; this time {self.added} added, "
            f"{self.removed} removed, {self.unchanged} unchanged"
        )


class Added(NamedTuple):
    """Videos to be published, with their segments."""

    videos: list[Published]
    segments: Segments


class Local:
    """The index of a folder, as it is published. digests: by name, in the order of the files."""

    def __init__(self, directory: Path):
        self.catalogue = catalogues.read(directory)
        self.parts = shards.read_all(directory, self.catalogue)
        for name, part in self.parts.items():
            shards.require_finite(directory, name, part)
        order = sorted(self.catalogue.videos, key=lambda name: self._place(name))
        self.digests = {name: self._digest(name) for name in order}

    def _place(self, name: str) -> tuple[str, int]:
        video = self.catalogue.videos[name]
        return video.shard, video.first

    def _rows(self, name: str) -> tuple[Rows, slice]:
        shard, first = self._place(name)
        return self.parts[shard], slice(first, first + self.catalogue.videos[name].segments)

    def _said(self, name: str) -> list[str]:
        part, rows = self._rows(name)
        if part.said is None:
            return [""] * (rows.stop - rows.start)
        return [part.said[row] for row in range(rows.start, rows.stop)]

    def _digest(self, name: str) -> str:
        part, rows = self._rows(name)
        features = part.embedding[rows], part.times[rows]
        return publication.digest_of(self.catalogue.videos[name], *features, said=self._said(name))

    @property
    def code(self) -> tuple[int, ...]:
        """The shape of a segment's code, () without codes."""
        for part in self.parts.values():
            return () if part.code is None else part.code.values.shape[1:]
        return ()

    def batches(self, names: list[str], first: int) -> Iterator[Added]:
        """Videos of these names, whose keys begin with `first`, about BATCH segments at a time."""
        some: list[str] = []
        held = 0
        for name in names:
            some.append(name)
            held += self.catalogue.videos[name].segments
            if held >= BATCH:
                yield self._added(some, first)
                first, some, held = first + held, [], 0
        if some:
            yield self._added(some, first)

    def _added(self, names: list[str], first: int) -> Added:
        videos, rows = [], []
        for name in names:
            part, place = self._rows(name)
            taken = part.take(np.arange(place.start, place.stop))
            taken = taken._replace(said=self._said(name))
            video = self.catalogue.videos[name]._replace(first=first)
            speaks = any(taken.said or ())
            videos.append(Published(name, video, self.digests[name], taken.times, speaks))
            rows.append(taken)
            first += video.segments
        names_of = [one.name for one in videos for _ in range(one.video.segments)]
        codes = [code for one in rows for code in _codes(one)]
        segments = Segments(
            names_of,
            np.concatenate([one.times for one in rows]),
            np.concatenate([one.embedding for one in rows]),
            codes or None,
            [picture for one in rows for picture in one.thumbnails],
            [text for one in rows for text in one.said or ()],
        )
        return Added(videos, segments)


def _codes(rows: Rows) -> list[bytes]:
    """Each code as bytes: its values, and then its scales where it has any."""
    if rows.code is None:
        return []
    values, scales = rows.code
    plain = np.asarray(values).view(np.uint8)
    if scales is None:
        return [one.tobytes() for one in plain]
    pairs = zip(plain, np.asarray(scales), strict=True)
    return [value.tobytes() + scale.tobytes() for value, scale in pairs]


def refuse_other(there: Catalogue, here: Catalogue, place: Place) -> None:
    """Raises EngineError where another index than this one is published at a place."""
    for name in ("model", "root", "settings", "reranks", "code_dtype"):
        published, own = getattr(there, name), getattr(here, name)
        if published != own:
            raise EngineError(
                f"{place}: an index with another {name}: {published}, not {own}; {OTHER_PLACE}"
            )
