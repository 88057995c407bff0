"""How a caption calls things: with an article or a number, and what else it tells of them."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from input_pipeline.drawn.things import Thing
from input_pipeline.drawn.vocabulary import (
    NOUNS,
    NUMBER_WORDS,
    SIZE_WORDS,
    TEXTURE_AFTER,
    TEXTURE_WORDS,
)

FIRST_NOUN = 0.8  # chance of a kind's first name; the other names share the rest

Choice = TypeVar("Choice")


def named(
    rng: np.random.Generator, thing: Thing, told: frozenset[str], article: str | None = None
) -> str:
    """ "a small striped red ball", "two red balls", with `article` instead of "a" where given."""
    words = []
    if "size" in told:
        words.append(one_of(rng, SIZE_WORDS[thing.size]))
    after = ""
    if "texture" in told:
        after = TEXTURE_AFTER.get(thing.texture, "") if rng.random() < 0.25 else ""
        if not after:
            words.append(one_of(rng, TEXTURE_WORDS[thing.texture]))
    if "colour" in told:
        words.append(thing.colour)
    names = NOUNS[thing.kind]
    first = len(names) == 1 or rng.random() < FIRST_NOUN
    words.append((names[0] if first else one_of(rng, names[1:]))[thing.count > 1])
    if after:
        words.append(after)
    if thing.count == 1:
        vowel = words[0][0] in "aeiou"
        return " ".join([article or ("an" if vowel else "a"), *words])
    number = one_of(rng, NUMBER_WORDS[thing.count]) if "count" in told else "some"
    if article:
        number = article if number == "some" else f"{article} {number.removeprefix('a ')}"
    return " ".join([number, *words])


def be(thing: Thing) -> str:
    return "is" if thing.count == 1 else "are"


def listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def one_of(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    return choices[int(rng.integers(len(choices)))]
