"""Published weights from the Hugging Face Hub: one commit, and only the files that are read."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from animclip_jax.weights import folder, manifest, source, vocabulary

# Commits that hold model.safetensors. The one of base-patch32 is the Hub's own conversion, in a
# pull request that was never merged: on its main branch there is a pickle alone.
REVISIONS = {
    "openai/clip-vit-base-patch32": "c237dc49a33fc61debc9276459120b7eac67e7ef",
    "openai/clip-vit-large-patch14": "32bd64288804d66eefd0ccbe215aa642df71cc41",
}
# What is read beside the tensors, where a repository has it.
_BESIDE = (
    *(source.PIXELS, source.PROCESSOR, source.TOKENIZER),
    *(*vocabulary.PUBLISHED, vocabulary.CLIP_JSON),
    # Of animclip export --format=hub: both are there, or it is no such folder.
    *(manifest.MANIFEST, manifest.EXAMPLE),
)
_SHARD = r"-\d{5}-of-\d{5}"
# What describes a model, and the tensors beside it, as a pattern each; the best first.
_SAFE = (
    (source.OPEN_CLIP_CONFIG, re.escape(source.OPEN_CLIP_TENSORS)),
    (folder.CONFIG, re.escape(folder.TENSORS)),
    (folder.CONFIG, rf"model\.safetensors\.index\.json|model{_SHARD}\.safetensors"),
)
# Pickles, which are read at a named commit alone, and files that hold everything.
_NAMED = (
    (source.OPEN_CLIP_CONFIG, re.escape(source.OPEN_CLIP_TORCH)),
    (folder.CONFIG, re.escape(source.TORCH_TENSORS)),
    (folder.CONFIG, rf"pytorch_model\.bin\.index\.json|pytorch_model{_SHARD}\.bin"),
    ("", r"[^/]+\.pt"),
    ("", r"[^/]+\.npz"),
)
_SECONDS = 10


class Download(NamedTuple):
    """A folder, or the one file with a model; the commit that it is of."""

    path: Path
    commit: str


def is_repository(name: str) -> bool:
    """Whether a name could be OWNER/NAME of the Hub."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def download(repository: str, revision: str | None = None) -> Download:
    """A model of the Hub in the Hub's cache, downloaded where it is not there yet.

    Without a network what is in the cache is taken.

    Args:
      revision: a commit, 40 hexadecimal digits; None takes the one in REVISIONS, or the newest,
        and of that safetensors alone.

    Raises:
      ValueError: the repository has no weights that can be read, or only with a commit; says which
        files it has. OSError: it can't be downloaded.
    """
    revision = revision or REVISIONS.get(repository)
    if revision is not None and not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError(f"--revision={revision}: wanted a commit, 40 hexadecimal digits")
    is_named = revision is not None
    # Slow to import, and needed here alone.
    import huggingface_hub

    try:
        # Asked once: the Hub's client would try again and again for half a minute.
        info = huggingface_hub.HfApi().model_info(repository, revision=revision, timeout=_SECONDS)
        names = [file.rfilename for file in info.siblings or []]
        if not (chosen := _choose(names, is_named)):
            raise ValueError(_unreadable(repository, names, is_named))
        # The newest by no name, so that it is found again without a network.
        paths = [
            Path(huggingface_hub.hf_hub_download(repository, name, revision=revision))
            for name in chosen
        ]
    except ValueError as error:
        if str(error).startswith(f"{repository}: "):
            raise
        problem: Exception = error
    except Exception as error:  # The Hub's client lets errors of several libraries through.
        problem = error
    else:
        if len({path.parent for path in paths}) > 1:
            raise OSError(f"{repository}: it changed meanwhile; run the same command again")
        return Download(_place(paths[0].parent, chosen), paths[0].parent.name)
    if kept := _kept(repository, revision, is_named):
        return kept
    reason = " ".join(str(problem).split())
    raise OSError(
        f"{repository} at {revision or 'its newest commit'}: can't be downloaded: "
        f"{type(problem).__name__}: {reason}\n"
        f"There is no such file or folder here, either. Without a network, put its "
        f"{folder.CONFIG} and {folder.TENSORS} into a folder, and convert that by animclip convert"
    ) from problem


def _kept(repository: str, revision: str | None, is_named: bool) -> Download | None:
    """A commit, or the newest, in the Hub's cache, where its weights are there.

    Other programs may have left out files beside them: who can asks the Hub first.
    """
    import huggingface_hub

    try:
        found = Path(
            huggingface_hub.snapshot_download(repository, revision=revision, local_files_only=True)
        )
    except Exception:  # As above; it is not there.
        return None
    chosen = _choose([path.name for path in found.iterdir()], is_named)
    return Download(_place(found, chosen), found.name) if chosen else None


def _choose(names: Collection[str], is_named: bool) -> list[str]:
    """The files that are read of a repository, those of the tensors last; [] if none can be."""
    beside = [name for name in _BESIDE if name in names]
    for document, pattern in (*_SAFE, *(_NAMED if is_named else ())):
        tensors = sorted(name for name in names if re.fullmatch(pattern, name))
        if document and document in names and tensors and _are_all(tensors):
            return [*beside, document, *tensors]
        if not document and len(tensors) == 1:
            return [*beside, *tensors]
    return []


def _are_all(tensors: list[str]) -> bool:
    """Whether no shard is missing."""
    shards = [found for name in tensors if (found := re.search(r"-of-(\d{5})\.", name))]
    is_index = any(name.endswith(source.INDEX_SUFFIX) for name in tensors)
    return len(shards) == int(shards[0][1]) and is_index if shards else not is_index


def _place(directory: Path, chosen: list[str]) -> Path:
    whole = Path(chosen[-1]).suffix in (".pt", ".npz")
    return directory / chosen[-1] if whole else directory


def _unreadable(repository: str, names: Collection[str], is_named: bool) -> str:
    has = ", ".join(sorted(names)) or "nothing"
    if not is_named and _choose(names, True):
        return (
            f"{repository}: its weights are not safetensors, give --revision=COMMIT to animclip "
            f"convert to name the commit; it has {has}"
        )
    return (
        f"{repository}: no weights that can be read, wanted {folder.CONFIG} with {folder.TENSORS} "
        f"or its shards, or {source.OPEN_CLIP_CONFIG} with {source.OPEN_CLIP_TENSORS}; it has {has}"
    )
