"""CLIP's vocabulary by name is the one that captions are tokenised with."""

import instant_clip_tokenizer
import numpy as np
import pytest

from animclip_jax.exporting import clip_vocabulary
from input_pipeline.tokenizers import CLIP_VOCAB_SIZE
from input_pipeline.tokenizers.clip import ClipTokenizer


def letters() -> dict[str, int]:
    """The byte of each letter, written down apart from the library."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): b for i, b in enumerate(hidden)}


def test_every_id_means_the_same_text():
    encoder, byte = instant_clip_tokenizer.Tokenizer(), letters()
    ids = clip_vocabulary.token_ids()
    assert sorted(ids.values()) == list(range(CLIP_VOCAB_SIZE))
    for token, number in ids.items():
        if number < CLIP_VOCAB_SIZE - 2:
            word = token.removesuffix("</w>")
            text = bytes(byte[letter] for letter in word).decode(errors="replace")
            assert encoder.decode([number]) == text + " " * (word != token), number


@pytest.mark.parametrize(
    "text", ["a red card", "it's 23 o'clock!", "naïve café", "日本語", "🐕‍🦺 fetches 🥏", "jekyll"]
)
def test_the_merges_make_the_tokens_of_a_caption(text):
    """Byte-pair encoding word by word, the first merge of the list before any other."""
    rank = {tuple(pair.split(" ")): i for i, pair in enumerate(clip_vocabulary.merges())}
    ids = clip_vocabulary.token_ids()
    tokens = ClipTokenizer()([text])[0]
    names = {number: token for token, number in ids.items()}
    said = [names[number] for number in tokens[1 : np.argmax(tokens)]]
    assert names[tokens[0]] == "<|startoftext|>" and names[tokens.max()] == "<|endoftext|>"
    for word in "".join(said).split("</w>")[:-1]:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            pairs = list(zip(parts, parts[1:], strict=False))
            best = min(pairs, key=lambda pair: rank.get(pair, len(rank)))
            if best not in rank:
                break
            at = pairs.index(best)
            parts[at : at + 2] = ["".join(best)]
        assert parts == said[: len(parts)]
        said = said[len(parts) :]
    assert said == []
