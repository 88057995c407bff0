"""Many texts in few arrays, which read as sequences and can lie in files mapped into memory."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from animclip_jax.words import count
from input_pipeline.examples import Told

T = TypeVar("T")
# Of UTF-8: half of a surrogate pair, such as in the name of a file, comes back as it was.
SURROGATES = "surrogatepass"


class _Rows(Sequence[T]):
    """A sequence whose items are made when they are asked for; equal to a list of the same."""

    def _at(self, number: int) -> T:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._at(number) for number in range(*index.indices(len(self)))]
        number, rows = operator.index(index), len(self)
        if not -rows <= number < rows:
            raise IndexError(f"index {number} of {count(rows, 'row')}")
        return self._at(number % rows)

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        more = f" and {len(self) - 3} more" if len(self) > 3 else ""
        return f"<{type(self).__name__} {self[:3]}{more}>"


class Texts(_Rows[str]):
    """N texts: the bytes of their UTF-8 one behind the other, and where each ends.

    heap: uint8. ends: int64 [N + 1]; text i is heap[ends[i]:ends[i + 1]].
    """

    def __init__(self, heap: np.ndarray, ends: np.ndarray) -> None:
        self.heap, self.ends = heap, ends
        # Reading a few numbers through np.memmap itself takes several times as long.
        self._heap, self._ends = heap.view(np.ndarray), ends.view(np.ndarray)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """The same texts, in memory."""
        encoded = [text.encode("utf-8", SURROGATES) for text in texts]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _at(self, number: int) -> str:
        start, end = self._ends[number : number + 2].tolist()
        return self._heap[start:end].tobytes().decode("utf-8", SURROGATES)


class Captions(_Rows[list[str]]):
    """The captions of N examples.

    texts: of all of them, in order. ends: int64 [N + 1]; example i has the texts from ends[i] up to
    ends[i + 1].
    """

    def __init__(self, texts: Texts, ends: np.ndarray) -> None:
        self.texts, self.ends = texts, ends
        self._ends = ends.view(np.ndarray)

    @classmethod
    def of(cls, captions: Sequence[Sequence[str]]) -> Captions:
        """The same captions; those that are not in arrays yet are put into some, in memory."""
        if isinstance(captions, Captions):
            return captions
        ends = np.cumsum([0, *map(len, captions)], dtype=np.int64)
        return cls(Texts.of(caption for some in captions for caption in some), ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _at(self, number: int) -> list[str]:
        start, end = self._ends[number : number + 2].tolist()
        return self.texts[start:end]


class ToldOfCaptions(_Rows[list[Told]]):
    """What is known of each caption of N examples.

    texts: a JSON list of `Told` for each example; empty where nothing is known of its captions.
    """

    def __init__(self, texts: Texts, captions: Captions) -> None:
        self._texts, self._captions = texts, captions

    def __len__(self) -> int:
        return len(self._texts)

    def _at(self, number: int) -> list[Told]:
        if text := self._texts[number]:
            return [Told(*one) for one in json.loads(text)]
        return [Told()] * len(self._captions[number])
