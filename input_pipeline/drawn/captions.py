"""Captions of a drawn scene: facts chosen from it, then said in one of many ways.

A caption carries the facts it states, so that each can be checked against any scene.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from input_pipeline.drawn.moving import choose_motions, say_motions
from input_pipeline.drawn.names import be, listed, named, one_of
from input_pipeline.drawn.scene import DRAWN_SINCE, SPLITS
from input_pipeline.drawn.scene import scene as draw_scene
from input_pipeline.drawn.shown import MOTIONS, Fact, motions
from input_pipeline.drawn.things import SIZES, Scene, Thing, relations
from input_pipeline.drawn.vocabulary import (
    BACKGROUND_PHRASES,
    LIGHT_PHRASES,
    LIST_OPENINGS,
    RELATION_PATTERNS,
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
WORDS = (5, 18)  # fewest and most words of a caption


class Caption(NamedTuple):
    """A sentence and all it states."""

    text: str
    facts: tuple[Fact, ...]

    @property
    def names_motion(self) -> bool:
        """Whether only a video can show what it states."""
        return any(fact.about in MOTIONS for fact in self.facts)


Relation = tuple[str, tuple[int, ...]]  # its name and slots, as in Fact


@dataclass(frozen=True)
class _Plan:
    """What to tell: slots in order of mention, what of each, and how two or three are related or
    what motion they or the camera show."""

    slots: tuple[int, ...]
    told: dict[int, frozenset[str]]
    relation: Relation | None
    motions: tuple[Fact, ...]
    background: bool
    light: bool


def captions(scene: Scene, count: int) -> list[str]:
    """`count` different captions, each lower-case and of 5 to 18 words."""
    return [caption.text for caption in write(scene, count)]


def write(scene: Scene, count: int) -> list[Caption]:
    """`count` different captions with their facts; a pure function of the scene, and fewer are the
    start of more."""
    seed = [DRAWN_SINCE, SPLITS.index(scene.split), scene.index, 2]
    rng = np.random.default_rng(seed)
    sibling = None if scene.sibling is None else draw_scene(scene.split, scene.sibling)
    written: list[Caption] = []
    while len(written) < count:
        settle = sibling is not None and rng.random() < SETTLING_FRACTION
        moving = choose_motions(rng, scene, sibling, settle)
        while True:
            plan = _plan_motions(rng, scene, moving) if moving else _plan(rng, scene, settle)
            caption = _say(rng, scene, plan)
            length = len(caption.text.split())
            if not WORDS[0] <= length <= WORDS[1]:
                continue
            if caption.text in (earlier.text for earlier in written):
                continue
            if not is_true(caption, scene):
                continue
            if settle and sibling is not None and is_true(caption, sibling):
                continue
            break
        written.append(caption)
    return written


def is_true(caption: Caption, scene: Scene) -> bool:
    """Whether all that a caption states is true of a scene."""
    return all(holds(fact, scene) for fact in caption.facts)


def holds(fact: Fact, scene: Scene) -> bool:
    """Whether a fact is true of a scene (false too where a kind isn't there).

    A motion is one that the scene's video shows plainly. A thing that grows has no size.
    """
    if fact.about in MOTIONS:
        return fact in motions(scene)
    if fact.about in ("background", "light"):
        return getattr(scene, fact.about) == fact.value
    slots = {thing.kind: slot for slot, thing in enumerate(scene.things)}
    if any(kind not in slots for kind in fact.kinds):
        return False
    if fact.about == "there":
        return True
    if fact.about == "size" and slots[fact.kinds[0]] == _growing(scene):
        return False
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
        if _growing(scene) not in (a, b)
    ]


def _growing(scene: Scene) -> int | None:
    """The slot of the thing that grows or shrinks."""
    return scene.act.slot if scene.act is not None and scene.act.kind == "grow" else None


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
    return _Plan(tuple(slots), told, relation, (), bool(background), bool(light))


def _plan_motions(rng: np.random.Generator, scene: Scene, moving: tuple[Fact, ...]) -> _Plan:
    """What to tell beside a motion."""
    kinds = [thing.kind for thing in scene.things]
    slots = [kinds.index(kind) for kind in moving[0].kinds]
    others = [int(slot) for slot in rng.permutation(len(kinds)) if slot not in slots]
    if moving[0].about not in ("zoom", "first"):
        count = list(MENTIONED)[int(rng.choice(3, p=list(MENTIONED.values())))]
        slots += others[: max(0, count - len(slots))]
    told = {slot: frozenset(_choose_told(rng, scene.things[slot])) for slot in slots}
    background, light = rng.random(2) < (BACKGROUND_TOLD, LIGHT_TOLD)
    return _Plan(tuple(slots), told, None, moving, bool(background), bool(light))


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
    name = one_of(rng, sorted({related[0] for related in fitting}))
    return one_of(rng, [related for related in fitting if related[0] == name])


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
    elif plan.motions:
        facts += plan.motions
        core = say_motions(rng, scene, plan.motions, plan.slots, plan.told)
    elif _can_be_said_of_each(scene, plan) and rng.random() < 0.3:
        core = _say_of_each(rng, scene, plan)
    else:
        opening = one_of(rng, LIST_OPENINGS)
        core = opening.format(is_a=be(scene.things[plan.slots[0]]))
        core += listed(named(rng, scene.things[slot], plan.told[slot]) for slot in plan.slots)
    around = []
    if plan.background:
        around.append(one_of(rng, BACKGROUND_PHRASES[scene.background]))
        facts.append(Fact("background", (), scene.background))
    if plan.light:
        around.append(one_of(rng, LIGHT_PHRASES[scene.light]))
        facts.append(Fact("light", (), scene.light))
    if around and rng.random() < 0.25:
        return Caption(f"{' '.join(around)}, {core}", tuple(facts))
    if around and (plan.relation is not None or plan.motions):
        core += ","
    return Caption(" ".join([core, *around]), tuple(facts))


def _say_related(rng: np.random.Generator, scene: Scene, plan: _Plan) -> str:
    assert plan.relation is not None
    name, related = plan.relation
    parts = {}
    for letter, slot in zip("abc", related, strict=False):
        thing = scene.things[slot]
        parts[letter] = named(rng, thing, plan.told[slot])
        parts[f"is_{letter}"] = be(thing)
        parts[f"its_{letter}"] = "its" if thing.count == 1 else "their"
    parts["a_bare"] = parts["a"].split(" ", 1)[1]
    core = one_of(rng, RELATION_PATTERNS[name]).format(**parts)
    rest = [slot for slot in plan.slots if slot not in related]
    more = [named(rng, scene.things[slot], plan.told[slot]) for slot in rest]
    return one_of(rng, ("{}, and {}", "{}, also {}")).format(core, listed(more)) if more else core


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
            one_of(rng, words)
            for about, words in (
                ("colour", (thing.colour,)),
                ("texture", TEXTURE_WORDS[thing.texture]),
            )
            if about in told
        ]
        name = named(rng, thing, told - {"colour", "texture"}, "the")
        clauses.append(f"{name} {be(thing)} {' and '.join(said)}")
    colours = {scene.things[slot].colour for slot in plan.slots}
    return one_of(rng, (" and ", " while ", " but ") if len(colours) > 1 else (" and ",)).join(
        clauses
    )
