"""An index of parts that several machines made, each of its share of the files."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from animclip_jax import files
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import shards
from animclip_jax.video_index.catalogue import Catalogue, Quarantined, Video
from animclip_jax.video_index.listing import Listing
from input_pipeline.media import parts
from input_pipeline.media.parts import Part

# In the folder of a part that is finished.
DONE = "part.json"


def merge(directory: Path, wanted: Catalogue, listing: Listing, number: int) -> Catalogue:
    """Writes an index of all its parts, which lie beside it, as one shard, and removes them.

    Args:
      wanted: what it is an index of, without videos. listing: the order of these. number: how many
        parts there are.
    Returns:
      its catalogue.
    Raises:
      FileNotFoundError: a part is missing or not finished. FileExistsError: the index is there.
      BlockingIOError: another process makes a part again.
      ValueError: a part is of another model, folder or settings, a file is in a part that it does
        not belong to, or a part is damaged.
    """
    if (directory / catalogues.CATALOGUE).exists():
        raise FileExistsError(
            f"{directory}: already there; without --merge it is brought up to date, and parts can "
            "be merged after it is removed"
        )
    # What a merge wrote that was killed.
    shards.remove_unused(directory, None)
    places = [part.place(directory) for part in parts.all_of(number, directory)]
    with contextlib.ExitStack() as held:
        for place in places:
            held.enter_context(catalogues.locked(place))
        _write(directory, wanted, listing, number)
        for place in places:
            _empty(place)
    for place in places:
        _remove(place)
    return wanted


def _write(directory: Path, wanted: Catalogue, listing: Listing, number: int) -> None:
    """Writes the index, whose catalogue is then `wanted`. Raises as `merge`."""
    merged: dict[str, tuple[Path, Video, Catalogue]] = {}
    bad: dict[str, Quarantined] = {}
    for part in parts.all_of(number, directory):
        found = _read_part(part, directory, wanted)
        place = part.place(directory)
        merged |= {name: (place, video, found) for name, video in found.videos.items()}
        bad |= found.quarantined
    merged, bad = listing.in_order(merged), listing.in_order(bad)
    first, shard = 0, shards.next_name(directory)
    for name, (_, video, _) in merged.items():
        wanted.videos[name] = video._replace(shard=shard, first=first)
        first += video.segments
    wanted.quarantined = bad
    if merged:
        shards.write(directory, shard, first, _rows(merged))
    catalogues.save(directory, wanted)


def _empty(place: Path) -> None:
    """Removes what a part holds, whose rows are in the index by now.

    Where a network drive keeps a file of it, a folder stays in which the part can be made again.
    """
    for name in (DONE, catalogues.CATALOGUE):
        with contextlib.suppress(OSError):
            (place / name).unlink()
    shutil.rmtree(place / shards.SHARDS, ignore_errors=True)


def _remove(place: Path) -> None:
    """Removes the folder of a part that is empty, and its lock, which nobody has any more.

    A network drive would keep the file of a lock that somebody has.
    """
    # Else the lock says whose folder it is.
    if not (place / shards.SHARDS).exists():
        shutil.rmtree(place, ignore_errors=True)


def finish(directory: Path, part: Part) -> None:
    """Says in the folder of a part that it is whole."""
    files.write_json(directory / DONE, {"part": part.number, "parts": part.of})


def begin(directory: Path) -> None:
    """Says in the folder of a part that it is not whole yet, or any more."""
    (directory / DONE).unlink(missing_ok=True)


def _read_part(part: Part, directory: Path, wanted: Catalogue) -> Catalogue:
    place = part.place(directory)
    if not (place / DONE).is_file():
        raise parts.missing(part, directory)
    found = catalogues.read(place)
    catalogues.require_same(place, found, wanted)
    for name in found.videos:
        if not part.holds(name):
            raise ValueError(
                f"{place}: holds {name}, which belongs to another part; remove this part, and run "
                f"the same command with --part={part}"
            )
    return found


def _rows(merged: dict[str, tuple[Path, Video, Catalogue]]) -> Iterator[shards.Rows]:
    read = shards.reader(len({(place, video.shard) for place, video, _ in merged.values()}))
    for name, (place, _, catalogue) in merged.items():
        yield read(place, catalogue, name)
