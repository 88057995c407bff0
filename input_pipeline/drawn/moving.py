"""How captions name a motion: which of those that a video shows, and in what words."""

import numpy as np

from input_pipeline.drawn.names import listed, named, one_of
from input_pipeline.drawn.shown import OF_ACT, Fact, motions
from input_pipeline.drawn.things import Scene
from input_pipeline.drawn.vocabulary import MOTION_PATTERNS, MOTION_VERBS, PACE_WORDS

ACT_TOLD = 0.6  # of the captions of a video with an act and no sibling
PACE_TOLD = 0.4  # where a thing moves slowly or quickly, and the captions need not tell it
ORDER_TOLD = 0.2  # where a video shows an order beside its act


def choose_motions(
    rng: np.random.Generator, scene: Scene, sibling: Scene | None, settle: bool
) -> tuple[Fact, ...]:
    """The motion to tell: none, or what one clause can say of it. Draws nothing without an act.

    Args:
      settle: whether it must tell the scene from its sibling.
    """
    if scene.act is None or not (settle or (sibling is None and rng.random() < ACT_TOLD)):
        return ()
    shown = motions(scene)
    abouts, fitting = OF_ACT[scene.act.kind], shown
    if settle and sibling is not None:
        abouts, fitting = abouts | {"pace"}, shown - motions(sibling)
    elif rng.random() < ORDER_TOLD:
        abouts = abouts | {"first"}
    fitting = frozenset(fact for fact in fitting if fact.about in abouts)
    about = one_of(rng, sorted({fact.about for fact in fitting}))
    if about == "pace" or (about == "moves" and rng.random() < PACE_TOLD):
        return tuple(sorted(fact for fact in shown if fact.about in ("moves", "pace")))
    return (one_of(rng, sorted(fact for fact in fitting if fact.about == about)),)


def say_motions(
    rng: np.random.Generator,
    scene: Scene,
    facts: tuple[Fact, ...],
    slots: tuple[int, ...],
    told: dict[int, frozenset[str]],
) -> str:
    """A clause of what `choose_motions` chose.

    Args:
      slots: the things to name, those that the facts are about first; told: what of each.
    """
    names = [named(rng, scene.things[slot], told[slot]) for slot in slots]
    motion, *pace = facts
    parts = dict(zip("ab", names, strict=False)) | {"all": listed(names), "pace": ""}
    many = scene.things[slots[0]].count > 1
    parts |= {one: forms[many] for one, forms in MOTION_VERBS.items()}
    if pace:
        parts["pace"] = " " + one_of(rng, PACE_WORDS[str(pace[0].value)])
    pattern = one_of(rng, MOTION_PATTERNS[motion.about][str(motion.value)])
    clause = pattern.format(**parts)
    rest = names[len(motion.kinds) :] if "{all}" not in pattern else []
    if not rest:
        return clause
    return one_of(rng, ("{}, and {}", "{}, also {}")).format(clause, listed(rest))
