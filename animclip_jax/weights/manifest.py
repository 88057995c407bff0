"""manifest.json of an export: what it holds, what made it, and the checksum of each file."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.runs.revision import git_commit

MANIFEST = "manifest.json"
# Inputs of the model and what it makes of them.
EXAMPLE = "example.safetensors"
VERSION = 1
AGAIN = "copy or export the model again"
# Whose versions decide what an export computes.
PACKAGES = ("animclip-jax", "jax", "jaxlib", "flax", "numpy", "safetensors")


def write(
    directory: Path, kind: str, contents: dict[str, Any], packages: Iterable[str] = ()
) -> None:
    """Writes the manifest of the files that are in a folder.

    Args:
      kind: the format of the export, what `check` is to find.
      contents: what else it says, JSON values by name.
      packages: whose versions count beside PACKAGES.
    """
    document = {
        "kind": kind,
        "version": VERSION,
        "git_commit": git_commit(),
        "packages": {name: _version(name) for name in (*PACKAGES, *packages)},
        **contents,
        "files": describe(directory),
    }
    document["sha256"] = _own_checksum(document)
    files.write_json(directory / MANIFEST, document, indent=1)


def read(directory: Path, kind: str, needed: Iterable[str] = ()) -> dict[str, Any]:
    """The manifest as it was written; says nothing of the files it names.

    Args:
      needed: fields that it must have, of those that `write` takes as contents.

    Raises:
      FileNotFoundError: it is not there. ValueError: it is of another kind or version, or changed,
        or a field is missing or is not what it should be; names the field.
    """
    path = directory / MANIFEST
    document = files.read_object(path, AGAIN)
    found = document.get("kind"), document.get("version")
    if found != (kind, VERSION):
        raise ValueError(
            f"{path}: kind {found[0]!r} version {found[1]!r}, wanted {kind!r} {VERSION}; "
            f"animclip export --format={kind} makes it"
        )
    if document.get("sha256") != _own_checksum(document):
        raise ValueError(f"{path}: changed since it was written; {AGAIN}")
    for place, (is_right, wanted) in _FIELDS.items():
        _require(path, document, place, is_right, wanted, place in {*_ALWAYS, *needed})
    return document


def check(directory: Path, kind: str, needed: Iterable[str] = ()) -> dict[str, Any]:
    """The manifest, when every file it names is as it was written. Other files are not looked at.

    Args:
      needed: as `read`.

    Raises:
      FileNotFoundError, ValueError: as `read`, or that is so of a file it names.
    """
    document = read(directory, kind, needed)
    for name, file in document["files"].items():
        path = directory / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file, and {MANIFEST} names it")
        if files.checksum(path) != file["sha256"]:
            raise ValueError(
                f"{path}: changed since it was written, by its SHA-256 in {MANIFEST}; {AGAIN}"
            )
    return document


def describe(directory: Path) -> dict[str, dict[str, Any]]:
    """Bytes and SHA-256 of each file in a folder, and in those below it."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": files.checksum(path),
        }
        for path in paths
    }


def _require(
    path: Path,
    document: dict[str, Any],
    place: str,
    is_right: Callable[[Any], bool],
    wanted: str,
    is_needed: bool,
) -> None:
    value: Any = document
    for name in place.split("."):
        if not isinstance(value, dict) or name not in value:
            if is_needed:
                raise ValueError(f"{path}: found nothing as {place!r}, wanted {wanted}; {AGAIN}")
            return
        value = value[name]
    if not is_right(value):
        raise ValueError(f"{path}: found {value!r:.80} as {place!r}, wanted {wanted}; {AGAIN}")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _are_files(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_object(file)
        and _is_whole(file.get("bytes"), 0)
        and re.fullmatch("[0-9a-f]{64}", str(file.get("sha256")))
        and not {"", ".."} & set(name.split("/"))
        for name, file in value.items()
    )


def _are_functions(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_object(function) and _is_object(function.get("inputs")) for function in value.values()
    )


def _is_shape(value: Any, length: int) -> bool:
    """Of batches, which may have any size."""
    right = isinstance(value, list) and len(value) == length
    return right and all(_is_whole(size, 1) for size in value[1:])


# By its place in a manifest: whether a value is right, and what is wanted in words.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "files": (
        _are_files,
        '{NAME: {"bytes": a whole number, "sha256": 64 hexadecimal digits}}, names in its folder',
    ),
    "packages": (_is_object, "a JSON object"),
    "origin": (_is_object, "a JSON object"),
    "origin.trained_on": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of texts",
    ),
    "frames": (_is_object, "a JSON object"),
    "frames.shape": (
        functools.partial(_is_shape, length=5),
        '["batch", frames, height, width, 3]',
    ),
    "tokens": (_is_object, "a JSON object"),
    "tokens.shape": (functools.partial(_is_shape, length=2), '["batch", length]'),
    "functions": (_are_functions, '{NAME: {"inputs": a JSON object}}'),
    "oldest_reader": (_is_object, "a JSON object"),
    "oldest_reader.jax": (
        lambda value: isinstance(value, str) and bool(re.fullmatch(r"\d+(\.\d+){0,3}", value)),
        "a version such as '0.11.2'",
    ),
}
_ALWAYS = ("files", "packages")


def _own_checksum(document: dict[str, Any]) -> str:
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
