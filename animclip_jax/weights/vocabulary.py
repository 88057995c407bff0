"""The file of a model's tokens, for families whose vocabulary comes with the weights.

It lies beside the weights, in the folder of a run and in every export, under one of two names; in
memory `ClipConfig.tokenizer` says where. CLIP's vocabulary is in this package and needs no file;
one beside a `CLIPModel` must be the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from etils import epath

from animclip_jax import files
from animclip_jax.runs import layout
from animclip_jax.words import count

# By the kind of the file, its suffix.
NAMES = {".model": layout.TOKENIZER_MODEL, ".json": layout.TOKENIZER_JSON}
# As published folders call it: sentencepiece's is what the models were trained with.
PUBLISHED = ("spiece.model", *NAMES.values())
# Of a `CLIPModel`, which transformers reads where there is no tokenizer.json.
CLIP_JSON = "vocab.json"
# CLIP's tokens. The last two, start and end, have other names in some files.
_CLIP_SIZE = 49408
# SHA-256 of the rest by their ids, with spaces between.
_CLIP_WORDS = "ac87e04f32fc792d8358458800d338e938df47c5e7a3b53514deb6bd389b7179"


def find(directory: Path | epath.Path, kind: str = "") -> str:
    """The vocabulary in a folder of ours or of others, "" where there is none.

    Args:
      kind: of the tokens, for a published folder that may have several files of one vocabulary:
        the one that transformers' tokenizer of that kind reads comes first.
    """
    names = sorted(PUBLISHED, key=lambda name: kind == "gemma" and name != layout.TOKENIZER_JSON)
    there = (directory / name for name in names)
    return next((str(path) for path in there if path.is_file()), "")


def require_clip(directory: Path, vocab_size: int) -> None:
    """Checks the vocabulary beside a `CLIPModel`, if there is one: captions get CLIP's own ids.

    Tokens that were added behind CLIP's change none of these.

    Raises:
      ValueError: it is another one, or the model has no room for it.
    """
    there = (directory / name for name in (layout.TOKENIZER_JSON, CLIP_JSON))
    if (path := next((path for path in there if path.is_file()), None)) is None:
        return
    wanted = (
        f"wanted OpenAI CLIP's {_CLIP_SIZE}, the only ones that a CLIPModel's captions get here: "
        "use a model that was trained with them, or a SigLIP, whose vocabulary is read"
    )
    tokens = _tokens(files.read_object(path))
    words = " ".join(tokens.get(number, "") for number in range(_CLIP_SIZE - 2))
    digest = hashlib.sha256(words.encode(errors="replace")).hexdigest()
    if digest != _CLIP_WORDS:
        raise ValueError(f"{path}: found another vocabulary's tokens, {wanted}")
    if vocab_size < _CLIP_SIZE:
        raise ValueError(f"{path}: found a model of {count(vocab_size, 'token')}, {wanted}")


def _tokens(document: dict[str, Any]) -> dict[int, str]:
    """By their ids, of a tokenizer.json or a vocab.json; {} of another kind of tokenizer."""
    model = document.get("model")
    ids = model.get("vocab") if isinstance(model, dict) else document
    if not isinstance(ids, dict):
        return {}
    return {number: token for token, number in ids.items() if isinstance(number, int)}


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
