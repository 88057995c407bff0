"""A folder of pictures or videos with their captions beside them; bad files are quarantined."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

from etils import epath
from tqdm import tqdm

from animclip_jax import files
from input_pipeline.examples import TOLD, Told
from input_pipeline.media import box, picture, quarantine
from input_pipeline.sources.captions_files import choosing
from input_pipeline.sources.captions_files.rows import ALL_CAPTIONS, named, nearest
from input_pipeline.store import making, videos

CHECKED = "checked.jsonl"
_HEADER = dict.fromkeys(picture.Header._fields, int)
# What a picture itself is to blame for; Pillow's own errors have no number.
_ITS_OWN = {
    *(None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EINVAL),
}
# DIR@FIELD=VALUE; a value may hold an @, such as an address.
_CONDITION = re.compile("(.*)@([^@=]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Item:
    """What the captions file has of a file, in one row or several: path, captions, the rest.

    fields: the other values that a filter can choose by, and a picture's "box" (`media/box.py`), as
    far as the file's lines agree on them.
    siblings: by caption, the other file that it is false of.
    """

    file: str
    captions: list[str]
    fields: dict[str, Any] = field(default_factory=dict)
    siblings: dict[str, Told] = field(default_factory=dict)

    @property
    def told(self) -> list[Told]:
        """What is known of each caption."""
        return [self.siblings.get(caption, Told()) for caption in self.captions]

    @property
    def all_fields(self) -> dict[str, Any]:
        """What a store keeps of the file beside its captions."""
        return self.fields | ({TOLD: self.told} if self.siblings else {})


@dataclass(frozen=True)
class Listing:
    """What the captions file says.

    path: the captions file, in the folder `directory`; items: all files, with the captions of all
    their rows; selected: those of which the filter keeps a row, with the captions of the rows it
    keeps; bad: (row or file, reason) of what can't be used; state: of the files of all items.
    """

    path: Path
    is_video: bool
    items: list[Item]
    selected: list[Item]
    bad: list[tuple[str, str]]
    state: str
    digest: str

    @property
    def directory(self) -> Path:
        """The folder."""
        return self.path.parent

    def cache(self, cache_dir: str | os.PathLike[str]) -> Path:
        """The folder's own place in cache_dir, another one whenever one of its files changes."""
        return Path(cache_dir) / f"folder-{self.directory.name}-{self.digest}"


class Picture(NamedTuple):
    """A picture that can be decoded."""

    item: Item
    header: picture.Header


def read_listing(location: str) -> Listing:
    """Reads and checks the captions of `DIR`, `DIR/FILE` or either with `@FIELD=VALUE`.

    FILE is the captions file, where `choosing.find` can't tell; no picture or video is opened. The
    rows of one file are put together, so that a file may have a row for each caption. A row that
    can't be read or names no file, a file outside DIR, or no caption, is left out and noted in
    `bad`. A row's "sibling" is the path of another file that its captions are false of.

    Raises FileNotFoundError without DIR or a captions file, and ValueError where the captions file
    is of no format, or there are several; pictures and videos are mixed, a row has no FIELD, a
    sibling has no row, or nothing is left.
    """
    place, field, value = split_location(location)
    if "://" in os.fspath(place):
        raise FileNotFoundError(f"{place}: no prepared store; a folder must be on a disk")
    path = choosing.find(Path(place))
    items: dict[str, Item] = {}
    selected: dict[str, Item] = {}
    bad: list[tuple[str, str]] = []
    kinds: set[str] = set()
    with path.open("rb") as file:
        for row in choosing.read(file, path):
            try:
                if row.problem:
                    raise ValueError(row.problem)
                kind, item = _read_row(row.values, path.parent)
            except ValueError as error:
                bad.append((row.where, str(error)))
                continue
            kinds.add(kind)
            where = f"{path.parent / row.where}"
            if len(kinds) > 1:
                raise ValueError(f"{where}: pictures and videos in one folder, wanted one kind")
            _put_together(items, item)
            if field is None or matches(row.values, field, value, where):
                _put_together(selected, item)
        state = making.state([videos.stamp(path.parent / item.file) for item in items.values()])
        digest = _digest(path, file, kinds == {"video"}, state)
    if not selected:
        asked = "" if field is None else f" with {field} = {value}"
        first = f"; {bad[0][0]}: {bad[0][1]}" if bad else ""
        raise ValueError(f"{path}: no line{asked} among {len(items)}, wanted 1 or more{first}")
    for some in (items, selected):
        for name, item in some.items():
            some[name] = dataclasses.replace(item, siblings=_found_siblings(path, item, items))
    kept = [*selected.values()]
    return Listing(path, kinds == {"video"}, [*items.values()], kept, bad, state, digest)


