"""Small vocabularies with the settings of SigLIP's and SigLIP 2's, and odd captions to read.

`python -m tests.vocabularies` makes the golden files anew, in an environment with transformers and
open_clip_torch: it compares our tokens with theirs and keeps the SHA-256 of both.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from input_pipeline.tokenizers import CLIP, CLIP_VOCAB_SIZE
from input_pipeline.tokenizers.opening import open_tokenizer

GOLDEN = Path(__file__).parent / "input_pipeline" / "golden"
DIGESTS = GOLDEN / "tokens.json"
GEMMA, GEMMA_JSON = GOLDEN / "gemma.model", GOLDEN / "gemma.json"
# Compressed: nearly all of it is the table of its normalisation.
_T5 = GOLDEN / "t5.model.xz"
T5_SIZE, GEMMA_SIZE = 99, 480
CONTEXT, CLIP_CONTEXT = 12, 77
COUNT = 10_000

_WORDS = [
    *("the", "a", "red", "blue", "dog", "cat", "man", "woman", "plays", "guitar", "runs", "over"),
    *("grass", "water", "in", "rain", "of", "two", "three", "video", "shows", "children", "cake"),
    *("street", "car", "horse", "jumps", "kitchen", "slowly", "near", "big", "small", "12", "2024"),
]  # fmt: skip
# As files of old versions of Unicode have them, so that every Python knows their small letters.
_ODD = [
    *("", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u200b", "\ufeff", "\x00", "\x07"),
    *("_", "__", "a_b", ".", ",", "!?", "...", "-", "--", "'", "it's", '"', "(", ")", "%", "&"),
    *("</s>", "<s>", "<eos>", "<bos>", "<pad>", "<unk>", "<mask>", "</S>", "<EOS>", "<PAD>"),
    *("DOG", "Dog", "dOG", "0", "7", "1234567890", "3.14", "1,000", "\u00bd", "\u00b2", "\u2460"),
    *("\u00c9t\u00e9", "e\u0301", "STRASSE", "stra\u00dfe", "\u0130stanbul"),
    *("\u039f\u0394\u039f\u03a3", "\u03a3", "\u0394\u03a3 \u039f"),
    *("\u041a\u043e\u0442", "\u72d7", "\u732b\u5728\u8dd1", "\ud55c\uae00", "\u0643\u0644\u0628"),
    *("\u05db\u05dc\u05d1", "\u0e2b\u0e21\u0e32", "\u0915\u0941\u0924\u094d\u0924\u093e"),
    *("\uff21\uff22", "\uff08\uff12\uff09"),
    *("\U0001f436", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "\U0001d400"),
    *("\u2581", "a\u2581b", "\ufb01", "\u2026", "\u201cquoted\u201d", "\u2014", "<0x41>"),
    "word" * 40,
]  # fmt: skip
# Further ones for CLIP, which cleans a caption and splits off the ends of English verbs.
ODD_FOR_CLIP = [
    *("I'LL", "they've", "'s", "''s", "don't't", "'re'd", "it\u2019s"),
    *("'\u017f", "'\u017ft", "\u017f", "\u0345", "a\u0345", "\u1e9e", "\U00010400"),
    *("&amp;", "&amp;amp;", "&lt;b&gt;", "&#233;", "&#xD800;", "&nbsp;", "<", ">", "|"),
    *("caf\u00c3\u00a9", "\u00e2\u20ac\u0153", "\ud800", "\ufffd", "\x1c", "\x85", "\u2028"),
    *("\u2167", "\u24b6", "\u00aa", "\u0660", "\u3000", "\u180e", "\U000e0041"),
    *("</w>", "a</w>", "\u0120"),
]  # fmt: skip


def odd_captions(count: int = COUNT, also: Sequence[str] = ()) -> list[str]:
    """The same odd captions whenever they are asked for; further odd parts make other ones."""
    rng, odd = random.Random(0), [*_ODD, *also]

    def one_of(some: list[str]) -> str:
        return some[int(rng.random() * len(some))]

    found = list(odd)
    while len(found) < count:
        # The share of odd parts, and what joins them, differ from caption to caption.
        share, joint = rng.random(), one_of([" ", " ", " ", "", "  "])
        parts = [one_of(odd if rng.random() < share else _WORDS) for _ in range(_length(rng))]
        found.append(joint.join(parts))
    return found[:count]


def _length(rng: random.Random) -> int:
    return int(rng.random() ** 3 * 30) + 1


def t5(directory: Path) -> Path:
    """Writes the vocabulary with T5's settings into a folder."""
    file = directory / "spiece.model"
    file.write_bytes(lzma.decompress(_T5.read_bytes()))
    return file


def digest(tokens: np.ndarray) -> str:
    """Of token ids."""
    return hashlib.sha256(np.ascontiguousarray(tokens, np.int32).tobytes()).hexdigest()


