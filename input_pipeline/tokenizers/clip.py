"""Captions -> CLIP tokens on the host: OpenAI's byte-pair encoding, in batches."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import ftfy
import instant_clip_tokenizer
import numpy as np

from input_pipeline.tokenizers import CLIP_VOCAB_SIZE

START, END = CLIP_VOCAB_SIZE - 2, CLIP_VOCAB_SIZE - 1


class ClipTokenizer:
    """OpenAI CLIP's tokenizer, with one difference: no text can become a start or end token.

    "<|endoftext|>" inside a caption is split into its characters like any other text. OpenAI's
    makes it the end token, and the towers read a caption up to its first end token, so that two
    captions with the same beginning would get one embedding.

    A smaller `vocab_size` (tiny models) folds the ids: the start token becomes vocab_size - 2, the
    end token vocab_size - 1, so that the end token stays the greatest id, and every other id is
    taken modulo vocab_size - 2. Raises ValueError for sizes that leave no room for that.
    """

    def __init__(self, context_length: int = 77, vocab_size: int = CLIP_VOCAB_SIZE) -> None:
        if context_length < 2:
            raise ValueError(
                f"context_length {context_length}: wanted 2 or more, for the start and end tokens"
            )
        if not 3 <= vocab_size <= CLIP_VOCAB_SIZE:
            raise ValueError(
                f"vocab_size {vocab_size}: wanted 3 to {CLIP_VOCAB_SIZE}, CLIP's vocabulary"
            )
        self.context_length = context_length
        self.vocab_size = vocab_size
        self._encoder = instant_clip_tokenizer.Tokenizer()

    def plain(self, caption: str) -> str:
        """What of a caption is read: captions of one plain text have the same tokens."""
        return clean(caption).lower()

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        """Tokens int32 [B, context_length]: start ... end, then zeros; too long ones keep the end.

        An empty caption is the start and the end token alone.
        """
        if not captions:
            return np.zeros((0, self.context_length), np.int32)
        texts = [clean(caption) for caption in captions]
        encoded = self._encoder.tokenize_batch(texts, context_length=self.context_length)
        tokens = encoded.astype(np.int32)
        if self.vocab_size < CLIP_VOCAB_SIZE:
            words = self.vocab_size - 2
            folded = np.where(tokens >= words, tokens % words, tokens)
            folded = np.where(tokens == START, words, folded)
            tokens = np.where(tokens == END, words + 1, folded).astype(np.int32)
        return tokens


def clean(caption: str) -> str:
    """The text clean-up that CLIP's own tokenizer does before it splits a caption into words."""
    text = html.unescape(html.unescape(ftfy.fix_text(caption)))
    return re.sub(r"\s+", " ", text.strip())
