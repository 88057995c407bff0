"""The names of tensors in a training checkpoint -> those of the model inside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# What torch.compile puts before the names of a module, wherever that module is.
_COMPILED = "_orig_mod."
# A tensor of every CLIP, in Hugging Face's and in OpenAI's layout. Whatever stands before it is the
# checkpoint's: state_dict., module. of DistributedDataParallel, clip. of a model around it.
_ANCHORS = (
    "vision_model.embeddings.patch_embedding.weight",
    "visual.conv1.weight",
    "visual.trunk.patch_embed.proj.weight",
)


def unwrap(tensors: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
    """The tensors of the one CLIP among those of a file, by their names in it.

    A file without a wrapper is returned as it is, so that what does not fit is named later.

    Raises:
      ValueError: there are several CLIPs, such as a model and its average; names them.
    """
    plain = {name.replace(_COMPILED, ""): value for name, value in tensors.items()}
    found = sorted(
        name.removesuffix(anchor)
        for name in plain
        for anchor in _ANCHORS
        if name == anchor or name.endswith(f".{anchor}")
    )
    if len(found) > 1:
        inside = ", ".join(prefix.rstrip(".") or "(no prefix)" for prefix in found)
        raise ValueError(
            f"{source}: {len(found)} CLIPs in it, at {inside}, wanted one: save the state dict of "
            "that one to a file of its own"
        )
    prefix = found[0] if found else ""
    return {
        name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)
    }
