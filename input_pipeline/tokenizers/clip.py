"""Captions -> CLIP tokens on the host: OpenAI's byte-pair encoding, in batches."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import ftfy
import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers

from input_pipeline.tokenizers import CLIP_VOCAB_SIZE, clip_vocabulary

START, END = CLIP_VOCAB_SIZE - 2, CLIP_VOCAB_SIZE - 1
# OpenAI's words, except its marks. Whatever their case: a long s behind an apostrophe is one, too.
_WORD = r"(?i)'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"

# Letters, digits and signs of ASCII, except what begins an entity of HTML: there is nothing to fix.
_IN_ORDER = re.compile(r"[ -%'-~]*")


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
        self._encoder = _encoder()

    def plain(self, caption: str) -> str:
        """What of a caption is read: captions of one plain text have the same tokens."""
        return clean(caption).lower()

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        """Tokens int32 [B, context_length]: start ... end, then zeros; too long ones keep the end.

        An empty caption is the start and the end token alone.
        """
        tokens = np.zeros((len(captions), self.context_length), np.int32)
        texts = [self.plain(caption) for caption in captions]
        found = self._encoder.encode_batch_fast(texts, add_special_tokens=False)
        for row, caption in zip(tokens, found, strict=True):
            kept = caption.ids[: self.context_length - 2]
            row[: len(kept) + 2] = [START, *kept, END]
        if self.vocab_size < CLIP_VOCAB_SIZE:
            words = self.vocab_size - 2
            folded = np.where(tokens >= words, tokens % words, tokens)
            folded = np.where(tokens == START, words, folded)
            tokens = np.where(tokens == END, words + 1, folded).astype(np.int32)
        return tokens


def clean(caption: str) -> str:
    """The text clean-up that CLIP's own tokenizer does before it splits a caption into words."""
    if not _IN_ORDER.fullmatch(caption):
        caption = html.unescape(html.unescape(ftfy.fix_text(caption)))
    return re.sub(r"\s+", " ", caption.strip())


def _encoder() -> tokenizers.Tokenizer:
    """Splits plain text into words, and these into pieces of CLIP's vocabulary."""
    pairs = [(left, right) for left, right in map(str.split, clip_vocabulary.merges())]
    end = clip_vocabulary.END_OF_WORD
    found = tokenizers.Tokenizer(
        models.BPE(clip_vocabulary.token_ids(), pairs, end_of_word_suffix=end)
    )
    words = pre_tokenizers.Split(tokenizers.Regex(_WORD), "removed", invert=True)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    return found
