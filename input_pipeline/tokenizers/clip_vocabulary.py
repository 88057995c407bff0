"""CLIP's vocabulary as its file names it, for our tokenizer and for formats that hold one.

clip_merges.txt.gz holds the 48,894 merges that OpenAI's CLIP takes of bpe_simple_vocab_16e6.txt, in
order (MIT licence, Copyright (c) 2021 OpenAI; clip_merges.LICENSE). All token ids follow from them.
"""

from __future__ import annotations

import gzip
from pathlib import Path

_FILE = Path(__file__).with_name("clip_merges.txt.gz")
START_TEXT, END_TEXT = "<|startoftext|>", "<|endoftext|>"
# Stands behind the last letter of a word.
END_OF_WORD = "</w>"


def merges() -> list[str]:
    """Pairs of tokens that become one, the first ones first, as "LEFT RIGHT"."""
    return gzip.decompress(_FILE.read_bytes()).decode().splitlines()


def token_ids() -> dict[str, int]:
    """The id of each token: bytes, bytes that end a word, merges, start, end."""
    letters = _letters()
    tokens = [*letters, *(letter + END_OF_WORD for letter in letters)]
    tokens += [pair.replace(" ", "") for pair in merges()]
    return {token: number for number, token in enumerate([*tokens, START_TEXT, END_TEXT])}


def _letters() -> list[str]:
    """The letter that stands for each byte, in the order of the ids: visible bytes first."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    visible += range(ord("®"), ord("ÿ") + 1)
    return [*map(chr, visible), *(chr(256 + number) for number in range(256 - len(visible)))]