def _found_siblings(path: Path, item: Item, items: dict[str, Item]) -> dict[str, Told]:
    """An item's siblings by the names that their own lines give them."""
    found = {}
    for caption, told in item.siblings.items():
        other = items.get(os.path.normpath(told.sibling), item)
        if other.file == item.file:
            raise ValueError(
                f"{path}: found {told.sibling!r} as the sibling of {item.file!r}, wanted the path "
                "of another file that has a line"
            )
        found[caption] = told._replace(sibling=other.file)
    return found


def _put_together(items: dict[str, Item], line: Item) -> None:
    """Adds a line to what the lines before have said of its file, "a.jpg" or "./a.jpg"."""
    name = os.path.normpath(line.file)
    if name not in items:
        items[name] = line
        return
    first = items[name]
    agreed = {
        name: value
        for name, value in first.fields.items()
        if name in line.fields and line.fields[name] == value
    }
    siblings = first.siblings | line.siblings
    items[name] = Item(first.file, [*first.captions, *line.captions], agreed, siblings)


def prepared_videos(
    listing: Listing,
    cache_dir: str | os.PathLike[str],
    wanted: videos.FramesWanted = videos.FramesWanted(),  # noqa: B008 (immutable)
) -> Path:
    """The store of the folder's videos, all of them, made on first use."""
    kept, usual = wanted.kept, videos.FrameSettings()
    name = "store" if kept == usual else f"store-{kept.num_frames}x{kept.short_side}"
    directory = listing.cache(cache_dir) / name
    if not directory.is_dir():
        # How many may be bad is for `usable`, which knows those that are asked for.
        effort = making.Effort(max_bad=1.0)
        videos.prepare_videos(video_collection(listing), directory, kept, effort)
    return directory


def video_collection(listing: Listing) -> videos.Collection:
    """All the videos of a folder, as what is to be prepared."""
    return videos.Collection(
        f"folder:{listing.directory if listing.path.name == choosing.OWN else listing.path}",
        [
            videos.Video(item.file, listing.directory / item.file, item.captions, item.all_fields)
            for item in listing.items
        ],
        missing=dict(listing.bad),
    )


