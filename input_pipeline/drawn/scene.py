"""Which scenes there are: their things, their layout, their acts and their near-duplicates.

A scene is a pure function of (DRAWN_SINCE, split, index). Nothing here knows about pixels.
"""

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from input_pipeline.drawn import acts, shown
from input_pipeline.drawn.things import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    LIGHT_FROM,
    OVERLAP,
    Scene,
    Thing,
    overlap,
    relations,
)

# Raise this whenever a drawn pixel or a caption changes: results of different versions are not
# comparable. It is part of the name of the cache folder, so an old cache is never mixed in.
WORLD_VERSION = 4
# The first of the versions that draw the same numbers. Stills and their captions have not changed
# since then, nor have the videos without an act.
DRAWN_SINCE = 3

# How hard the world is.
SIBLING_FRACTION = 0.25  # of the pairs (2i, 2i+1): near-duplicates that differ in one swap
MOTION_FRACTION = 0.25  # of the pairs of videos: near-duplicates that differ in one motion
ACT_FRACTION = 0.4  # of the videos without a sibling: they show an act
ACT_TRIES = 20  # of acts for the things of a scene
SWAPS = {"colour": 0.7, "place": 0.1, "texture": 0.1, "size": 0.1}  # what siblings differ in
ACTS = {"slide": 0.3, "grow": 0.15, "turn": 0.1, "zoom": 0.15, "pan": 0.2, "cut": 0.1}
PACE_FRACTION = 0.3  # of the siblings that slide differ in how fast, not in where to
THINGS = {2: 0.55, 3: 0.4, 4: 0.05}  # number of things in a scene
SIZE_ODDS = {"small": 0.3, "medium": 0.35, "large": 0.35}
COUNTS = {1: 0.78, 2: 0.13, 3: 0.09}  # objects in a thing; large ones always come alone
TEXTURES = {"plain": 0.7, "striped": 0.1, "dotted": 0.1, "checked": 0.1}
LIGHTS = {"day": 0.79, "sunset": 0.07, "night": 0.07, "fog": 0.07}
OCCLUSION_FRACTION = 0.4  # of the scenes: one thing hides a part of another
HELD_OUT_OF = 8  # one (kind, colour) pair in this many is seen in test only, and one in val only

MOST_OVERLAP = 0.6  # of the smaller box, so that a hidden thing can be recognized
MIN_SPREAD = 0.6  # two things are at least this far apart on an axis: no viewport shows them all
GAP = 0.015  # between things that don't overlap, and to the scene's edge

SPLITS = ("train", "val", "test", "finetune")  # in this order: the numbers seed the scenes

Key = TypeVar("Key", int, str)


