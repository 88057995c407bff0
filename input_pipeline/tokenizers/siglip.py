"""Captions -> tokens of SigLIP, SigLIP 2 and VideoPrism, by a vocabulary that comes with weights.

The file is sentencepiece's (.model) or that of the package tokenizers (.json). What is read of a
caption is as in transformers' SiglipTokenizer and Siglip2Tokenizer, but for "_", which is a space
as in big_vision and open_clip, and for the names of special tokens, which are text like any other;
of VideoPrism as in its own tokenize_texts.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from etils import epath

END = 1
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACED = str.maketrans(dict.fromkeys(string.punctuation, " "))
Encode = Callable[[list[str]], list[list[int]]]


def _without_punctuation(caption: str) -> str:
    return " ".join(caption.replace("_", " ").lower().translate(_PUNCTUATION).split())


def _with_a_period(caption: str) -> str:
    return " ".join(caption.translate(_SPACED).lower().split()) + "."


def _lower(caption: str) -> str:
    # Letter by letter, so that a sigma is the same at the end of a word.
    return "".join(map(str.lower, caption))


@dataclasses.dataclass(frozen=True)
class Family:
    """What sets one kind of vocabulary apart.

    first: its first pieces, END among them. padding: the id behind the end. plain: what of a
    caption is read. unused: how many pieces it may have that no model has.
    """

    first: tuple[str, ...]
    padding: int
    plain: Callable[[str], str]
    unused: tuple[int, ...] = (0,)


# T5's; 100 pieces at the end of its files are for other uses.
_T5 = Family(("<pad>", "</s>", "<unk>"), END, _without_punctuation, unused=(0, 100))
# VideoPrism's captions have no end of their own: its place is that of the tower's class token.
FAMILIES = {
    "c4_en": _T5,
    "mc4": _T5,
    "cc_en": dataclasses.replace(_T5, padding=0, plain=_with_a_period),
    "gemma": Family(("<pad>", "<eos>", "<bos>", "<unk>"), 0, _lower),
}


class SiglipTokenizer:
    """Reads captions by a vocabulary of one of FAMILIES.

    SigLIP's towers pool the last position, padding is text to them. Every caption has one END
    before its padding, so that its first one says where it ends.
    """

    def __init__(self, kind: str, context_length: int, vocab_size: int, file: epath.Path) -> None:
        """Opens the file.

        Raises:
          FileNotFoundError: there is no such file. ValueError: it is no vocabulary, or that of
            another family or size; names the file.
        """
        self.context_length = context_length
        self.family = FAMILIES[kind]
        self._encode, pieces = _read(file)
        first = self.family.first
        if (found := tuple(pieces[: len(first)])) != first:
            raise ValueError(
                f"{file}: begins with {' '.join(found)}, wanted {' '.join(first)}: it is no "
                f"vocabulary of {kind}, which the model reads"
            )
        if len(pieces) - vocab_size not in self.family.unused:
            raise ValueError(
                f"{file}: {len(pieces)} pieces, wanted the model's vocab_size, {vocab_size}: take "
                "the file that was published with the weights"
            )

    def plain(self, caption: str) -> str:
        """What of a caption is read: captions of one plain text have the same tokens."""
        return self.family.plain(caption)

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        """Tokens int32 [B, context_length]: words, END, padding; too long ones keep the END.

        An empty caption is the END alone, or a period and the END.
        """
        tokens = np.full((len(captions), self.context_length), self.family.padding, np.int32)
        # Half a surrogate pair, which JSON may hold, is no text.
        texts = [self.plain(one).encode("utf-8", "replace").decode() for one in captions]
        for row, words in zip(tokens, self._encode(texts), strict=True):
            kept = words[: self.context_length - 1]
            row[: len(kept) + 1] = [*kept, END]
        return tokens


def _read(file: epath.Path) -> tuple[Encode, list[str]]:
    """What encodes by a file, and its pieces by id."""
    readers = {".model": _sentencepiece, ".json": _tokenizers}
    if (reader := readers.get(file.suffix)) is None:
        raise ValueError(
            f"{file}: can't read {file.suffix!r}, wanted sentencepiece's .model or tokenizer.json"
        )
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file, the vocabulary of the model")
    try:
        return reader(file)
    except Exception as error:  # Both packages raise the bare class.
        raise ValueError(f"{file}: no vocabulary: {' '.join(str(error).split())}") from error


def _sentencepiece(file: epath.Path) -> tuple[Encode, list[str]]:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_proto=file.read_bytes())
    return model.encode, [model.id_to_piece(number) for number in range(model.get_piece_size())]


def _tokenizers(file: epath.Path) -> tuple[Encode, list[str]]:
    import tokenizers

    model: Any = tokenizers.Tokenizer.from_str(file.read_text())
    # As text, not as what they name.
    model.encode_special_tokens = True
    model.no_truncation()
    model.no_padding()

    def encode(texts: list[str]) -> list[list[int]]:
        return [one.ids for one in model.encode_batch_fast(texts, add_special_tokens=False)]

    pieces = sorted(model.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
    return encode, [piece for piece, _ in pieces]
