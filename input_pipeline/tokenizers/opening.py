"""The tokenizer of a model, whichever family it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from etils import epath

from input_pipeline.tokenizers import CLIP, siglip
from input_pipeline.tokenizers.clip import ClipTokenizer


class Tokenizer(Protocol):
    """Captions -> tokens int32 [B, context_length], which say where the caption ends."""

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        """The tokens."""

    def plain(self, caption: str) -> str:
        """What of a caption is read: captions of one plain text have the same tokens."""


def open_tokenizer(kind: str, context_length: int, vocab_size: int, file: str = "") -> Tokenizer:
    """The tokenizer of a model: `open_tokenizer(*clip.reading)`.

    Args:
      kind: clip, whose vocabulary comes with this package, or one of `siglip.FAMILIES`.
      context_length: tokens a caption. vocab_size: as `ClipTokenizer` and `SiglipTokenizer` take
        it. file: the vocabulary, .model or .json.

    Raises:
      FileNotFoundError, ValueError: the vocabulary is not there or not the model's; names the file.
    """
    if kind != CLIP and kind not in siglip.FAMILIES:
        known = ", ".join((CLIP, *siglip.FAMILIES))
        raise ValueError(f"tokens of {kind}: wanted those of one of {known}")
    if kind == CLIP:
        if file:
            raise ValueError(f"{file}: the model reads CLIP's tokens, which need no file")
        return ClipTokenizer(context_length, vocab_size)
    if not file:
        raise ValueError(
            f"the model reads tokens of {kind}, whose vocabulary is not here: animclip convert "
            "takes it from beside the weights or with --tokenizer=FILE, animclip train with "
            "--config.model.tokenizer=FILE (tokenizer.json, tokenizer.model or spiece.model)"
        )
    return siglip.SiglipTokenizer(kind, context_length, vocab_size, epath.Path(file))
