"""SigLIP's tokens are those of transformers; a vocabulary that does not fit is named."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from input_pipeline.tokenizers import CLIP
from input_pipeline.tokenizers.opening import Tokenizer, open_tokenizer
from tests import vocabularies
from tests.repository import ROOT
from tests.vocabularies import CONTEXT, GEMMA, GEMMA_JSON, GEMMA_SIZE, T5_SIZE


@pytest.fixture
def t5(tmp_path: Path) -> Path:
    return vocabularies.t5(tmp_path)


def c4_en(file: Path, context_length: int = CONTEXT) -> Tokenizer:
    return open_tokenizer("c4_en", context_length, T5_SIZE, str(file))


def gemma(file: Path = GEMMA, context_length: int = CONTEXT) -> Tokenizer:
    return open_tokenizer("gemma", context_length, GEMMA_SIZE, str(file))


def test_odd_captions_have_the_tokens_that_transformers_gave_them(t5):
    captions = vocabularies.odd_captions()
    found = {
        "t5.model": c4_en(t5),
        "gemma.model": gemma(),
        "gemma.json": gemma(GEMMA_JSON),
    }
    wanted = json.loads(vocabularies.DIGESTS.read_text())
    del wanted[CLIP]
    tokens = {name: tokenizer(captions) for name, tokenizer in found.items()}
    assert {name: vocabularies.digest(ids) for name, ids in tokens.items()} == wanted


def test_both_files_of_a_vocabulary_give_the_same_tokens():
    captions = [one for one in vocabularies.odd_captions(2000) if "<mask>" not in one]
    np.testing.assert_array_equal(gemma()(captions), gemma(GEMMA_JSON)(captions))


def test_padding_is_the_end_in_siglip_and_zero_in_siglip_2(t5):
    first, second = c4_en(t5)(["dog", ""]), gemma()(["dog", ""])
    assert first.dtype == second.dtype == np.int32 and first.shape == (2, CONTEXT)
    assert first[1].tolist() == [1] * CONTEXT
    assert second[1].tolist() == [1] + [0] * (CONTEXT - 1)
    words = first[0].tolist().index(1)
    assert words > 0 and (first[0, words:] == 1).all()
    words = second[0].tolist().index(1)
    assert words > 0 and not second[0, words + 1 :].any()


def test_videoprism_reads_words_without_punctuation_and_a_period(t5):
    import sentencepiece

    tokenizer = open_tokenizer("cc_en", 65, T5_SIZE, str(t5))
    model = sentencepiece.SentencePieceProcessor(model_file=str(t5))
    captions = ["  A dog,plays_Guitar!\n", "", "dog " * 100]
    plain = ["a dog plays guitar.", ".", "dog " * 99 + "dog."]
    assert [tokenizer.plain(one) for one in captions] == plain
    found = tokenizer(captions)
    for row, text in zip(found, plain, strict=True):
        words = model.encode(text)[:64]
        assert row.tolist() == [*words, 1] + [0] * (64 - len(words))


def test_the_first_end_is_where_a_caption_ends(t5):
    for tokenizer in (c4_en(t5), gemma(), gemma(GEMMA_JSON)):
        captions = vocabularies.odd_captions(2000)
        tokens = tokenizer(captions)
        first = (tokens == 1).argmax(axis=1)
        assert (tokens[np.arange(len(tokens)), first] == 1).all()
        behind = np.arange(CONTEXT) > first[:, None]
        assert len(np.unique(tokens[behind])) == 1, "padding, and nothing else"


def test_a_long_caption_keeps_its_end_and_no_more(t5):
    for tokenizer in (c4_en(t5, 5), gemma(GEMMA, 5), gemma(GEMMA_JSON, 5)):
        (short, long) = tokenizer(["a", "dog cat man " * 100])
        assert (long[:4] > 1).all() and long[4] == 1 and short.shape == (5,)


@pytest.mark.parametrize("mark", ["</s>", "<s>", "<eos>", "<bos>", "<pad>", "<unk>", "<EOS>"])
@pytest.mark.parametrize("text", ["{}", "a {} b", "r{}", "{}{}", ".{}"])
def test_no_text_becomes_a_special_token(t5, mark, text):
    caption = text.replace("{}", mark)
    for tokenizer in (c4_en(t5, 40), gemma(GEMMA, 40), gemma(GEMMA_JSON, 40)):
        (tokens,) = tokenizer([caption])
        # Ids 0 to 3 are special in Gemma's.
        words = tokens[: int((tokens == 1).argmax())]
        assert len(words) and not np.isin(words, (0, 1)).any()
        if tokenizer.plain(caption) != tokenizer.plain("s"):
            assert (words > 2).all()


def test_case_and_punctuation_count_as_in_each_family(t5):
    one, two = c4_en(t5), gemma()
    same = one(["A dog, running!", "a dog running", "a_dog  running."])
    assert (same == same[0]).all()
    dog, small, comma = two(["A DOG", "a dog", "a dog,"])
    assert (dog == small).all() and (comma != small).any()
    # A final sigma is no other letter, as in transformers' small letters.
    upper, lower = two(["\u039f\u03a3", "\u03bf\u03c3"])
    assert (upper == lower).all()


def test_half_a_surrogate_pair_is_a_question_mark():
    half, mark = gemma()(["dog \ud83d", "dog ?"])
    assert (half == mark).all()


def test_no_captions(t5):
    assert c4_en(t5)([]).shape == gemma()([]).shape == (0, CONTEXT)


def test_a_file_of_tokenizers_with_t5s_pieces_is_read_too(t5, tmp_path):
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(t5))
    pieces = [(model.id_to_piece(n), model.get_score(n)) for n in range(model.get_piece_size())]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.enable_truncation(3)
    made.enable_padding(length=9)
    made.save(str(tmp_path / "tokenizer.json"))
    captions = ["a dog runs over grass", "Two children, eating cake!", ""]
    found = c4_en(tmp_path / "tokenizer.json")(captions)
    np.testing.assert_array_equal(found, c4_en(t5)(captions))


def test_the_unused_pieces_of_t5s_files_are_allowed(tmp_path, t5):
    made: Any = importlib.import_module("sentencepiece.sentencepiece_model_pb2").ModelProto
    model = made.FromString(t5.read_bytes())
    for number in range(100):
        model.pieces.add(piece=f"<extra_id_{number}>", type=made.SentencePiece.UNUSED)
    more = tmp_path / "more.model"
    more.write_bytes(model.SerializeToString())
    captions = vocabularies.odd_captions(100)
    np.testing.assert_array_equal(c4_en(more)(captions), c4_en(t5)(captions))


@pytest.mark.parametrize(
    "kind, size, file, message",
    [
        ("c4_en", GEMMA_SIZE, GEMMA, "begins with <pad> <eos> <bos>, wanted <pad> </s> <unk>"),
        ("c4_en", GEMMA_SIZE, GEMMA_JSON, "begins with <pad> <eos> <bos>, wanted <pad> </s>"),
        ("gemma", T5_SIZE, "t5", "begins with <pad> </s> <unk> .*, wanted <pad> <eos> <bos> <unk>"),
        ("gemma", 256_000, GEMMA, "480 pieces, wanted the model's vocab_size, 256000"),
        ("mc4", 250_000, "t5", "99 pieces, wanted the model's vocab_size, 250000"),
        ("gemma", GEMMA_SIZE, "broken.model", "no vocabulary: "),
        ("gemma", GEMMA_SIZE, "broken.json", "no vocabulary: "),
        ("gemma", GEMMA_SIZE, "vocab.txt", "can't read '.txt', wanted sentencepiece's .model"),
    ],
)
def test_a_vocabulary_of_another_model_is_named(t5, tmp_path, kind, size, file, message):
    for name in ("broken.model", "broken.json", "vocab.txt"):
        (tmp_path / name).write_text("{}")
    path = {"t5": t5}.get(file, tmp_path / file)
    with pytest.raises(ValueError, match=message) as error:
        open_tokenizer(kind, CONTEXT, size, str(path))
    assert str(path) in str(error.value)


def test_what_is_missing_or_too_much_is_said():
    with pytest.raises(FileNotFoundError, match="none.model: no such file"):
        open_tokenizer("gemma", CONTEXT, GEMMA_SIZE, "none.model")
    with pytest.raises(ValueError, match="tokens of gemma, whose vocabulary is not here"):
        open_tokenizer("gemma", CONTEXT, GEMMA_SIZE)
    with pytest.raises(ValueError, match="spiece.model: the model reads CLIP's tokens"):
        open_tokenizer("clip", CONTEXT, 99, "spiece.model")
    with pytest.raises(ValueError, match="tokens of unknown: wanted those of one of clip, c4_en"):
        open_tokenizer("unknown", CONTEXT, 99)


def test_clips_tokens_need_neither_package():
    program = (
        "import sys; from input_pipeline.tokenizers.opening import open_tokenizer; "
        "open_tokenizer('clip', 77, 49408)(['a dog']); "
        "assert not {'sentencepiece', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
