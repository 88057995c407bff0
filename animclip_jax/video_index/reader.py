"""An index that is open: its segments by number, as they were then."""

from __future__ import annotations

import bisect
import errno
import functools
import hashlib
import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import jax
import numpy as np
from jax.sharding import NamedSharding

from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.models.video_code import PackedCode
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import scenes, shards, spoken
from animclip_jax.video_index.catalogue import Catalogue
from animclip_jax.video_index.query import QueryError
from animclip_jax.video_index.ranking import Hit, Moment, Span
from animclip_jax.video_index.spoken import Spoken
from animclip_jax.video_index.stage_one import Flat, StageOne
from animclip_jax.words import clock, comparable, readable
from input_pipeline.media.segment_settings import SCENES_SINCE

# How often a reader looks again when a writer has just removed what the catalogue named.
_ATTEMPTS = 5
# Names a segment: its video by a checksum of the path, and which one of that video's it is.
ID = re.compile(r"([0-9a-f]{16})-(\d{1,9})")


class Index:
    """The segments of an index, by number: opened once, it stays as it was then.

    embedding float32 [N, E]. names: each segment's video, its path below `root` in `/`;
    codecs: that video's, "" where it is not known. photo: whether it is one. scene: int [N],
    numbers that rise; segments of one scene follow each other. state: of the catalogue, before it
    was read.
    """

    def __init__(self, directory: Path):
        """Raises FileNotFoundError or ValueError where it can't be read, or holds no video."""
        for attempt in range(_ATTEMPTS):
            try:
                self.state = catalogues.state(directory)
                self.catalogue = catalogues.read(directory)
                self._open(directory, self.catalogue)
            except OSError as error:
                # A network drive calls a file stale that another machine has removed.
                is_gone = isinstance(error, FileNotFoundError) or error.errno == errno.ESTALE
                if not is_gone or attempt + 1 == _ATTEMPTS:
                    raise
            else:
                # Else a file that a shard need not have may be missing as it was being removed.
                if self.state == catalogues.state(directory):
                    break
        self.root = Path(self.catalogue.root)

    def newest_state(self) -> tuple[int, int, int] | None:
        """What `state` of one that is opened now would be; None where none can be."""
        return catalogues.state(self.directory)

    def reopened(self) -> Index:
        """The index as it is now. Raises as the class does."""
        return type(self)(self.directory)

    def stage_one(self, split: NamedSharding) -> StageOne:
        """What finds the best by embeddings. split: how a gallery lies on the devices."""
        return Flat(self.embedding, split)

    def embeddings(self, segments: np.ndarray) -> np.ndarray:
        """Embeddings of segments int [S], S 1 or more: float32 [S, E]."""
        return np.asarray(self.embedding[segments])

    def _open(self, directory: Path, catalogue: Catalogue) -> None:
        if not catalogue.videos:
            raise ValueError(f"{directory}: no video in this index")
        self.directory = directory
        self.parts = shards.read_all(directory, catalogue)
        for name, part in self.parts.items():
            shards.require_finite(directory, name, part._replace(code=None))
        self._number(catalogue)
        self.embedding, self.times = self._gathered("embedding"), self._gathered("times")

    def _number(self, catalogue: Catalogue) -> None:
        """Numbers the segments of all videos."""
        # In the order of the files, so that one shard is read as it lies there.
        videos = sorted(catalogue.videos.items(), key=lambda one: (one[1].shard, one[1].first))
        self.videos = [name for name, _ in videos]
        self.names = [name for name, video in videos for _ in range(video.segments)]
        self.codecs = [video.codec for _, video in videos for _ in range(video.segments)]
        self.photo = [video.photo for _, video in videos for _ in range(video.segments)]
        self.shard = [video.shard for _, video in videos for _ in range(video.segments)]
        first = np.array([video.first for _, video in videos])
        counts = np.array([video.segments for _, video in videos])
        # Each video's first segment, and the end of the last.
        self.starts = [0, *itertools.accumulate(counts.tolist())]
        self.scene = scenes.numbered([(video.segments, video.continues) for _, video in videos])
        # Of each video the rows from its first.
        self.row = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(sum(counts))

    def _gathered(self, name: str) -> np.ndarray:
        """An array of the shards by segment: the file itself, mapped, where it has this order."""
        arrays = {shard: np.asarray(getattr(part, name)) for shard, part in self.parts.items()}
        one = next(iter(arrays.values()))
        if len(arrays) == 1 and np.array_equal(self.row, np.arange(len(one))):
            return one
        shard = np.array(self.shard)
        found = np.empty((len(self), *one.shape[1:]), one.dtype)
        for number, array in arrays.items():
            here = shard == number
            found[here] = array[self.row[here]]
        return found

    def __len__(self) -> int:
        return len(self.names)

    @functools.cached_property
    def folders(self) -> list[str]:
        """Every folder below `root` that holds a video or a photo, or a folder of these."""
        above = {os.fspath(one) for name in self.videos for one in PurePosixPath(name).parents}
        return sorted(readable(one) for one in above - {"."})

    def moment(self, hit: Hit) -> Moment:
        """A result as people and programs read it."""
        name = self.names[hit.segment]
        ranks = hit.rank, hit.coarse_rank
        about = self.id(hit.segment), self.photo[hit.segment]
        why = hit.coarse_rank is not None, hit.said
        scene = self.span(self.scene_of(hit.segment))
        segments = tuple(
            Span(self.id(one.segment), *self.span([one.segment]), one.coarse)
            for one in hit.scene or (hit,)
        )
        times, path = self.span([hit.segment]), os.fspath(self.root / name)
        found = (*ranks, readable(name), *times, hit.coarse, hit.fused, *about, *why)
        return Moment(*found, path, *scene, segments)

    def span(self, segments: Sequence[int]) -> tuple[float, float]:
        """From the start of the first to the end of the last, in seconds."""
        first, last = self.times[segments[0], 0], self.times[segments[-1], 1]
        return round(float(first), 3), round(float(last), 3)

    def scene_of(self, segment: int) -> range:
        """All segments of its scene, by time."""
        scene = self.scene[segment]
        first, end = np.searchsorted(self.scene, (scene, scene + 1)).tolist()
        return range(first, end)

    @property
    def lacks_scenes(self) -> bool:
        """Whether it holds videos that were divided before it was kept what is one scene."""
        videos = self.catalogue.videos.values()
        return self.catalogue.settings.shots and any(
            one.division < SCENES_SINCE for one in videos if not one.photo
        )

    def id(self, segment: int) -> str:
        """What names a segment: the same after an update of the index, if its video is the same."""
        video = bisect.bisect_right(self.starts, segment) - 1
        return f"{_key(self.videos[video])}-{segment - self.starts[video]}"

    def siblings(self, segment: int) -> range:
        """All segments of its video, by time."""
        video = bisect.bisect_right(self.starts, segment) - 1
        return range(self.starts[video], self.starts[video + 1])

    def segment(self, id: str) -> int:
        """The segment of that name. Raises QueryError where there is none."""
        match = ID.fullmatch(id)
        video = self._by_key.get(match[1]) if match else None
        if match is None or video is None:
            raise QueryError(f"no such moment: {id!r:.60}; wanted the `id` of a result")
        segment = self.starts[video] + int(match[2])
        if segment >= self.starts[video + 1]:
            raise QueryError(f"no such moment: {id!r}; that video is a shorter one now")
        return segment

    @functools.cached_property
    def _by_key(self) -> dict[str, int]:
        return {_key(name): number for number, name in enumerate(self.videos)}

    def at(self, path: Path, seconds: float) -> int:
        """The segment of an indexed video at a time on a player's clock.

        Args:
          path: of the video's file, or as results show it: below the folder that was indexed.

        Raises ValueError where it is not in the index, or shorter.
        """
        names = [os.fspath(path)]
        # A video may be a link, and so may a folder above the root.
        for where in (os.path.abspath, os.path.realpath):
            names.append(os.path.relpath(where(path), where(self.root)))
        found = [name for name in names if name in self.catalogue.videos]
        if not found:  # As it is shown: its accents are stored otherwise, or its bytes are no text.
            shown = [self._by_text.get(comparable(name)) for name in names]
            found = [name for name in shown if name]
        if not found:
            raise ValueError(
                f"{path}: not in this index, wanted a video of it before the @; a whole file may "
                "be any"
            )
        name = found[0]
        first = self.starts[self.videos.index(name)]
        times = self.times[first : first + self.catalogue.videos[name].segments]
        if seconds > times[-1, 1]:
            raise ValueError(f"{path}: ends at {clock(times[-1, 1])}, before {clock(seconds)}")
        return first + max(0, int(np.searchsorted(times[:, 0], seconds, "right")) - 1)

    @functools.cached_property
    def _by_text(self) -> dict[str, str]:
        """Videos by their names as people type them; "" where several look the same."""
        found: dict[str, str] = {}
        for name in self.videos:
            text = comparable(name)
            found[text] = "" if text in found else name
        return found

    @property
    def speaks(self) -> bool:
        """Whether anything is said in its videos, as far as their subtitles tell."""
        return any(part.said is not None for part in self.parts.values())

    def said(
        self, expression: str, count: int, allowed: np.ndarray | None = None
    ) -> list[tuple[int, str]]:
        """The best segments for an expression of `spoken`, each with an excerpt of its words.

        Args:
          count: how many, at most. allowed: bool [N], of which segments; None: of all.
        """
        may = np.ones(len(self), bool) if allowed is None else allowed
        found = self._spoken.find(expression, may.tolist().__getitem__, count)
        return [(one.row, one.excerpt) for one in found]

    @functools.cached_property
    def _spoken(self) -> Spoken:
        """All that is said, in one place, when it is first searched for.

        How rare a word is counts there over all videos, and none that were removed: shards, each
        for itself, would rank by their own.
        """
        shard, texts = np.array(self.shard), [""] * len(self)
        for name, part in self.parts.items():
            if not isinstance(part.said, Spoken):
                continue
            if len(self.parts) == 1 and np.array_equal(self.row, np.arange(len(part.said))):
                return part.said
            here = np.flatnonzero(shard == name)
            segments = dict(zip(self.row[here].tolist(), here.tolist(), strict=True))
            for row, text in part.said.texts():
                if row in segments:
                    texts[segments[row]] = text
        return spoken.held(texts)

    @property
    def hours(self) -> float:
        """How long its videos last together."""
        ends = self.times[np.array(self.starts[1:]) - 1, 1]
        return float((ends - self.times[self.starts[:-1], 0]).sum()) / 3600

    def thumbnail(self, segment: int) -> bytes:
        """JPEG."""
        return self.parts[self.shard[segment]].thumbnails[int(self.row[segment])]

    def features(self, segments: np.ndarray) -> VideoFeatures:
        """Features of some segments, codes as they are stored.

        Raises ValueError, which names the file, where a code holds numbers that are not finite.
        """
        shard = np.array([self.shard[one] for one in segments.tolist()])
        order, codes = [], []
        for name in np.unique(shard).tolist():
            places = np.flatnonzero(shard == name)
            part = self.parts[name].take(self.row[segments[places]])
            shards.require_finite(self.directory, name, part)
            order.append(places)
            codes.append(part.code)
        back = np.argsort(np.concatenate(order))
        code: PackedCode = jax.tree.map(lambda *some: np.concatenate(some)[back], *codes)
        return VideoFeatures(self.embeddings(segments), code)


def _key(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
