"""Publishes an index as files of Parquet, for other programs; docs/engines.md lists the columns."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

from animclip_jax import files, words
from animclip_jax.engines.engine import EngineError
from animclip_jax.engines.place import Place
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.catalogue import Catalogue
from animclip_jax.video_index.outgoing import Counts, Local, refuse_other

# Readers of a folder of Parquet leave out names that begin so.
ABOUT = "_about.json"
FORMAT, VERSION = "animclip-parquet", 1
ADVICE = "remove the folder, or choose another one"


def publish(local: Local, place: Place) -> Counts:
    """Writes all segments anew where anything changed; what was there stays until then.

    A kill at any moment leaves what was there, or what is new, for the next call to go on from.

    Raises EngineError where the folder holds something else. files.DiskError.
    """
    folder = _folder(place)
    catalogue, there = _there(folder, place)
    if catalogue is not None:
        refuse_other(catalogue, local.catalogue, place)
    same = [name for name, digest in local.digests.items() if there.get(name) == digest]
    removed = len(there.keys() - local.digests.keys())
    segments = sum(video.segments for video in local.catalogue.videos.values())
    if removed or len(same) < len(local.digests):
        beside = folder.with_name(f".{folder.name}.next")
        shutil.rmtree(beside, ignore_errors=True)
        with files.new_folder(beside) as made:
            _write(made, local, place)
        with files.writing(folder):
            if folder.exists():
                folder.rename(_replaced(folder))
            beside.rename(folder)
            shutil.rmtree(_replaced(folder), ignore_errors=True)
    return Counts(len(local.digests) - len(same), removed, len(same), segments)


def _folder(place: Place) -> Path:
    """The folder of a place, after an exchange that was cut short is completed or undone.

    A link leads to the folder that is exchanged, and stays.
    """
    folder = Path(os.path.realpath(place.where))
    with files.writing(folder):
        if folder.exists():
            shutil.rmtree(_replaced(folder), ignore_errors=True)
        elif _replaced(folder).exists():
            _replaced(folder).rename(folder)
    return folder


def _replaced(folder: Path) -> Path:
    """Where the folder is from when new files take its name until they have it."""
    return folder.with_name(f".{folder.name}.replaced")


def catalogue_of(place: Place) -> Catalogue | None:
    """What is published in a folder, without its videos; None where nothing is.

    Raises EngineError where nothing can be published there.
    """
    _library(place)
    return _there(_folder(place), place)[0]


def _library(place: Place) -> tuple[ModuleType, ModuleType]:
    """What writes Parquet, and our columns. Raises EngineError where it is not installed."""
    try:
        import pyarrow.parquet as pq

        from animclip_jax.engines import columns
    except ImportError as error:
        raise EngineError(f"{place}: {error}: {words.installs('parquet')}") from error
    return pq, columns


def _there(folder: Path, place: Place) -> tuple[Catalogue | None, dict[str, str]]:
    """What is published in a folder, and digests of its videos."""
    path = folder / ABOUT
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise EngineError(f"{place}: holds something else; choose another folder")
        return None, {}
    try:
        about = files.read_object(path, ADVICE)
        found = about.get("format"), about.get("version")
        if found != (FORMAT, VERSION):
            raise ValueError(f"{path}: found {found[0]} {found[1]}, wanted {FORMAT} {VERSION}")
        catalogue = catalogues.parsed(about["catalogue"], path, ADVICE)
        digests = dict(about["videos"])
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"{place}: {error}; {ADVICE}") from error
    return catalogue, digests


def _write(folder: Path, local: Local, place: Place) -> None:
    """One file for each batch of segments, and what they are."""
    pq, columns = _library(place)
    about = {
        "format": FORMAT,
        "version": VERSION,
        "code_shape": local.code,
        "catalogue": asdict(replace(local.catalogue, videos={}, quarantined={})),
        "videos": local.digests,
    }
    first = 0
    with files.writing(folder):
        for number, (_, segments) in enumerate(local.batches(list(local.digests), first)):
            rows = columns.table(first, segments)
            pq.write_table(rows, folder / f"segments-{number:05}.parquet", compression="zstd")
            first += len(rows)
    files.write_json(folder / ABOUT, json.loads(json.dumps(about)))
