"""Brings an index up to date with a folder: embeds what is new, forgets what is gone.

What is embedded is kept every half minute, so that a kill loses no more than that.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from animclip_jax.api import Model
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import embedding, joining, merging, shards
from animclip_jax.video_index.catalogue import Catalogue, Quarantined, Stamp, Video
from animclip_jax.video_index.effort import Effort
from animclip_jax.video_index.embedding import Embedded, Job
from animclip_jax.video_index.listing import EMPTY, Listing, is_photo, list_videos, problem_of
from animclip_jax.video_index.progress import Progress
from animclip_jax.video_index.summary import Summary
from animclip_jax.words import count
from input_pipeline.media import workers
from input_pipeline.media.indexing import Read, Source
from input_pipeline.media.on_ray import Cluster
from input_pipeline.media.parts import Part
from input_pipeline.media.segment_settings import DIVISION
from input_pipeline.media.segments import SegmentSettings

# Kept together at most.
FLUSH_SEGMENTS = 4096
# From then on a kill may cost a twentieth of an update's time, not embedding.FLUSH_SECONDS.
LONG_SECONDS = 600.0
# Shards beyond which, and share of their rows beyond which, an index is written anew as one shard.
MAX_SHARDS, MAX_DEAD = 16, 0.25
# Shards of an update beyond which some are joined while it runs: each takes open files.
MAX_WRITTEN = 32


def update(
    directory: Path,
    root: Path,
    model: Model,
    model_path: Path,
    settings: SegmentSettings,
    effort: Effort = Effort(),  # noqa: B008 (frozen)
    forget: bool = False,
    photos: bool = True,
    part: Part | None = None,
    merge: int | None = None,
) -> Summary:
    """Makes the index `directory` of the videos below `root`, or brings it up to date.

    Args:
      forget: forgets every video that is not seen, however many, and whatever may hide it.
      photos: whether photos are indexed, too; False removes those that are.
      part: indexes the files of this part alone, in `part.place(directory)`.
      merge: how many parts to merge into `directory` first; not together with `part`.

    Raises:
      NotADirectoryError: root is no folder. BlockingIOError: another process writes the index.
      ValueError: it was made with another model, other settings or of another folder, or most of
        its videos are not there now. RuntimeError: a process for decoding can't start.
      files.DiskError: the disk of the index is full; the next call goes on. Merging raises as
        `merging.merge`.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no folder of videos")
    if part is not None and merge is not None:
        raise ValueError(f"part {part} and merge {merge}: wanted one of them at most")
    if part is not None:
        directory = part.place(directory)
    with catalogues.locked(directory):
        wanted = _wanted(root, model, model_path, settings)
        listing = list_videos(root, directory, photos)
        if merge is not None:
            found: Catalogue | None = merging.merge(directory, wanted, listing, merge)
        else:
            found = _found(directory, wanted)
        shards.remove_unused(directory, found)
        _clear_spool(directory)
        if part is not None:
            merging.begin(directory)
            listing.videos = {n: one for n, one in listing.videos.items() if part.holds(n)}
        run = _Update(directory, root, model, found or wanted, effort)
        dropped = 0 if photos else run.drop_photos()
        kept, removed = run.forget(listing, everything=forget)
        removed += dropped
        todo = run.todo(listing)
        divided = len(run.divided_otherwise() & set(todo))
        if found is None or removed or found.model_path != wanted.model_path:
            run.catalogue.model_path = wanted.model_path
            run.save()
        run.index(todo, listing)
        run.compact()
        if part is not None:
            merging.finish(directory, part)
        return run.summary(todo, divided, removed, kept, listing)


def _wanted(root: Path, model: Model, model_path: Path, settings: SegmentSettings) -> Catalogue:
    """A catalogue of nothing."""
    return Catalogue(
        os.fspath(root.resolve()),
        model.fingerprint,
        os.fspath(model_path.resolve()),
        model.reranks,
        model.config.reranker.code_dtype,
        settings,
    )


def _found(directory: Path, wanted: Catalogue) -> Catalogue | None:
    if not (directory / catalogues.CATALOGUE).exists():
        return None
    found = catalogues.read(directory)
    catalogues.require_same(directory, found, wanted)
    return found


@dataclass
class _Pending:
    """Files that are embedded and not kept yet, by their numbers in the list of what to do."""

    done: dict[int, Embedded] = field(default_factory=dict)
    segments: int = 0
    since: float = field(default_factory=time.monotonic)


