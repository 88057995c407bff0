"""A folder of pictures or videos with captions.jsonl beside them; bad files are quarantined."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from input_pipeline import prepare

CAPTIONS = "captions.jsonl"
QUARANTINE = "quarantine.jsonl"
# What TensorFlow decodes, by Pillow's names (MPO: a JPEG with further pictures behind it).
PICTURE_FORMATS = ("JPEG", "MPO", "PNG", "GIF")
# More would take gigabytes to decode.
MAX_PIXELS = 89_000_000


@dataclass(frozen=True)
class Item:
    """A line of captions.jsonl: a file, by its path inside the folder, its captions, and the rest.

    fields: the line's other values that a filter can choose by.
    """

    file: str
    captions: list[str]
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """What captions.jsonl says. `items` are all lines, `selected` those that the filter keeps."""

    directory: Path
    is_video: bool
    items: list[Item]
    selected: list[Item]
    digest: str

    def cache(self, cache_dir: str | os.PathLike[str]) -> Path:
        """The folder's own place in cache_dir, another one whenever captions.jsonl changes."""
        return Path(cache_dir) / f"folder-{self.directory.name}-{self.digest}"


def read_listing(location: str) -> Listing:
    """Reads and checks the captions of `DIR` or `DIR@FIELD=VALUE`; opens no picture or video.

    Raises FileNotFoundError without DIR or its captions.jsonl, and ValueError naming the line for
    anything wrong in it: no JSON object, no file, a file outside DIR or listed twice, no captions,
    pictures and videos mixed, no FIELD, or nothing left.
    """
    directory, field, value = split_location(location)
    path = directory / CAPTIONS
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; a folder needs one, a JSON object a line: "
            '{"image" or "video": path inside the folder, "captions": [text, ...]}'
        )
    content = path.read_bytes()
    items: list[Item] = []
    selected: list[Item] = []
    kinds: set[str] = set()
    first_lines: dict[str, int] = {}
    for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        kind, item, values = _read_line(line, where, directory)
        kinds.add(kind)
        if len(kinds) > 1:
            raise ValueError(f"{where}: pictures and videos in one folder, wanted one kind")
        if item.file in first_lines:
            raise ValueError(
                f"{where}: {item.file!r} is in line {first_lines[item.file]} already, "
                "wanted each file once, with all its captions"
            )
        first_lines[item.file] = number
        items.append(item)
        if field is None or matches(values, field, value, where):
            selected.append(item)
    if not selected:
        kept = "" if field is None else f" with {field} = {value}"
        raise ValueError(f"{path}: no line{kept} among {len(items)}, wanted 1 or more")
    is_video = kinds == {"video"}
    return Listing(directory, is_video, items, selected, _digest(directory, content, is_video))


def prepared_videos(listing: Listing, cache_dir: str | os.PathLike[str]) -> Path:
    """The store of the folder's videos, all of them, made on first use."""
    directory = listing.cache(cache_dir) / "store"
    if not directory.is_dir():
        # How many may be bad is for `usable`, which knows those that are asked for.
        prepare.prepare_videos(
            video_collection(listing), directory, effort=prepare.Effort(max_bad=1.0)
        )
    return directory


def video_collection(listing: Listing) -> prepare.Collection:
    """All the videos of a folder, as what is to be prepared."""
    return prepare.Collection(
        f"folder:{listing.directory}",
        [
            prepare.Video(item.file, listing.directory / item.file, item.captions, item.fields)
            for item in listing.items
        ],
    )


def usable(
    listing: Listing, index: list[dict[str, Any]], cache_dir: str | os.PathLike[str]
) -> list[dict[str, Any]]:
    """The lines of a prepared store's index that the filter keeps, in order.

    Prints how many files are quarantined; raises ValueError where that is over half.
    """
    good = {line["id"]: line for line in index}
    kept = [item for item in listing.selected if item.file in good]
    _report(listing, len(kept), listing.cache(cache_dir) / "store" / QUARANTINE)
    return [good[item.file] for item in kept]


