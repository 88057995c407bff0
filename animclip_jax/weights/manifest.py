"""manifest.json of an export: what it holds, what made it, and the checksum of each file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.runs.revision import git_commit

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
    files.write_json(directory / MANIFEST, document, indent=1)


def read(directory: Path, kind: str) -> dict[str, Any]:
    """The manifest as it was written; says nothing of the files it names.

    Raises:
      FileNotFoundError: it is not there. ValueError: it is of another kind or version, or changed.
    """
    path = directory / MANIFEST
    document = files.read_object(path, "copy or export the model again")
    found = document.get("kind"), document.get("version")
    if found != (kind, VERSION):
        raise ValueError(
            f"{path}: kind {found[0]!r} version {found[1]!r}, wanted {kind!r} {VERSION}; "
            f"animclip export --format={kind} makes it"
        )
    if document.get("sha256") != _own_checksum(document):
        raise ValueError(f"{path}: changed since it was written; copy or export the model again")
    return document


def check(directory: Path, kind: str) -> dict[str, Any]:
    """The manifest, when every file it names is as it was written. Other files are not looked at.

    Raises:
      FileNotFoundError, ValueError: as `read`, or that is so of a file it names.
    """
    document = read(directory, kind)
    for name, file in document["files"].items():
        path = directory / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file, and {MANIFEST} names it")
        if files.checksum(path) != file["sha256"]:
            raise ValueError(
                f"{path}: changed since it was written, by its SHA-256 in {MANIFEST}; copy or "
                "export the model again"
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


def _own_checksum(document: dict[str, Any]) -> str:
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
