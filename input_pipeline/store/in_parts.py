"""A store that several machines prepare, a part each, and one then writes."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.words import count
from input_pipeline.media import parts, quarantine
from input_pipeline.media.parts import Part
from input_pipeline.store import making, records
from input_pipeline.store.making import Effort, Work
from input_pipeline.store.partial import Encoded, Partial

# Of a part that is finished: of what it is, and what can't be used of it.
DONE = "part.json"
_FIELDS = {"digest": str, "bad": dict}


def prepare_part(work: Work, directory: Path, effort: Effort, part: Part) -> str:
    """Encodes the items of one part of the store `directory`, into a folder beside it.

    The same call goes on where another was killed. Returns what was done, for people.

    Raises as `making.prepare_store`; how many items are bad is judged when the parts are merged.
    """
    numbers = [number for number, item in enumerate(work.items) if part.holds(item.id)]
    mine = dataclasses.replace(
        work,
        items=[work.items[number] for number in numbers],
        read=lambda number: work.read(numbers[number]),
        missing={},
        splits={},
    )
    place = part.place(directory)
    with Partial(place, dict(work.settings)) as partial:
        (place / DONE).unlink(missing_ok=True)
        bad = making.encode_all(mine, partial, dataclasses.replace(effort, max_bad=1.0))
        files.write_json(place / DONE, {"digest": making.digest(work), "bad": bad})
    unit = count(len(numbers), work.unit)
    return f"{place}: {unit} of {work.source}, {len(bad)} of them can't be used"


def merge_parts(work: Work, directory: Path, effort: Effort, number: int) -> dict[str, Any]:
    """Writes the store of all parts, as `making.prepare_store` does, and removes them.

    Args:
      number: how many parts there are.

    Raises:
      FileNotFoundError: a part is missing or not finished. FileExistsError: the store is there.
      ValueError: a part is of other files or settings, an item is in two of them, or too many items
        are bad.
    """
    if directory.exists():
        raise FileExistsError(f"{directory}: already there; remove it to merge parts again")
    found = parts.all_of(number, directory)
    with contextlib.ExitStack() as stack:
        bad, merged = dict(work.missing), Merged()
        for part in found:
            bad |= _read_done(work, part, directory)
            partial = stack.enter_context(Partial(part.place(directory), dict(work.settings)))
            merged.add(partial)
        for item in work.items:
            part = next(one for one in found if one.holds(item.id))
            if item.id not in bad and merged.place(item.id) != part.place(directory):
                raise ValueError(
                    f"{part.place(directory)}: lacks {item.id}; remove it, and run the same "
                    f"command with --part={part}"
                )
        quarantine.check_share(work.source, bad, work.total, effort.max_bad, work.unit)
        order = [*work.missing, *(item.id for item in work.items)]
        bad = {id: bad[id] for id in order if id in bad}
        making.write_store(work, bad, merged, directory, making.details_of(work))
        for partial in merged.partials:
            partial.remove()
    return records.read_summary(directory)


class Merged:
    """Items of several parts by id."""

    def __init__(self) -> None:
        self.partials: list[Partial] = []
        self._of: dict[str, Partial] = {}

    def add(self, partial: Partial) -> None:
        """Takes a part. Raises ValueError where an item is in another one, too."""
        self.partials.append(partial)
        for id in partial.ids:
            if id in self._of:
                raise ValueError(
                    f"{partial.directory}: holds {id}, which is in {self._of[id].directory}, too; "
                    "remove both, and run these parts again"
                )
            self._of[id] = partial

    def place(self, id: str) -> Path | None:
        """The folder of the part that has an item."""
        return self._of[id].directory if id in self._of else None

    def read(self, id: str) -> Encoded:
        return self._of[id].read(id)


def _read_done(work: Work, part: Part, directory: Path) -> dict[str, str]:
    """What can't be used of a part."""
    place = part.place(directory)
    if not (place / DONE).is_file():
        raise parts.missing(part, directory)
    advice = f"remove {place}, and run the same command with --part={part}"
    done = files.read_object(place / DONE, advice, _FIELDS)
    if done["digest"] != making.digest(work):
        raise ValueError(
            f"{place}: a part of other files, captions or settings than those of now; {advice}"
        )
    return done["bad"]