def usable(
    listing: Listing, index: list[dict[str, Any]], store: str | os.PathLike[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The lines of the folder's store's index that the filter keeps, with its captions, in order.

    Also returns what can't be used, with the reason; prints how many that are, and raises
    ValueError where it is over half.
    """
    good = {line["id"]: line for line in index}
    kept = [
        good[item.file] | {"captions": item.captions, "fields": item.all_fields}
        for item in listing.selected
        if item.file in good
    ]
    return kept, _missing(listing, good, Path(store) / quarantine.NAME)


def checked_pictures(
    listing: Listing, cache_dir: str | os.PathLike[str]
) -> tuple[list[Picture], dict[str, str]]:
    """The pictures that the filter keeps and that can be decoded, in order.

    Also returns what can't be used, with the reason; prints how many that are, and raises
    ValueError where it is over half. The whole folder is checked on first use.
    """
    cache = listing.cache(cache_dir)
    if not (cache / CHECKED).is_file():
        check_pictures(listing, cache)
    advice = f"remove {cache}, and the pictures are checked again"
    lines = files.read_lines(cache / CHECKED, advice, {"file": str, **_HEADER})
    headers = {
        line["file"]: picture.Header(**{name: line[name] for name in _HEADER}) for line in lines
    }
    kept = [Picture(item, headers[item.file]) for item in listing.selected if item.file in headers]
    return kept, _missing(listing, headers, cache / quarantine.NAME)


def check_pictures(listing: Listing, cache: Path) -> None:
    """Writes the headers of the folder's pictures that can be decoded, and why others can't.

    Raises OSError, and writes nothing, where a picture can't be read for a fault of the machine.
    """

    def look(item: Item) -> picture.Header | str:
        path = listing.directory / item.file
        try:
            if not path.is_file():
                return "no such file"
            picture.check_length(path.stat().st_size)
            return picture.check(path)
        except (ValueError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if isinstance(cause, OSError) and cause.errno not in _ITS_OWN:
                raise OSError(cause.errno, cause.strerror, os.fspath(path)) from error
            return str(error)

    with ThreadPoolExecutor() as threads:
        found = threads.map(look, listing.items)
        total = len(listing.items)
        looked = list(tqdm(found, f"checking {listing.directory}", total, disable=None))
    good: list[dict[str, Any]] = []
    bad = list(listing.bad)
    for item, header in zip(listing.items, looked, strict=True):
        if isinstance(header, str):
            bad.append((item.file, header))
        else:
            good.append({"file": item.file} | header._asdict())
    quarantine.add(cache / quarantine.NAME, bad)
    # The last to be written: that it is there says that the check is done.
    files.write_lines(cache / CHECKED, good)


def split_location(location: str) -> tuple[epath.Path, str | None, str]:
    """PLACE or PLACE@FIELD=VALUE -> PLACE, a folder or a file in it, FIELD or None, VALUE."""
    directory, value = location, ""
    field: str | None = None
    if "@" in location and not os.path.exists(os.path.expanduser(location)):
        match = _CONDITION.fullmatch(location)
        if match is None:
            found = location.rpartition("@")[2]
            raise ValueError(f"folder:{location}: {found!r} after @, wanted FIELD=VALUE")
        directory, field, value = match.groups()
        if not field:
            raise ValueError(f"folder:{location}: no field before =, wanted DIR@FIELD=VALUE")
    # No epath.Path.absolute, which takes a bucket for a folder here.
    path = epath.Path(directory).expanduser()
    if "://" not in directory:
        path = epath.Path(os.path.abspath(path))
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such directory, from the source folder:{location}")
    return path, field, value


def _read_row(values: dict[str, Any], directory: Path) -> tuple[str, Item]:
    """-> ("image" or "video", the item)."""
    kind, file, captions, fields = named(values)
    # Unlike Path.resolve, realpath bears links that lead to themselves.
    place = Path(os.path.realpath(directory / file)) if "\0" not in file else Path("/")
    if not place.is_relative_to(os.path.realpath(directory)):
        raise ValueError(f"{file!r} is outside {directory}, wanted a file inside it")
    file = _within(file, directory)
    if not captions:
        hint = nearest(fields, ALL_CAPTIONS) if captions is None else ""
        raise ValueError(f'{file!r} has no "captions", wanted a list of 1 or more texts{hint}')
    if not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"captions {captions!r:.80}, wanted a list of texts")
    # JSON can hold half of a surrogate pair, which is no text: a UnicodeEncodeError, a ValueError.
    "".join([file, *captions]).encode()
    captions = [caption for caption in captions if caption.strip()]
    if not captions:
        raise ValueError(f"all captions of {file!r} are empty, wanted 1 or more with text")
    plain: dict[str, Any] = {
        name: value
        for name, value in fields.items()
        # In a store those two mean something else: a picture's box, and what is told of captions.
        if isinstance(value, str | int | float | bool | None) and name not in (box.NAME, TOLD)
    }
    if kind == "image" and box.NAME in fields:
        seen = fields[box.NAME]
        plain[box.NAME] = None if seen is None else box.checked(seen)
    told = _read_sibling(file, values, directory)
    siblings = dict.fromkeys(captions, told) if told else {}
    return kind, Item(file, captions, plain, siblings)


def _read_sibling(file: str, values: dict[str, Any], directory: Path) -> Told | None:
    """What a line says of its captions, if it names a sibling."""
    sibling, differs = values.get("sibling"), values.get("differs", "motion")
    if sibling is None:
        return None
    if not (isinstance(sibling, str) and sibling.strip() and isinstance(differs, str)):
        raise ValueError(
            f'{file!r}: found {sibling!r:.80} and {differs!r:.80}, wanted "sibling", the path of '
            'another file, and "differs", a word or nothing'
        )
    return Told(True, _within(sibling, directory), differs)


def _within(file: str, directory: Path) -> str:
    """The path of a file in a folder as it starts there, if it is absolute; others as they are."""
    if not os.path.isabs(file):
        return file
    return os.path.relpath(os.path.realpath(file), os.path.realpath(directory))


def matches(values: dict[str, Any], field: str, value: str, where: str) -> bool:
    """Whether a filter keeps a line's values; raises ValueError without FIELD among them."""
    if field not in values:
        raise ValueError(
            f"{where}: no field {field!r} to choose by, found {', '.join(map(repr, values))}"
        )
    found = values[field]
    if isinstance(found, str):
        return found == value
    try:
        wanted = json.loads(value)
    except json.JSONDecodeError:
        return False
    # In Python True equals 1.
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _digest(path: Path, file: BufferedReader, is_video: bool, state: str) -> str:
    settings: list[Any] = [os.fspath(path.parent), is_video, state]
    if is_video:
        settings += dataclasses.astuple(videos.FrameSettings())
    if path.name != choosing.OWN:
        settings.append(path.name)
    started = hashlib.sha256(json.dumps(settings).encode() + b"\n")
    file.seek(0)
    return hashlib.file_digest(file, lambda: started).hexdigest()[:16]


def _missing(listing: Listing, good: Container[str], path: Path) -> dict[str, str]:
    """What the filter keeps that is not `good`; `path` has the reasons."""
    reasons = quarantine.read(path)
    # What a line that can't be read would have been, the filter can't tell: it counts as kept.
    missing = dict(listing.bad)
    for item in listing.selected:
        if item.file not in good:
            missing[item.file] = reasons[item.file]
    total = len(listing.selected) + len(listing.bad)
    advice = f"to try them again, remove {path.parent}"
    quarantine.report(str(listing.directory), missing, total, path, advice)
    return missing
