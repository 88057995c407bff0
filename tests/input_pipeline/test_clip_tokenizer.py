"""Tests of input_pipeline.tokenizers.clip."""

from __future__ import annotations

import gzip
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import ftfy
import numpy as np
import pytest

from input_pipeline.tokenizers import CLIP, clip
from input_pipeline.tokenizers.clip import END, START, ClipTokenizer
from tests import vocabularies
from tests.repository import ROOT


def test_known_tokens() -> None:
    tokens = ClipTokenizer()(["Hello World!"])
    assert tokens.shape == (1, 77) and tokens.dtype == np.int32
    assert tokens[0, :6].tolist() == [START, 3306, 1002, 256, END, 0]
    assert not tokens[0, 5:].any()


def test_cleaned_as_clip_cleans() -> None:
    tokenizer = ClipTokenizer()
    same = tokenizer(["fish & chips", "fish &amp;amp; chips", "  fish \n &  CHIPS\t"])
    assert (same == same[0]).all()
    # A < keeps ftfy from unescaping, so that both rounds of it are ours.
    assert (tokenizer(["a < b &amp;amp; c"]) == tokenizer(["a < b & c"])).all()
    assert (tokenizer(["It\u2019s"]) == tokenizer(["it's"])).all()


def test_odd_captions_have_the_tokens_that_open_clip_gives_them() -> None:
    tokens = ClipTokenizer()(vocabularies.odd_captions(also=vocabularies.ODD_FOR_CLIP))
    wanted = json.loads(vocabularies.DIGESTS.read_text())[CLIP]
    assert vocabularies.digest(tokens) == wanted


def test_small_letters_are_those_of_python() -> None:
    tokenizer = ClipTokenizer()
    final, other = "\u03bf\u03c2", "\u03bf\u03c3"
    assert (tokenizer(["\u039f\u03a3"]) == tokenizer([final])).all()
    assert (tokenizer([final]) != tokenizer([other])).any()
    (one_word, two) = tokenizer(["'\u017f", "' \u017f"])
    assert (one_word != two).any(), "a long s behind an apostrophe is part of its word"


def test_truncation_keeps_the_end_token() -> None:
    tokens = ClipTokenizer(context_length=8)(["word " * 10_000, "a dog", ""])
    assert tokens.shape == (3, 8)
    assert tokens[0, 0] == START and tokens[0, 7] == END and tokens[0, 1:7].all()
    assert tokens[1].tolist()[3:] == [END, 0, 0, 0, 0]
    assert tokens[2].tolist() == [START, END, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|startoftext|>", "<|EndOfText|>"])
@pytest.mark.parametrize("text", ["{}", "a {} b", "x{}", "{}{}", ".{}", "&lt;{}", "word {}"])
def test_no_text_becomes_a_start_or_end_token(mark: str, text: str) -> None:
    (tokens,) = ClipTokenizer()([text.replace("{}", mark)])
    assert (tokens == START).sum() == (tokens == END).sum() == 1
    assert tokens[0] == START and tokens.argmax() == (tokens != 0).sum() - 1


def test_captions_that_differ_behind_a_spelled_out_end_stay_apart() -> None:
    dog, cat = ClipTokenizer()(["two <|endoftext|> dogs", "two <|endoftext|> cats"])
    end = int(dog.argmax())
    assert (dog[:end] != cat[:end]).any()


def test_a_mark_behind_punctuation_is_split_as_in_clip() -> None:
    # OpenAI's expression takes ".<|" as one word, then "endoftext", then "|>".
    tokens = ClipTokenizer(context_length=12)([".<|endoftext|>"])
    assert tokens[0].tolist() == [START, 13, 27, 347, 40786, 4160, 91, 285, END, 0, 0, 0]


def test_what_needs_no_clean_up_gets_none() -> None:
    """ASCII captions go past ftfy, which must change none of them."""
    random, signs = np.random.default_rng(0), [chr(code) for code in range(32, 127)]
    captions = signs + ["".join(random.choice(signs, 12)) for _ in range(300)]
    captions += ["2 &lt; 3", "it\u2019s", "caf\u00c3\u00a9", "a\tb", "\x1b[1mbold", "a\nb"]
    for caption in captions:
        cleaned = html.unescape(html.unescape(ftfy.fix_text(caption)))
        assert clip.clean(caption) == re.sub(r"\s+", " ", cleaned.strip())


def test_no_captions() -> None:
    assert ClipTokenizer()([]).shape == (0, 77)


def test_a_small_vocabulary_keeps_the_end_token_greatest() -> None:
    captions = [
        "a red square moves past a blue circle",
        "zebra xylophone \U0001f600",
        "",
        "x " * 99,
    ]
    whole, small = ClipTokenizer()(captions), ClipTokenizer(vocab_size=100)(captions)
    assert small.dtype == np.int32 and small.min() >= 0 and small.max() == 99
    assert ((small == 99) == (whole == END)).all()
    assert ((small == 98) == (whole == START)).all()
    words = (whole != START) & (whole != END)
    assert (small[words] == whole[words] % 98).all()
    assert (small.argmax(axis=1) == whole.argmax(axis=1)).all()


@pytest.mark.parametrize(
    "arguments", [{"context_length": 1}, {"vocab_size": 2}, {"vocab_size": 49409}]
)
def test_impossible_sizes_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        ClipTokenizer(**arguments)


def test_tensorflow_stays_out() -> None:
    program = (
        "import sys, input_pipeline.tokenizers.clip, input_pipeline.media.video; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_equal_to_the_original_on_all_references(shared_data: Path) -> None:
    listed = shared_data / "annotations" / "tokenizer" / "clip_reference_tokens.jsonl.gz"
    with gzip.open(listed, "rt", encoding="utf-8") as lines:
        references = [json.loads(line) for line in lines]
    # What the original makes of a caption that spells out its marks is what we don't want.
    references = [reference for reference in references if "<|" not in reference["text"]]
    assert len(references) == 1859
    tokens = ClipTokenizer()([reference["text"] for reference in references])
    wanted = np.zeros_like(tokens)
    for row, reference in zip(wanted, references, strict=True):
        ids = reference["context77_truncate"]
        row[: len(ids)] = ids
    wrong = np.flatnonzero((tokens != wanted).any(axis=1))
    assert wrong.size == 0, [references[n]["text"] for n in wrong[:5]]
