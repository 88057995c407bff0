"""manifest.json of an export: what it holds, what made it, and the checksum of each file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from animclip_jax.revision import git_commit
from animclip_jax.weights.folder import read_json

MANIFEST = "manifest.json"
VERSION = 1
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
    (directory / MANIFEST).write_text(json.dumps(document, indent=1) + "\n")


def check(directory: Path, kind: str) -> dict[str, Any]:
    """The manifest, when every file it names is as it was written. Other files are not looked at.

    Raises:
      FileNotFoundError: the manifest, or a file it names, is not there.
      ValueError: it is of another kind or version, or a file has changed; names the file.
    """
    path = directory / MANIFEST
    document = read_json(path)
    found = document.get("kind"), document.get("version")
    if found != (kind, VERSION):
        raise ValueError(
            f"{path}: an export of kind {found[0]!r}, version {found[1]!r}; wanted {kind!r}, "
            f"version {VERSION}: export the model again"
        )
    if document.get("sha256") != _own_checksum(document):
        raise ValueError(f"{path}: changed since it was written: export the model again")
    for name, file in document["files"].items():
        if not (directory / name).is_file():
            raise FileNotFoundError(f"{directory / name}: missing; {path} names it")
        if checksum(directory / name) != file["sha256"]:
            raise ValueError(
                f"{directory / name}: not the file that was written, its SHA-256 is another than "
                f"in {path}: copy or export the model again"
            )
    return document


def describe(directory: Path) -> dict[str, dict[str, Any]]:
    """Bytes and SHA-256 of each file in a folder, and in those below it."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": checksum(path),
        }
        for path in paths
    }


def checksum(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_checksum(document: dict[str, Any]) -> str:
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
