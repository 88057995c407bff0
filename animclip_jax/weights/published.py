"""Published models by their names: downloaded and converted on first use, then kept."""

from __future__ import annotations

import sys
from pathlib import Path

from animclip_jax import files
from animclip_jax.weights import folder, hub, source

KEPT = "~/.cache/animclip/weights"


def find(model: str | Path) -> Path:
    """The folder of a model, by its path or by a name on the Hugging Face Hub.

    A name is one of `hub.REVISIONS`; a folder of that name goes before. What was converted is kept
    in KEPT, so that the next use needs no network.

    Raises:
      ValueError: the name is not known. OSError: it can't be downloaded or kept.
    """
    path, model = Path(model).expanduser(), str(model)
    if path.exists() or not hub.is_repository(model):
        return path
    if model not in hub.REVISIONS:
        raise ValueError(
            f"{model}: no such folder, and no published model that is known by name "
            f"({', '.join(hub.REVISIONS)}); animclip convert makes a folder of others"
        )
    name = f"{model.replace('/', '--')}-{hub.REVISIONS[model][:12]}"
    kept = Path(KEPT).expanduser() / name
    if kept.is_dir():
        return kept
    lock = kept.with_name(f".{name}.download")
    with files.locked(lock, f"{kept}: another process is downloading it", wait=True):
        if not kept.is_dir():
            print(f"{model}: downloaded and converted once, into {kept}", file=sys.stderr)
            params, config = source.read(hub.download(model).path)
            folder.save(kept, params, config)
    return kept
