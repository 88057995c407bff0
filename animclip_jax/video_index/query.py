"""What is searched for: a weighted sum of sentences, pictures, videos and moments.

In a line of text, -word and -"some words" are what should not be there, +"some words" is a sentence
of its own, and ^2 behind any of them is its weight. The command, the API and the page read lines
alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

MAX_CHARACTERS = 1000
# Each sentence of a query is re-ranked by itself.
MAX_PARTS, MAX_WEIGHT = 8, 100.0
# A sum that is shorter says nothing but rounding.
_NOTHING = 1e-3
_SIGNED = re.compile(r'(?<!\S)([+-])("[^"]*"(?:\^\S+)?|[^\s"+-]\S*)')
_WEIGHT = re.compile(r"\^(\d+(?:\.\d+)?)$")


class QueryError(ValueError):
    """A query that can't be answered, whatever is indexed."""


class Part(NamedTuple):
    """A part of a query, and its weight, which is negative for what should not be there.

    what: a sentence; a picture uint8 [H, W, 3]; an embedding float32 [E], unit length, such as a
    moment's; or the path of a video.
    """

    what: str | np.ndarray | Path
    weight: float = 1.0


@dataclass(frozen=True)
class Query:
    """Parts whose embeddings are added, each as often as its weight says.

    Raises QueryError where there are none, more than MAX_PARTS, or a weight that can't be.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.parts) <= MAX_PARTS:
            raise QueryError(f"a query of {len(self.parts)} parts: wanted 1 to {MAX_PARTS}")
        for part in self.parts:
            if not 0 < abs(part.weight) <= MAX_WEIGHT:
                raise QueryError(f"weight {part.weight:g}: wanted above 0, {MAX_WEIGHT:g} at most")

    @property
    def asks(self) -> bool:
        """Whether a sentence says what should be there: only then is there anything to re-rank."""
        return any(isinstance(part.what, str) and part.weight > 0 for part in self.parts)

    def total(self, embeddings: Sequence[np.ndarray]) -> np.ndarray:
        """The weighted sum of the parts' embeddings, float32 [E], of unit length.

        Raises QueryError where the parts cancel each other out.
        """
        import numpy as np

        weights = [part.weight for part in self.parts]
        summed = np.einsum("p,pe->e", np.array(weights), np.stack(embeddings).astype(np.float64))
        length = np.linalg.norm(summed)
        if length < _NOTHING * max(map(abs, weights)):
            raise QueryError("the parts of the query cancel each other out: change a weight")
        return (summed / length).astype(np.float32)


def checked(text: str) -> str:
    """The line without the blanks around it.

    Raises:
      QueryError: nothing is left, or more than MAX_CHARACTERS.
    """
    text = text.strip()
    if not text:
        raise QueryError("the sentence is blank: say what the video shows")
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"the sentence has {len(text)} characters, wanted 1 to {MAX_CHARACTERS}")
    return text


def weighted(text: str) -> tuple[str, float]:
    """What stands before ^, and the number behind it: 1 where there is none.

    Raises QueryError where the number is no weight.
    """
    match = _WEIGHT.search(text)
    if match is None:
        return text, 1.0
    weight = float(match[1])
    if not 0 < weight <= MAX_WEIGHT:
        raise QueryError(f"{match[0]}: wanted a weight above 0, {MAX_WEIGHT:g} at most")
    return text[: match.start()], weight


def parsed(line: str) -> tuple[Part, ...]:
    """The parts of a line. Raises QueryError as `checked` and `weighted`."""
    line = checked(line)
    parts = [Part(*weighted(" ".join(_SIGNED.sub(" ", line).split())))]
    for match in _SIGNED.finditer(line):
        parts.append(_sentence(match[2], -1 if match[1] == "-" else 1))
    found = tuple(part for part in parts if part.what)
    if not found:
        raise QueryError("the sentence is blank: say what the video shows")
    return found


def without(text: str) -> Part:
    """A sentence that says what should not be there. Raises QueryError as `parsed`."""
    part = _sentence(checked(text), -1)
    if not part.what:
        raise QueryError("the sentence is blank: say what the video should not show")
    return part


def _sentence(text: str, sign: int) -> Part:
    """A sentence in quotes or without, with its weight behind it."""
    words, weight = weighted(text)
    quoted = re.fullmatch(r'"([^"]*)"', words)
    return Part(quoted[1].strip() if quoted else words, sign * weight)