class _Update:
    """One update of an index."""

    def __init__(
        self, directory: Path, root: Path, model: Model, catalogue: Catalogue, effort: Effort
    ):
        self.directory, self.root, self.model = directory, root, model
        self.catalogue, self.effort = catalogue, effort
        self.began = time.monotonic()
        self.pending = _Pending()
        self.failed: list[str] = []
        # Shards of this update.
        self.written: list[str] = []

    def summary(
        self, todo: list[str], divided: int, removed: int, kept: int, listing: Listing
    ) -> Summary:
        """What this update did, and what the index holds now."""
        return Summary(
            len(todo) - len(self.failed),
            divided,
            len(listing.videos) - len(todo),
            removed,
            kept,
            {name: one.reason for name, one in self.catalogue.quarantined.items()},
            *self.catalogue.counts,
            sum(video.segments for video in self.catalogue.videos.values()),
            listing,
        )

    def drop_photos(self) -> int:
        """Forgets all photos, also those that can't be read; how many were indexed."""
        photos = [name for name, video in self.catalogue.videos.items() if video.photo]
        for name in photos:
            del self.catalogue.videos[name]
        for name in list(self.catalogue.quarantined):
            if is_photo(name):
                del self.catalogue.quarantined[name]
        return len(photos)

    def forget(self, listing: Listing, everything: bool) -> tuple[int, int]:
        """Forgets what is no longer there; how many files are kept unseen, and are forgotten.

        Raises ValueError where most would be forgotten, as where a disk is not mounted.
        """
        known = self.catalogue.videos.keys() | self.catalogue.quarantined.keys()
        beside = {name for several in listing.subtitles.values() for name, _ in several}
        gone = known - listing.videos.keys() - beside
        unseen = len(gone)
        if not everything:
            held = {os.fspath(above) for name in gone for above in PurePosixPath(name).parents}
            listing.left |= {folder: EMPTY for folder in listing.empty if folder in held}
            gone = {name for name in gone if not listing.hides(name)}
            if 2 * len(gone) > len(known):
                raise ValueError(
                    f"{self.root}: {len(gone)} of {count(len(known), 'video')} in {self.directory} "
                    f"are not there now, such as {min(gone)}: is its disk mounted? Nothing was "
                    "changed; if they are really gone, --forget removes them from the index"
                )
        for name in gone:
            self.catalogue.videos.pop(name, None)
            self.catalogue.quarantined.pop(name, None)
        return unseen - len(gone), len(gone)

    def todo(self, listing: Listing) -> list[str]:
        """What is new or has changed."""
        known = {name: video.stamp for name, video in self.catalogue.videos.items()}
        for name in self.divided_otherwise():
            del known[name]
        if not self.effort.retry:
            known |= {name: bad.stamp for name, bad in self.catalogue.quarantined.items()}
        return [
            name
            for name, stamp in listing.videos.items()
            if known.get(name) != stamp or self._other_subtitles(name, listing)
        ]

    def divided_otherwise(self) -> set[str]:
        """Videos whose shots were found, or whose frames were shown, in another way than now."""
        settings, videos = self.catalogue.settings, self.catalogue.videos.items()
        if not settings.shots and settings.division == DIVISION:
            return set()
        return {name for name, one in videos if one.division != settings.division and not one.photo}

    def _other_subtitles(self, name: str, listing: Listing) -> bool:
        """Whether files of subtitles beside an indexed video changed, or are to be tried again.

        A change that can't be read now is left for later.
        """
        if (video := self.catalogue.videos.get(name)) is None:
            return False
        there, now = set(video.subtitles), set(listing.subtitles.get(name, ()))
        for below, stamp in now - there:
            if (problem := problem_of(self.root / below, stamp)) is not None:
                listing.left[below] = problem
        again = self.effort.retry and any(one in self.catalogue.quarantined for one, _ in there)
        return again or any(below not in listing.left for below, _ in now ^ there)

    def index(self, todo: list[str], listing: Listing) -> None:
        """Reads and embeds videos, keeps what is done at times, and puts all in order."""
        if not todo:
            return
        sources = [Source(self.root / name, self._subtitles(name, listing)) for name in todo]
        settings, effort = self.catalogue.settings, self.effort
        model_path = Path(self.catalogue.model_path)
        job = Job(sources, self.model, model_path, settings, effort, self.directory)
        # What updates left that were killed.
        self._join(self.catalogue.shards, MAX_SHARDS)
        wanted = shards.next_name(self.directory)
        try:
            with Progress(len(todo)) as progress:
                for number, result in self._embedder()(job):
                    seconds = 0.0
                    if isinstance(result, workers.Failure):
                        self._fail(todo[number], listing, result)
                    else:
                        self.pending.done[number] = result
                        self.pending.segments += len(result.read.segments)
                        seconds = result.read.seconds
                    self._keep_at_times(todo, listing)
                    progress.add(seconds)
                self._keep(todo, listing, wanted if not self.written else None)
        finally:
            _clear_spool(self.directory)
        self._put_in_order(listing, wanted)

    def _embedder(self) -> Callable[[Job], Iterator[tuple[int, Embedded | workers.Failure]]]:
        if isinstance(self.effort.engine, Cluster):
            from animclip_jax.video_index.embedding_on_ray import embed

            return embed
        return embedding.embed

    def _fail(self, name: str, listing: Listing, failure: workers.Failure) -> None:
        """Quarantines a file for what is in it; one that can't be read now is left for later."""
        path, stamp = self.root / name, listing.videos[name]
        self.failed.append(name)
        problem = problem_of(path, stamp) or (failure.reason if failure.later else None)
        if problem is not None:
            listing.left[name] = problem
            return
        reason = failure.reason.removeprefix(f"{path}: ")
        self.catalogue.quarantined[name] = Quarantined(stamp, reason)
        self.catalogue.videos.pop(name, None)

    def _subtitles(self, name: str, listing: Listing) -> tuple[Path, ...]:
        return tuple(self.root / below for below, _ in listing.subtitles.get(name, ()))

    def _keep_at_times(self, todo: list[str], listing: Listing) -> None:
        pending = self.pending
        now = time.monotonic()
        # A long update keeps more at a time, or it would make thousands of shards.
        longer = max(1.0, (now - self.began) / LONG_SECONDS)
        late = now - pending.since > longer * embedding.FLUSH_SECONDS
        if late or pending.segments > FLUSH_SEGMENTS:
            self._keep(todo, listing, None)

    def _keep(self, todo: list[str], listing: Listing, shard: str | None) -> None:
        """Writes what is pending as a shard, and the catalogue with it.

        shard: its name; without one, one that leaves room for all of this update's in order.
        """
        done = sorted(self.pending.done.items())
        if done:
            shard = shard or shards.next_name(self.directory, 0 if self.written else 1)
            some = [one for _, one in done]
            rows = _rows(some, self.catalogue.reranks)
            shards.write(self.directory, shard, self.pending.segments, [rows])
            self.written.append(shard)
            first, division = 0, self.catalogue.settings.division
            for number, (read, _) in done:
                name = todo[number]
                stamp, beside = listing.videos[name], self._judge(name, read, listing)
                about = read.codec, is_photo(name), read.width, read.height, read.taken, beside
                self.catalogue.videos[name] = Video(
                    *(stamp, shard, first, len(read.segments), *about, division),
                    continues=tuple(n for n, one in enumerate(read.segments) if one.continues),
                    rate=read.rate,
                    timecode=read.timecode,
                )
                self.catalogue.quarantined.pop(name, None)
                first += len(read.segments)
        self.save()
        self.written = self._join(self.written, MAX_WRITTEN)
        self.pending = _Pending()

    def _join(self, some: list[str], most: int) -> list[str]:
        """Joins some shards of one size while there are more than `most`; which there are then."""
        while joined := joining.tier(self.catalogue, some, most):
            name = shards.next_name(self.directory)
            joining.join(self.directory, self.catalogue, joined, name)
            shards.remove_unused(self.directory, self.catalogue)
            some = [one for one in some if one not in joined] + [name]
        return some

    def _put_in_order(self, listing: Listing, shard: str) -> None:
        """Writes this update's shards anew as one: the order of its work leaves no trace."""
        catalogue = self.catalogue
        catalogue.videos = listing.in_order(catalogue.videos)
        catalogue.quarantined = listing.in_order(catalogue.quarantined)
        if len(self.written) > 1:
            videos = catalogue.videos.items()
            names = [name for name, one in videos if one.shard in self.written]
            joining.rewrite(self.directory, catalogue, names, shard)
        else:
            self.save()

    def _judge(self, video: str, read: Read, listing: Listing) -> tuple[tuple[str, Stamp], ...]:
        """Quarantines files of subtitles that can't be used; the video stays.

        Returns those that were read: others wait for the next run.
        """
        kept = []
        for name, stamp in listing.subtitles.get(video, ()):
            below = PurePosixPath(name).name
            if reason := read.unread.get(below):
                listing.left[name] = reason
                continue
            kept.append((name, stamp))
            if reason := read.bad.get(below):
                self.catalogue.quarantined[name] = Quarantined(stamp, reason)
            else:
                self.catalogue.quarantined.pop(name, None)
        return tuple(kept)

    def compact(self) -> None:
        """Writes many shards, or shards with many dead rows, anew as one."""
        names = self.catalogue.shards
        rows = shards.count_rows(self.directory, self.catalogue)
        living = sum(video.segments for video in self.catalogue.videos.values())
        if len(names) > MAX_SHARDS or rows - living > MAX_DEAD * rows:
            name = shards.next_name(self.directory)
            joining.rewrite(self.directory, self.catalogue, list(self.catalogue.videos), name)
        shards.remove_unused(self.directory, self.catalogue)

    def save(self) -> None:
        catalogues.save(self.directory, self.catalogue)


def _rows(some: Sequence[Embedded], reranks: bool) -> shards.Rows:
    features: Any = embedding.joined([one.features for one in some])
    segments = [segment for one in some for segment in one.read.segments]
    times = np.array([(one.start, one.end) for one in segments])
    thumbnails, said = [one.thumbnail for one in segments], [one.said for one in segments]
    code = features.code if reranks else None
    return shards.Rows(features.embedding, code, times, thumbnails, said)


def _clear_spool(directory: Path) -> None:
    for path in directory.glob(f"{embedding.SPOOL}*"):
        shutil.rmtree(path, ignore_errors=True)