def checked_pictures(listing: Listing, cache_dir: str | os.PathLike[str]) -> list[Item]:
    """The pictures that the filter keeps and that can be decoded, in order.

    The check of the whole folder is done on first use. Prints how many files are quarantined;
    raises ValueError where that is over half.
    """
    quarantine = listing.cache(cache_dir) / QUARANTINE
    if not quarantine.is_file():
        paths = [listing.directory / item.file for item in listing.items]
        with ThreadPoolExecutor() as threads:
            problems = threads.map(picture_problem, paths)
            checked = list(
                tqdm(problems, f"checking {listing.directory}", len(paths), disable=None)
            )
        files = [item.file for item in listing.items]
        bad = {file: why for file, why in zip(files, checked, strict=True) if why is not None}
        quarantine.parent.mkdir(parents=True, exist_ok=True)
        prepare.write_quarantine(quarantine, bad)
    with quarantine.open(encoding="utf-8") as lines:
        files_bad = {json.loads(line)["file"] for line in lines}
    kept = [item for item in listing.selected if item.file not in files_bad]
    _report(listing, len(kept), quarantine)
    return kept


def picture_problem(path: Path) -> str | None:
    """Why a picture can't be used, or None."""
    if not path.is_file():
        return "no such file"
    try:
        with Image.open(path) as image:
            if image.format not in PICTURE_FORMATS:
                return f"a {image.format} picture, wanted {', '.join(PICTURE_FORMATS)}"
            if math.prod(image.size) > MAX_PIXELS:
                return f"{image.size[0]} x {image.size[1]} pixels, wanted {MAX_PIXELS} at most"
            # A JPEG at an eighth of its size: all of its bytes are read, at half the cost.
            image.draft("RGB", (1, 1))
            image.load()
    except Exception as error:  # Whatever a broken file causes, it is that file's fault.
        return f"can't be decoded: {error}"
    return None


def split_location(location: str) -> tuple[Path, str | None, str]:
    """DIR or DIR@FIELD=VALUE -> DIR, which must be there, FIELD or None, VALUE."""
    directory, at, condition = location.rpartition("@")
    field: str | None = None
    value = ""
    if at and "=" in condition:
        field, _, value = condition.partition("=")
        if not field:
            raise ValueError(f"folder:{location}: no field before =, wanted DIR@FIELD=VALUE")
    elif Path(location).is_dir() or not at:
        directory = location
    else:
        raise ValueError(f"folder:{location}: {condition!r} after @, wanted FIELD=VALUE")
    path = Path(directory).absolute()
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such directory, from the source folder:{location}")
    return path, field, value


def _read_line(line: str, where: str, directory: Path) -> tuple[str, Item, dict[str, Any]]:
    """-> ("image" or "video", the item, all of the line's values)."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error}): {line[:80]!r}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{where}: found {line[:80]!r}, wanted a JSON object")
    kinds = [kind for kind in ("image", "video") if isinstance(values.get(kind), str)]
    if len(kinds) != 1:
        raise ValueError(f'{where}: wanted one of "image" and "video", the path of a file')
    file = values[kinds[0]]
    if not (directory / file).resolve().is_relative_to(directory.resolve()) or "\0" in file:
        raise ValueError(f"{where}: {file!r} is outside {directory}, wanted a file inside it")
    captions = values.get("captions")
    if not isinstance(captions, list) or not captions:
        raise ValueError(f'{where}: {file!r} has no "captions", wanted a list of 1 or more texts')
    if not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"{where}: captions {captions!r:.80}, wanted a list of texts")
    plain = {
        name: value
        for name, value in values.items()
        if name not in (kinds[0], "captions") and isinstance(value, str | int | float | bool | None)
    }
    return kinds[0], Item(file, captions, plain), values


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


def _digest(directory: Path, content: bytes, is_video: bool) -> str:
    settings: list[Any] = [os.fspath(directory), is_video]
    if is_video:
        settings += [prepare.NUM_FRAMES, prepare.SHORT_SIDE, prepare.QUALITY]
    return hashlib.sha256(json.dumps(settings).encode() + b"\n" + content).hexdigest()[:16]


def _report(listing: Listing, num_good: int, quarantine: Path) -> None:
    total = len(listing.selected)
    num_bad = total - num_good
    if not num_bad:
        return
    message = (
        f"{listing.directory}: {num_bad} of {total} files can't be used, see {quarantine}; "
        f"to try them again, remove {quarantine.parent}"
    )
    if 2 * num_bad > total:
        raise ValueError(f"over half of the files are bad: {message}")
    print(message, file=sys.stderr)
