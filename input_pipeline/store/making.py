"""Prepares a store in worker processes: a kill loses little, a bad file costs itself alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tqdm import tqdm

from animclip_jax import files
from input_pipeline.media import quarantine, workers
from input_pipeline.media.engines import Engine
from input_pipeline.store import records
from input_pipeline.store.partial import Encoded, Partial

SPLITS = "splits"
# In a store's summary: which state of the files it was made of.
FILES = "files"


class Item(NamedTuple):
    """What a store tells of an item; `id` is its name, `fields` what else is known of it."""

    id: str
    captions: list[str]
    fields: Mapping[str, Any] = {}


class Original(NamedTuple):
    """What an item is made of: what `encode` takes, and a JSON value that changes when it does."""

    argument: Any
    stamp: Any


class Readable(Protocol):
    """Encoded items."""

    def read(self, id: str) -> Encoded:
        """One of them."""


@dataclass(frozen=True)
class Work:
    """What to prepare.

    source: as it was written. unit: what an item is called. items: in the order of the store, each
    id once. read: from an item's number to its original. encode: makes its frames of the original's
    argument, in another process. settings: what they depend on besides, as JSON. missing: names of
    what belongs to the source and can't be had, with the reason. splits: by name, the items of each
    split with the captions they have there; without any the store is one whole.
    """

    source: str
    unit: str
    items: Sequence[Item]
    read: Callable[[int], Original]
    encode: Callable[[Any], Encoded]
    settings: Mapping[str, Any]
    missing: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    state: str = ""

    @property
    def total(self) -> int:
        return len(self.items) + len(self.missing)


@dataclass(frozen=True)
class Effort:
    """How it is done: none of these changes what is written.

    processes: None takes all cores. max_bad: share of the source that may be bad. engine: what
    runs them.
    """

    processes: int | None = None
    limits: workers.Limits = workers.Limits()
    max_bad: float = quarantine.MAX_SHARE
    engine: Engine = workers


def prepare_store(work: Work, directory: Path, effort: Effort) -> dict[str, Any]:
    """Writes the store `directory` of all items that can be encoded, in their order.

    The others go to its quarantine.jsonl, with the reason; one that crashes the decoder or passes a
    limit costs itself alone. What is encoded is kept in `directory`.partial until the store is
    whole, so that the same call goes on where another was killed. Returns the store's summary.

    Raises:
      FileExistsError: the store is there, and of other items or settings.
      ValueError: too many items are bad, or what is there was begun with other settings.
    """
    details = details_of(work)
    unfinished = directory.with_name(f"{directory.name}.partial")
    if directory.exists() and not unfinished.exists():
        return _same(directory, details)
    with Partial(unfinished, dict(work.settings)) as partial:
        if directory.exists():  # Made by another process meanwhile, or by one killed at its end.
            summary = _same(directory, details)
        else:
            bad = encode_all(work, partial, effort)
            write_store(work, bad, partial, directory, details)
            summary = records.read_summary(directory)
        partial.remove()
    return summary


def encode_all(work: Work, partial: Partial, effort: Effort) -> dict[str, str]:
    """Encodes what is not there yet; what failed in another run may fit today's limits.

    What fails for a fault of this machine is tried twice. Returns why the others can't be used.
    """
    bad = dict(work.missing)
    _stop_if_too_many(bad, work, partial, effort)
    todo = [number for number in range(len(work.items)) if not _is_done(work, number, partial)]
    stamps: dict[int, Any] = {}

    def read(number: int) -> Any:
        argument, stamps[number] = work.read(number)
        return argument

    processes = min(effort.processes or effort.engine.at_once(), len(todo))
    results = workers.run_with_second_tries(
        effort.engine.run, work.encode, read, todo, processes, effort.limits
    )
    total, done = len(work.items), len(work.items) - len(todo)
    with tqdm(
        total=total, desc=f"preparing {work.source}", initial=done, unit=work.unit, disable=None
    ) as bar:
        for number, result in results:
            id = work.items[number].id
            bar.update(id not in bad)
            if isinstance(result, workers.Failure):
                bad[id] = result.reason
                _stop_if_too_many(bad, work, partial, effort)
            else:
                partial.add(id, stamps.pop(number), result)
                bad.pop(id, None)
    order = [*work.missing, *(item.id for item in work.items)]
    return {id: bad[id] for id in order if id in bad}


def _is_done(work: Work, number: int, partial: Partial) -> bool:
    # Only what may be done is read: a picture's stamp takes all of its bytes.
    id = work.items[number].id
    return id in partial and partial.stamp(id) == work.read(number).stamp


def write_store(
    work: Work, bad: dict[str, str], encoded: Readable, directory: Path, details: dict[str, Any]
) -> None:
    """Writes all items that are not bad, in their order. details: of the summary; added to."""
    with records.StoreWriter(directory, work.source, details) as writer:
        for item in work.items:
            if item.id not in bad:
                frames, width, height = encoded.read(item.id)
                writer.add(item.id, frames, item.captions, width, height, dict(item.fields))
        for name, items in work.splits.items():
            lines = ({"id": id, "captions": captions} for id, captions in items.items())
            writer.write_lines(f"{SPLITS}/{name}.jsonl", lines)
        fields = {item.id: dict(item.fields) for item in work.items if item.id in bad}
        writer.write_lines(quarantine.NAME, quarantine.lines(bad.items(), fields))
        details["num_quarantined"] = len(bad)
        if work.splits:
            details[SPLITS] = {
                name: {"wanted": len(items), "found": len(items.keys() - bad.keys())}
                for name, items in work.splits.items()
            }


def _stop_if_too_many(bad: dict[str, str], work: Work, partial: Partial, effort: Effort) -> None:
    if len(bad) > effort.max_bad * work.total:
        path = partial.directory / quarantine.NAME
        files.write_lines(path, quarantine.lines(bad.items()))
        source = f"{work.source} (all of them are listed in {path})"
        quarantine.check_share(source, bad, work.total, effort.max_bad, work.unit)


def _same(directory: Path, details: dict[str, Any]) -> dict[str, Any]:
    """The summary of the store that is there, if that is the one that is wanted."""
    if not (directory / records.SUMMARY).is_file():
        raise FileExistsError(f"{directory}: already there, and not a store; choose another place")
    summary = records.read_summary(directory)
    for name, wanted in details.items():
        # Stores that were written before don't say of which state of the files they are.
        if name == FILES and name not in summary:
            continue
        if summary.get(name) != wanted:
            raise FileExistsError(
                f"{directory}: a store is already there, of {summary['source']} with other files, "
                f"captions or settings ({name}: found {summary.get(name)}, wanted {wanted}); "
                "remove it to write it again, or choose another place"
            )
    return summary


def details_of(work: Work) -> dict[str, Any]:
    """What the summary of a store says of how it was made."""
    about = {**work.settings, "digest": digest(work)}
    return about | {FILES: work.state} if work.state else about


def state(stamps: Sequence[Any]) -> str:
    """Names a state of files, by the stamps of each in their order, JSON values."""
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()[:16]


def digest(work: Work) -> str:
    """Names what is prepared, and how."""
    items = [[item.id, item.captions, dict(item.fields)] for item in work.items]
    splits = {name: dict(items) for name, items in work.splits.items()}
    content = [work.source, dict(work.settings), items, dict(work.missing), splits]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