def train(path: Path, kind: str, size: int) -> None:
    """Trains a vocabulary of so many pieces: c4_en with T5's settings, gemma with Gemma's."""
    import sentencepiece

    settings: dict[str, Any] = {
        "c4_en": {
            "model_type": "unigram",
            "normalization_rule_name": "nmt_nfkc",
            "pad_id": 0,
            "eos_id": 1,
            "unk_id": 2,
            "bos_id": -1,
        },
        "gemma": {
            "model_type": "bpe",
            "normalization_rule_name": "identity",
            "add_dummy_prefix": False,
            "remove_extra_whitespaces": False,
            "byte_fallback": True,
            "split_digits": True,
            "allow_whitespace_only_pieces": True,
            "pad_id": 0,
            "pad_piece": "<pad>",
            "eos_id": 1,
            "eos_piece": "<eos>",
            "bos_id": 2,
            "bos_piece": "<bos>",
            "unk_id": 3,
            "user_defined_symbols": ["<mask>"],
        },
    }[kind]
    rng = random.Random(1)
    parts = [*_WORDS, *(a + b for a in "bdfgklmnprstvwz" for b in ("a", "e", "i", "o", "un", "er"))]
    lines = [
        " ".join(
            "".join(parts[int(rng.random() * len(parts))] for _ in range(_length(rng) % 3 + 1))
            for _ in range(12)
        )
        for _ in range(1000)
    ]
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            vocab_size=size,
            minloglevel=2,
            num_threads=1,
            **settings,
        )


def _merges_of(file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Pieces by id and, for the package tokenizers, which two become one, the first ones first."""
    import sentencepiece
    from transformers.convert_slow_tokenizer import generate_merges

    model = sentencepiece.SentencePieceProcessor(model_file=str(file))
    pieces = {model.id_to_piece(number): number for number in range(model.get_piece_size())}
    return pieces, generate_merges(pieces, {x: model.get_score(n) for x, n in pieces.items()})


def _differing(found: np.ndarray, tokenizer: Any, texts: list[str]) -> list[int]:
    """The rows in which transformers has other ids, special tokens' names read as text."""
    theirs = tokenizer(
        texts,
        padding="max_length",
        truncation=True,
        max_length=CONTEXT,
        split_special_tokens=True,
    )["input_ids"]
    theirs = np.array(theirs, np.int32)
    return np.flatnonzero((found != theirs).any(axis=1)).tolist()


def _clip() -> tuple[list[int], str]:
    """The odd captions for CLIP to which open_clip gives other ids than we do, and ours."""
    import open_clip

    captions = odd_captions(also=ODD_FOR_CLIP)
    found = open_tokenizer(CLIP, CLIP_CONTEXT, CLIP_VOCAB_SIZE)(captions)
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=CLIP_CONTEXT)
    theirs = tokenizer(captions).numpy()
    return np.flatnonzero((found != theirs).any(axis=1)).tolist(), digest(found)


def make_golden() -> None:
    """Writes the golden files anew; raises SystemExit where others have other ids."""
    import transformers

    captions, digests = odd_captions(), {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t5.model"
        train(file, "c4_en", T5_SIZE)
        _T5.write_bytes(lzma.compress(file.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        found = open_tokenizer("c4_en", CONTEXT, T5_SIZE, str(file))(captions)
        theirs = transformers.SiglipTokenizer(vocab_file=str(file))
        # There it is dropped.
        texts = [one.replace("_", " ") for one in captions]
        others = {"siglip": _differing(found, theirs, texts)}
        digests["t5.model"] = digest(found)
        train(GEMMA, "gemma", GEMMA_SIZE)
        pieces, merges = _merges_of(GEMMA)
        theirs = transformers.Siglip2Tokenizer(
            vocab=pieces,
            merges=merges,
            add_bos_token=False,
            add_eos_token=True,
            padding_side="right",
        )
        theirs.save_pretrained(folder)
        GEMMA_JSON.write_bytes((Path(folder) / "tokenizer.json").read_bytes())
        for file in (GEMMA_JSON, GEMMA):
            found = open_tokenizer("gemma", CONTEXT, GEMMA_SIZE, str(file))(captions)
            rows = _differing(found, theirs, captions)
            # Which sentencepiece reads as one piece of a word's kind.
            others[file.name] = [
                row for row in rows if file == GEMMA_JSON or "<mask>" not in captions[row]
            ]
            digests[file.name] = digest(found)
        others[CLIP], digests[CLIP] = _clip()
    for name, rows in others.items():
        print(f"{name}: {len(rows)} of {len(captions)} captions have other ids there")
    DIGESTS.write_text(json.dumps(digests, indent=1) + "\n")
    if any(others.values()):
        raise SystemExit("transformers or open_clip has other ids")


if __name__ == "__main__":
    make_golden()
