"""The file of a model's tokens, for families whose vocabulary comes with the weights.

It lies beside the weights, in the folder of a run and in every export, under one of two names; in
memory `ClipConfig.tokenizer` says where. CLIP's vocabulary is in this package and needs no file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from etils import epath

from animclip_jax import files
from animclip_jax.runs import layout

# By the kind of the file, its suffix.
NAMES = {".model": layout.TOKENIZER_MODEL, ".json": layout.TOKENIZER_JSON}
# As published folders call it: sentencepiece's is what the models were trained with.
PUBLISHED = ("spiece.model", *NAMES.values())


def find(directory: Path | epath.Path) -> str:
    """The vocabulary in a folder of ours or of others, "" where there is none."""
    there = (directory / name for name in PUBLISHED)
    return next((str(path) for path in there if path.is_file()), "")


def keep(directory: Path, file: str) -> None:
    """Copies a vocabulary, or nothing for "", into a folder that is there; raises DiskError."""
    if file and not (kept := directory / name(file)).is_file():
        files.write_bytes(kept, epath.Path(file).read_bytes())


def name(file: str) -> str:
    """What a vocabulary is called in our folders."""
    return NAMES.get(epath.Path(file).suffix, layout.TOKENIZER_MODEL)


def describe(file: str) -> dict[str, Any]:
    """Its name in our folders and its SHA-256."""
    return {"file": name(file), "sha256": checksum(file)}


def checksum(file: str) -> str:
    """A vocabulary's SHA-256. Raises FileNotFoundError."""
    path = epath.Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"{file}: no such file, the vocabulary of the model")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def require(directory: Path, described: Any, source: Path) -> str:
    """The file that `describe` tells of, in a folder.

    Args:
      source: the document that tells of it.

    Raises:
      FileNotFoundError: it is not there. ValueError: it is another one, or that is no description.
    """
    if not isinstance(described, dict) or described.get("file") not in NAMES.values():
        raise ValueError(
            f"{source}: found {described!r:.80} as 'tokenizer', wanted its file and sha256"
        )
    path = directory / described["file"]
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, the vocabulary that {source} names")
    if checksum(str(path)) != described.get("sha256"):
        raise ValueError(
            f"{path}: not the vocabulary of this model, by its SHA-256 in {source}: copy or "
            "convert the model again"
        )
    return str(path)
