"""Models of the Hugging Face Hub by name, converted on first use and kept; and those of a path."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from animclip_jax import files
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.process import CACHE
from animclip_jax.weights import folder, hub, manifest, source
from animclip_jax.weights.deferred import Array

KEPT = f"{CACHE}/weights"
# Digits of a commit in a folder's name.
_DIGITS = 12


class Published(NamedTuple):
    """What `folder.save` takes: parameters by path, what they are of, where they are from.

    origin: of the Hub its "repository" and "commit"; of a folder of ours what that says.
    export: the folder, where it is one of `animclip export`, which holds more than these.
    """

    params: Mapping[str, Array]
    config: ClipConfig | RetrieverConfig
    origin: dict[str, Any]
    export: Path | None = None

    def save(self, directory: Path) -> None:
        """Writes our folder, whole or not at all; an export with all that its manifest lists.

        Raises:
          FileExistsError: the folder is there already.
        """
        if self.export is None:
            folder.save(directory, self.params, self.config, self.origin)
            return
        listed = manifest.read(self.export, folder.KIND)["files"]
        with files.new_folder(directory) as temporary:
            for name in (*listed, manifest.MANIFEST):
                shutil.copyfile(self.export / name, temporary / name)


def read(name: str, revision: str | None = None, activation: str | None = None) -> Published:
    """A model of the Hub. Takes and raises what `hub.download` and `source.whole` do."""
    found = hub.download(name, revision)
    return local(found.path, activation, {"repository": name, "commit": found.commit})


def local(
    path: Path, activation: str | None = None, origin: dict[str, str] | None = None
) -> Published:
    """A model of a folder or a file here. Takes and raises what `source.whole` does."""
    params, config = source.whole(path, activation)
    is_export = path.is_dir() and folder.is_ours(path)
    if origin is None:
        origin = folder.origin(path) if path.is_dir() else {}
    return Published(params, config, origin, path if is_export else None)


def find(model: str | Path, check: Callable[[ClipConfig], object]) -> Path:
    """The folder of a model, by its path or by a name on the Hugging Face Hub.

    A folder of that name goes before. What was converted is kept in KEPT, so that the next use
    needs no network, and finds the same commit.

    Args:
      check: raises ValueError or OSError for a model that is not to be kept.

    Raises:
      ValueError: its weights can't be read, or only with a commit. OSError: it can't be downloaded
        or kept.
    """
    path, model = Path(os.path.expanduser(model)), str(model)
    if path.exists() or not hub.is_repository(model):
        return path
    directory, name = Path(os.path.expanduser(KEPT)), model.replace("/", "--")
    lock = directory / f".{name}.download"
    if kept := _kept(directory, name, model):
        return kept
    with files.locked(lock, f"{directory}: another process is downloading {model}", wait=True):
        if kept := _kept(directory, name, model):
            return kept
        found = read(model)
        check(folder.dual_encoders(found.params, found.config)[1])
        kept = directory / f"{name}-{found.origin['commit'][:_DIGITS]}"
        print(f"{model}: downloaded and converted once, into {kept}", file=sys.stderr)
        found.save(kept)
    return kept


def _kept(directory: Path, name: str, model: str) -> Path | None:
    """What was converted of a model: of its pinned commit, or of the one that was the newest."""
    commit = hub.REVISIONS.get(model, "")[:_DIGITS] or rf"[0-9a-f]{{{_DIGITS}}}"
    wanted = re.compile(f"{re.escape(name)}-{commit}")
    there = directory.iterdir() if directory.is_dir() else ()
    return next((path for path in sorted(there) if wanted.fullmatch(path.name)), None)
