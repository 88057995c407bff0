"""Published weights from the Hugging Face Hub: a pinned commit, safetensors only."""

from __future__ import annotations

import re
from pathlib import Path

from animclip_jax.weights import folder, source

# Commits that hold model.safetensors. The one of base-patch32 is the Hub's own conversion, in a
# pull request that was never merged: on its main branch there is a pickle alone.
REVISIONS = {
    "openai/clip-vit-base-patch32": "c237dc49a33fc61debc9276459120b7eac67e7ef",
    "openai/clip-vit-large-patch14": "32bd64288804d66eefd0ccbe215aa642df71cc41",
}
_FILES = (folder.CONFIG, source.PIXELS, folder.TENSORS)
_SECONDS = 10


def is_repository(name: str) -> bool:
    """Whether a name could be OWNER/NAME of the Hub."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def download(repository: str, revision: str | None = None) -> Path:
    """The folder of a `CLIPModel` in the Hub's cache, downloaded where it is not there yet.

    Args:
      revision: a commit, 40 hexadecimal digits; None takes the one in REVISIONS.

    Raises:
      ValueError: no commit is given for a repository that is not in REVISIONS.
      OSError: it can't be downloaded.
    """
    revision = revision or REVISIONS.get(repository)
    if revision is None:
        raise ValueError(
            f"{repository}: no such file or folder; to download it from the Hugging Face Hub give "
            f"--revision=COMMIT (known without: {', '.join(REVISIONS)})"
        )
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError(f"--revision={revision}: wanted a commit, 40 hexadecimal digits")
    # Slow to import, and needed here alone.
    import huggingface_hub
    from huggingface_hub.utils import get_session

    cached = [
        huggingface_hub.try_to_load_from_cache(repository, name, revision=revision)
        for name in _FILES
    ]
    try:
        if not all(isinstance(path, str) for path in cached):
            # Asked once: the Hub's client would try again and again for half a minute.
            address = huggingface_hub.hf_hub_url(repository, folder.CONFIG, revision=revision)
            get_session().head(address, timeout=_SECONDS)
        paths = [
            huggingface_hub.hf_hub_download(repository, name, revision=revision) for name in _FILES
        ]
    except Exception as error:  # The Hub's client lets errors of several libraries through.
        reason = " ".join(str(error).split())
        raise OSError(
            f"{repository} at {revision}: can't be downloaded: {type(error).__name__}: {reason}\n"
            f"Without a network, put its {folder.CONFIG} and {folder.TENSORS} into a folder, and "
            "convert that by animclip convert"
        ) from error
    return Path(paths[0]).parent
