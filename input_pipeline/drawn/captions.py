"""Captions of a drawn scene: facts chosen from it, then said in one of many ways.

A caption carries the facts it states, so that each can be checked against any scene.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from input_pipeline.drawn.scene import (
    SIZES,
    SPLITS,
    WORLD_VERSION,
    Scene,
    Thing,
    relations,
)
from input_pipeline.drawn.scene import scene as draw_scene
from input_pipeline.drawn.vocabulary import (
    BACKGROUND_PHRASES,
    LIGHT_PHRASES,
    LIST_OPENINGS,
    NOUNS,
    NUMBER_WORDS,
    RELATION_PATTERNS,
    SIZE_WORDS,
    TEXTURE_AFTER,
    TEXTURE_WORDS,
)

# How much the captions tell.
SETTLING_FRACTION = 0.85  # of a sibling's captions are certain to tell it from its sibling
MENTIONED = {1: 0.06, 2: 0.6, 3: 0.34}  # things a caption names, at most as many as there are
COLOUR_TOLD = 0.95  # chance that a thing's colour is told, and so on
TEXTURE_TOLD = 0.45
SIZE_TOLD = 0.3
NUMBER_TOLD = 0.8  # of the groups; else they are just a plural
RELATION_TOLD = 0.5
BACKGROUND_TOLD = 0.4
LIGHT_TOLD = 0.2
FIRST_NOUN = 0.8  # chance of a kind's first name; the other names share the rest
WORDS = (5, 18)  # fewest and most words of a caption


class Fact(NamedTuple):
    """One statement: `about` the things of these kinds, with a value where it needs one.

    about is "there" (a thing of the kind exists), "colour", "texture", "size", "count", a relation
    ("left", "above", "front", "bigger": first to second; "between": first between the others), or
    "background" or "light" (of no kind).
    """

    about: str
    kinds: tuple[str, ...] = ()
    value: str | int = ""


class Caption(NamedTuple):
    """A sentence and all it states."""

    text: str
    facts: tuple[Fact, ...]


Choice = TypeVar("Choice")
Relation = tuple[str, tuple[int, ...]]  # its name and slots, as in Fact


@dataclass(frozen=True)
class _Plan:
    """What to tell: slots in order of mention, what of each, and how two or three are related."""

    slots: tuple[int, ...]
    told: dict[int, frozenset[str]]
    relation: Relation | None
    background: bool
    light: bool


def captions(scene: Scene, count: int) -> list[str]:
    """`count` different captions, each lower-case and of 5 to 18 words."""
    return [caption.text for caption in write(scene, count)]


def write(scene: Scene, count: int) -> list[Caption]:
    """`count` different captions with their facts; a pure function of the scene, and fewer are the
    start of more."""
    seed = [WORLD_VERSION, SPLITS.index(scene.split), scene.index, 2]
    rng = np.random.default_rng(seed)
    sibling = None if scene.sibling is None else draw_scene(scene.split, scene.sibling)
    written: list[Caption] = []
    while len(written) < count:
        settle = sibling is not None and rng.random() < SETTLING_FRACTION
        while True:
            caption = _say(rng, scene, _plan(rng, scene, settle))
            length = len(caption.text.split())
            if not WORDS[0] <= length <= WORDS[1]:
                continue
            if caption.text in (earlier.text for earlier in written):
                continue
            if (
                settle
                and sibling is not None
                and all(holds(fact, sibling) for fact in caption.facts)
            ):
                continue
            break
        written.append(caption)
    return written


def holds(fact: Fact, scene: Scene) -> bool:
    """Whether a fact is true of a scene (false too where a kind isn't there)."""
    if fact.about in ("background", "light"):
        return getattr(scene, fact.about) == fact.value
    slots = {thing.kind: slot for slot, thing in enumerate(scene.things)}
    if any(kind not in slots for kind in fact.kinds):
        return False
    if fact.about == "there":
        return True
    if fact.about in ("colour", "texture", "size", "count"):
        return getattr(scene.things[slots[fact.kinds[0]]], fact.about) == fact.value
    return (fact.about, tuple(slots[kind] for kind in fact.kinds)) in _related(scene)


def _related(scene: Scene) -> list[Relation]:
    """All relations that may be told, as (name, slots)."""
    pairs = relations(scene)
    found: list[Relation] = [(name, (a, b)) for name, a, b in pairs]
    for name, a, b in pairs:
        found += [("between", (b, a, c)) for other, d, c in pairs if (other, d) == (name, b)]
        found += [("between", (b, c, a)) for other, d, c in pairs if (other, d) == (name, b)]
    return found + [
        ("bigger", (a, b))
        for a, first in enumerate(scene.things)
        for b, second in enumerate(scene.things)
        if SIZES[first.size] > SIZES[second.size] and first.count == second.count == 1
    ]


def _plan(rng: np.random.Generator, scene: Scene, settle: bool) -> _Plan:
    """What to tell. To settle which sibling is meant, what differs is told more often; whether
    it does settle is for the caller to check."""
    count = min(list(MENTIONED)[int(rng.choice(3, p=list(MENTIONED.values())))], len(scene.things))
    slots = [int(slot) for slot in rng.permutation(len(scene.things))]
    about = scene.differs if settle else None
    swapped = scene.swapped or ()
    if about is not None:
        count = max(count, 1 + (rng.random() < 0.8 or about in ("place", "size")))
        slots.sort(key=lambda slot: slot not in swapped)
        head = [int(slot) for slot in rng.permutation(slots[:2])]
        slots = head + slots[2:]
    slots = slots[:count]
    relation = _choose_relation(rng, scene, set(slots), about)
    if relation is not None:
        slots = [*relation[1], *(slot for slot in slots if slot not in relation[1])]
    told = {}
    for slot in slots:
        telling = _choose_told(rng, scene.things[slot])
        if about in ("colour", "texture", "size") and slot in swapped:
            telling |= {about}
        if relation is not None and relation[0] == "bigger":
            telling -= {"size"}
        told[slot] = frozenset(telling)
    background, light = rng.random(2) < (BACKGROUND_TOLD, LIGHT_TOLD)
    return _Plan(tuple(slots), told, relation, bool(background), bool(light))


def _choose_relation(
    rng: np.random.Generator, scene: Scene, slots: set[int], about: str | None
) -> Relation | None:
    """A relation among the slots; for siblings by place one of both swapped things."""
    fitting = [related for related in _related(scene) if set(related[1]) <= slots]
    if about == "place":
        swapped = set(scene.swapped or ())
        fitting = [
            related for related in fitting if swapped <= set(related[1]) and related[0] != "bigger"
        ]
    elif rng.random() >= RELATION_TOLD:
        return None
    if not fitting:
        return None
    name = _one_of(rng, sorted({related[0] for related in fitting}))
    return _one_of(rng, [related for related in fitting if related[0] == name])


def _choose_told(rng: np.random.Generator, thing: Thing) -> set[str]:
    share = rng.random(4)
    chosen = {
        "colour": share[0] < COLOUR_TOLD,
        "texture": thing.texture != "plain" and share[1] < TEXTURE_TOLD,
        "size": thing.size != "medium" and share[2] < SIZE_TOLD,
        "count": share[3] < NUMBER_TOLD,
    }
    return {about for about, tell in chosen.items() if tell}


def _say(rng: np.random.Generator, scene: Scene, plan: _Plan) -> Caption:
    """The plan as a sentence."""
    facts: list[Fact] = []
    for slot in plan.slots:
        thing = scene.things[slot]
        facts.append(Fact("there", (thing.kind,)))
        for about in sorted(plan.told[slot] | ({"count"} if thing.count == 1 else set())):
            facts.append(Fact(about, (thing.kind,), getattr(thing, about)))
    if plan.relation is not None:
        name, related = plan.relation
        facts.append(Fact(name, tuple(scene.things[slot].kind for slot in related)))
        core = _say_related(rng, scene, plan)
    elif _can_be_said_of_each(scene, plan) and rng.random() < 0.3:
        core = _say_of_each(rng, scene, plan)
    else:
        opening = _one_of(rng, LIST_OPENINGS)
        core = opening.format(is_a=_is(scene.things[plan.slots[0]]))
        core += _list(_name(rng, scene.things[slot], plan.told[slot]) for slot in plan.slots)
    around = []
    if plan.background:
        around.append(_one_of(rng, BACKGROUND_PHRASES[scene.background]))
        facts.append(Fact("background", (), scene.background))
    if plan.light:
        around.append(_one_of(rng, LIGHT_PHRASES[scene.light]))
        facts.append(Fact("light", (), scene.light))
    if around and rng.random() < 0.25:
        return Caption(f"{' '.join(around)}, {core}", tuple(facts))
    if plan.relation is not None and around:
        core += ","
    return Caption(" ".join([core, *around]), tuple(facts))


def _say_related(rng: np.random.Generator, scene: Scene, plan: _Plan) -> str:
    assert plan.relation is not None
    name, related = plan.relation
    parts = {}
    for letter, slot in zip("abc", related, strict=False):
        thing = scene.things[slot]
        parts[letter] = _name(rng, thing, plan.told[slot])
        parts[f"is_{letter}"] = _is(thing)
        parts[f"its_{letter}"] = "its" if thing.count == 1 else "their"
    parts["a_bare"] = parts["a"].split(" ", 1)[1]
    core = _one_of(rng, RELATION_PATTERNS[name]).format(**parts)
    rest = [slot for slot in plan.slots if slot not in related]
    more = [_name(rng, scene.things[slot], plan.told[slot]) for slot in rest]
    return _one_of(rng, ("{}, and {}", "{}, also {}")).format(core, _list(more)) if more else core


def _can_be_said_of_each(scene: Scene, plan: _Plan) -> bool:
    """Whether each thing has a colour or texture to say after "is"."""
    return len(plan.slots) < 3 and all(
        plan.told[slot] & {"colour", "texture"} for slot in plan.slots
    )


def _say_of_each(rng: np.random.Generator, scene: Scene, plan: _Plan) -> str:
    """ "the small ball is red and the two cups are striped"."""
    clauses = []
    for slot in plan.slots:
        thing, told = scene.things[slot], plan.told[slot]
        said = [
            _one_of(rng, words)
            for about, words in (
                ("colour", (thing.colour,)),
                ("texture", TEXTURE_WORDS[thing.texture]),
            )
            if about in told
        ]
        name = _name(rng, thing, told - {"colour", "texture"}, "the")
        clauses.append(f"{name} {_is(thing)} {' and '.join(said)}")
    colours = {scene.things[slot].colour for slot in plan.slots}
    return _one_of(rng, (" and ", " while ", " but ") if len(colours) > 1 else (" and ",)).join(
        clauses
    )


def _name(
    rng: np.random.Generator, thing: Thing, told: frozenset[str], article: str | None = None
) -> str:
    """ "a small striped red ball", "two red balls", with `article` instead of "a" where given."""
    words = []
    if "size" in told:
        words.append(_one_of(rng, SIZE_WORDS[thing.size]))
    after = ""
    if "texture" in told:
        after = TEXTURE_AFTER.get(thing.texture, "") if rng.random() < 0.25 else ""
        if not after:
            words.append(_one_of(rng, TEXTURE_WORDS[thing.texture]))
    if "colour" in told:
        words.append(thing.colour)
    names = NOUNS[thing.kind]
    first = len(names) == 1 or rng.random() < FIRST_NOUN
    words.append((names[0] if first else _one_of(rng, names[1:]))[thing.count > 1])
    if after:
        words.append(after)
    if thing.count == 1:
        vowel = words[0][0] in "aeiou"
        return " ".join([article or ("an" if vowel else "a"), *words])
    number = _one_of(rng, NUMBER_WORDS[thing.count]) if "count" in told else "some"
    if article:
        number = article if number == "some" else f"{article} {number.removeprefix('a ')}"
    return " ".join([number, *words])


def _is(thing: Thing) -> str:
    return "is" if thing.count == 1 else "are"


def _list(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _one_of(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    return choices[int(rng.integers(len(choices)))]
