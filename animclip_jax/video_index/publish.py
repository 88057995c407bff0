"""Publishes the index of a folder on an engine: adds what is new there, removes what is gone.

The folder of the index stays what counts. A publication that was cut short is completed by the
next, which finds segments that no document names and documents whose segments are not there.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from animclip_jax.engines.engine import Engine, EngineError
from animclip_jax.engines.opening import connect
from animclip_jax.engines.place import PARQUET, Place
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import parquet, publication
from animclip_jax.video_index.outgoing import Counts, Local, refuse_other
from animclip_jax.video_index.publication import About, Published
from input_pipeline.media.segment_settings import SegmentSettings


def publish(directory: Path, place: Place) -> Counts:
    """Brings what is published at a place up to date with the index `directory`.

    A video that changed is removed and added.

    Raises:
      EngineError: the place can't be used, or holds an index of another model, folder or settings.
      BlockingIOError: the index is being written. As `reader.Index` where it can't be read.
    """
    with catalogues.locked(directory):
        local = Local(directory)
        if place.engine == PARQUET:
            return parquet.publish(local, place)
        return _publish(local, connect(place))


def require_usable(place: Place, model: str, root: Path, settings: SegmentSettings) -> None:
    """Raises EngineError where an index of that can't be published at a place.

    For whoever has hours of work before it.

    Args:
      model: its fingerprint. root: the folder of videos.
    """
    if place.engine == PARQUET:
        there = parquet.catalogue_of(place)
    else:
        about = publication.about_of(connect(place))
        there = None if about is None else about.catalogue
    if there is not None:
        here = replace(there, model=model, root=os.fspath(root.resolve()), settings=settings)
        refuse_other(there, here, place)


def _publish(local: Local, engine: Engine) -> Counts:
    about, there = publication.read(engine, alone=True) or (None, {})
    if about is None:
        if engine.count():
            raise EngineError(
                f"{engine.place}: holds segments that no catalogue names; {publication.ADVICE}"
            )
        about = About(local.catalogue, local.code)
        _begin(engine, about)
    refuse_other(about.catalogue, local.catalogue, engine.place)
    about.next = max([about.next, *(one.keys[1] for one in there.values())])
    if engine.count() != sum(one.video.segments for one in there.values()):
        _begin(engine, about)
        _repair(engine, there)
    gone = [one for name, one in there.items() if local.digests.get(name) != one.digest]
    kept = there.keys() - {one.name for one in gone}
    new = [name for name in local.digests if name not in kept]
    told = replace(about.catalogue, videos={}), replace(local.catalogue, videos={})
    if gone or new or told[0] != told[1]:
        if new:  # An index without videos was published before, whose codes have no shape.
            about.code = local.code
        _begin(engine, about)
    engine.drop([one.number for one in gone])
    for videos, segments in local.batches(new, about.next):
        engine.add(about.next, segments)
        engine.put({one.number: one.written() for one in videos})
        about.next += len(segments.times)
    if about.pending:
        engine.finish()
        about.catalogue, about.state, about.pending = local.catalogue, time.time_ns(), False
        engine.put({publication.ABOUT: about.written()})
    # Last: until a server has seen that end, it finds these segments and asks for them.
    engine.remove([one.keys for one in gone])
    segments_there = sum(video.segments for video in local.catalogue.videos.values())
    removed = len(there.keys() - local.digests.keys())
    return Counts(len(new), removed, len(kept), segments_there)


def _begin(engine: Engine, about: About) -> None:
    """Notes that what is published changes, so that a publication that is cut short is known."""
    about.pending = True
    engine.put({publication.ABOUT: about.written()})


def _repair(engine: Engine, there: dict[str, Published]) -> None:
    """Removes what a publication that was cut short left half there.

    `there` loses videos whose segments are not all in the engine.
    """
    keys = engine.keys()
    for one in list(there.values()):
        first, end = one.keys
        if np.searchsorted(keys, end) - np.searchsorted(keys, first) != one.video.segments:
            engine.drop([one.number])
            del there[one.name]
    ranges = sorted(one.keys for one in there.values())
    firsts = np.array([first for first, _ in ranges], np.int64)
    ends = np.array([0, *(end for _, end in ranges)], np.int64)
    stray = keys[keys >= ends[np.searchsorted(firsts, keys, "right")]]
    breaks = np.flatnonzero(np.diff(stray) != 1) + 1
    runs = [run for run in np.split(stray, breaks) if len(run)]
    engine.remove([(int(run[0]), int(run[-1]) + 1) for run in runs])
