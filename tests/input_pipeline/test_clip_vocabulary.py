"""CLIP's vocabulary by name is the one that captions are tokenised with."""

import hashlib

import numpy as np
import pytest

from input_pipeline.tokenizers import CLIP_VOCAB_SIZE, clip_vocabulary
from input_pipeline.tokenizers.clip import ClipTokenizer

# SHA-256 of the tokens of bpe_simple_vocab_16e6.txt by id, as open_clip 3.3.0 reads them; the two
# behind them have other names there.
VOCABULARY = "ac87e04f32fc792d8358458800d338e938df47c5e7a3b53514deb6bd389b7179"


def test_every_id_means_the_same_text():
    ids = clip_vocabulary.token_ids()
    assert list(ids.values()) == list(range(CLIP_VOCAB_SIZE))
    *words, start, end = ids
    assert hashlib.sha256(" ".join(words).encode()).hexdigest() == VOCABULARY
    assert (start, end) == ("<|startoftext|>", "<|endoftext|>")


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