def scene(split: str, index: int) -> Scene:
    """The scene `index` (0 or more, no upper end) of a split.

    Raises ValueError for another split or a negative index.
    """
    if split not in SPLITS:
        raise ValueError(f"drawn world: split {split!r} is none of {', '.join(SPLITS)}")
    if index < 0:
        raise ValueError(f"drawn world: index {index} is negative")
    return _pair(split, index // 2)[index % 2]


def home(kind: str, colour: str) -> str:
    """The split that holds this pair alone ("val" or "test"), or "train" if every split may."""
    digest = hashlib.sha256(f"{kind} {colour}".encode()).digest()
    bucket = int.from_bytes(digest[:4], "big") % HELD_OUT_OF
    return ("test", "val")[bucket] if bucket < 2 else "train"


def _own(split: str) -> str:
    """Whose pairs each of the split's scenes shows: its own, or those of "train"."""
    return split if split in ("val", "test") else "train"


@lru_cache(maxsize=64)
def _pair(split: str, pair: int) -> tuple[Scene, Scene]:
    seed = [DRAWN_SINCE, SPLITS.index(split), pair]
    rng = np.random.default_rng(seed)
    share = rng.random()
    if share < SIBLING_FRACTION:
        return _siblings(rng, split, pair)
    if split != "train" and share < SIBLING_FRACTION + MOTION_FRACTION:
        return _moving_siblings(rng, split, pair)
    first, second = (
        _single([*seed, half], split, 2 * pair + half, split != "train") for half in (0, 1)
    )
    return first, second


def _single(seed: list[int], split: str, index: int, may_act: bool) -> Scene:
    rng = np.random.default_rng([*seed, 1])
    if may_act and rng.random() < ACT_FRACTION:
        return _acting(rng, split, index, _pick(rng, ACTS))
    rng = np.random.default_rng(seed)
    while True:
        things = _contents(rng, split)
        placed = _placed(rng, things, things)
        if placed is not None:
            return Scene(split, index, placed[0], *_surroundings(rng))


def _acting(rng: np.random.Generator, split: str, index: int, differs: str) -> Scene:
    """Draws until an act is plain, and its sibling's, too."""
    while True:
        things = _contents(rng, split)
        placed = _placed(rng, things, things)
        if placed is None:
            continue
        around = _surroundings(rng)
        for _ in range(ACT_TRIES):
            act = acts.propose(rng, differs, placed[0])
            if act is None:
                continue
            found = Scene(split, index, placed[0], *around, differs=differs, act=act)
            if shown.is_plain(found) and shown.is_plain(_otherwise(found)):
                return found


def _otherwise(scene: Scene) -> Scene:
    """The scene with its act the other way: backwards, or slower."""
    act = scene.act
    assert act is not None
    if scene.differs == "pace":
        slower = acts.PACES[0] / acts.PACES[1]
        right, down = act.travel
        return replace(scene, act=replace(act, travel=(slower * right, slower * down)))
    return replace(scene, act=replace(act, backwards=not act.backwards))


def _moving_siblings(rng: np.random.Generator, split: str, pair: int) -> tuple[Scene, Scene]:
    differs = _pick(rng, ACTS)
    if differs == "slide" and rng.random() < PACE_FRACTION:
        differs = "pace"
    first = replace(_acting(rng, split, 2 * pair, differs), sibling=2 * pair + 1)
    return first, replace(_otherwise(first), index=2 * pair + 1, sibling=2 * pair)


def _siblings(rng: np.random.Generator, split: str, pair: int) -> tuple[Scene, Scene]:
    """Draws until a swap exists that respects the split and leaves both layouts clear."""
    differs = _pick(rng, SWAPS)
    while True:
        things = _contents(rng, split)
        a, b = sorted(int(slot) for slot in rng.choice(len(things), 2, replace=False))
        others = _swapped(things, differs, a, b)
        if others is None or not _belongs(others, split):
            continue
        placed = _placed(rng, things, others)
        if placed is None:
            continue
        around = _surroundings(rng)
        swap = differs, (a, b)
        first = Scene(split, 2 * pair, placed[0], *around, 2 * pair + 1, *swap)
        second = Scene(split, 2 * pair + 1, placed[1], *around, 2 * pair, *swap)
        if differs != "place" or any({a, b} == {i, j} for _, i, j in relations(first)):
            return first, second


def _swapped(things: tuple[Thing, ...], differs: str, a: int, b: int) -> tuple[Thing, ...] | None:
    """The sibling's things, or None where the swap would change nothing or break a rule."""
    first, second = things[a], things[b]
    if differs == "place":
        pair = second, first
    else:
        values = getattr(first, differs), getattr(second, differs)
        grows_group = differs == "size" and max(first.count, second.count) > 1
        if values[0] == values[1] or grows_group:
            return None
        pair = replace(first, **{differs: values[1]}), replace(second, **{differs: values[0]})
    others = list(things)
    others[a], others[b] = pair
    return tuple(others)


def _contents(rng: np.random.Generator, split: str) -> tuple[Thing, ...]:
    """Things of different kinds whose (kind, colour) pairs the split may show, not yet placed."""
    own = _own(split)
    while True:
        kinds = rng.choice(KINDS, _pick(rng, THINGS), replace=False)
        things = []
        for slot, kind in enumerate(kinds):
            homes = ("train", own) if slot else (own,)
            colours = [colour for colour in COLOURS if home(kind, colour) in homes]
            if not colours:
                break
            size = _pick(rng, SIZE_ODDS)
            count = 1 if size == "large" else _pick(rng, COUNTS)
            colour, texture = str(rng.choice(colours)), _pick(rng, TEXTURES)
            things.append(Thing(str(kind), colour, texture, size, count))
        if len(things) == len(kinds):
            return tuple(things[slot] for slot in rng.permutation(len(things)))


def _belongs(things: tuple[Thing, ...], split: str) -> bool:
    homes = {home(thing.kind, thing.colour) for thing in things}
    return homes <= {"train", _own(split)} and _own(split) in homes


def _placed(
    rng: np.random.Generator, things: tuple[Thing, ...], others: tuple[Thing, ...]
) -> tuple[tuple[Thing, ...], tuple[Thing, ...]] | None:
    """Both sets of things on one common layout, or None where none was found."""
    rooms = np.array([max(a.radius, b.radius) for a, b in zip(things, others, strict=True)])
    back = front = None
    if rng.random() < OCCLUSION_FRACTION and len(things) > 2:
        back, front = sorted(int(slot) for slot in rng.choice(len(things), 2, replace=False))
    centres = _layout(rng, rooms, back, front)
    if centres is None:
        return None
    first, second = (
        tuple(
            replace(thing, x=float(x), y=float(y), room=float(room))
            for thing, (x, y), room in zip(some, centres, rooms, strict=True)
        )
        for some in (things, others)
    )
    if front is not None and back is not None:
        hidden = [overlap(some[front], some[back]) for some in (first, second)]
        if min(hidden) < OVERLAP or max(hidden) > MOST_OVERLAP:
            return None
    return first, second


def _layout(
    rng: np.random.Generator, rooms: np.ndarray, back: int | None, front: int | None
) -> np.ndarray | None:
    """Centres [N, 2] for boxes of half side `rooms` [N]: inside, apart, and well spread out."""
    tries, n = 256, len(rooms)
    low = rooms + GAP
    centres = rng.uniform(low[:, None], 1 - low[:, None], (tries, n, 2))
    if back is not None and front is not None:
        angle = rng.uniform(0, 2 * np.pi, tries)
        axis = np.stack([np.cos(angle), np.sin(angle)], -1)
        axis /= np.abs(axis).max(-1, keepdims=True)
        share = rng.uniform(0.5, 0.66, (tries, 1))
        centres[:, front] = centres[:, back] + axis * share * (rooms[back] + rooms[front])
    inside = (np.abs(centres - 0.5) <= 0.5 - low[:, None]).all((1, 2))
    apart = np.abs(centres[:, :, None] - centres[:, None]).max(-1)
    spread = apart.max((1, 2)) >= MIN_SPREAD
    clear = apart >= rooms[:, None] + rooms[None, :] + GAP
    clear[:, np.arange(n), np.arange(n)] = True
    if back is not None and front is not None:
        clear[:, back, front] = clear[:, front, back] = True
    fits = np.flatnonzero(inside & spread & clear.all((1, 2)))
    return centres[fits[0]] if len(fits) else None


def _surroundings(rng: np.random.Generator) -> tuple[str, str, str, int]:
    """Background, light, light_from and seed."""
    background, light = str(rng.choice(BACKGROUNDS)), _pick(rng, LIGHTS)
    return background, light, str(rng.choice(LIGHT_FROM)), int(rng.integers(2**31))


def _pick(rng: np.random.Generator, odds: dict[Key, float]) -> Key:
    return list(odds)[int(rng.choice(len(odds), p=list(odds.values())))]
