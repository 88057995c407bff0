"""Which motions a video shows plainly, measured in its geometry: what captions may say of them."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from input_pipeline.drawn.motion import Motion, keeps_relations, play
from input_pipeline.drawn.things import Scene

LEAST_TRAVEL = 0.14  # of a thing that is said to move, in scene sides
SLOW, QUICK = 0.17, 0.32  # at most, at least: where its pace is told
LEAST_GROWTH = 1.6  # how many times a thing's size changes
LEAST_TURN = 80.0  # degrees
LEAST_ZOOM = 1.4  # how many times the scene side of a frame changes
LEAST_PAN = 0.25  # of the camera, in scene sides
DOMINANCE = 2.0  # travel over that on the other axis
WHOLE, UNSEEN = 0.99, 0.1  # of a thing's box in the frame: at least, at most
AROUND = 1.6  # a box with the thing's shadow and its corners when it turns, in sides of its own
LOOKED_AT = slice(1, None, 2)  # frames that a model of four sees


class Fact(NamedTuple):
    """One statement: `about` the things of these kinds, with a value where it needs one.

    about is "there" (a thing of the kind exists), "colour", "texture", "size", "count", a relation
    ("left", "above", "front", "bigger": first to second; "between": first between the others),
    "background" or "light" (of no kind), or one of MOTIONS.
    """

    about: str
    kinds: tuple[str, ...] = ()
    value: str | int = ""


# What a video alone shows: where a thing moves to, how fast, how its size changes and how it turns;
# where the camera moves to, on what thing it zooms in and out, and which thing it shows first.
MOTIONS = ("moves", "pace", "scales", "turns", "camera", "zoom", "first")


# What a video with an act of that kind shows, at least.
OF_ACT = {
    "slide": {"moves"},
    "grow": {"scales"},
    "turn": {"turns"},
    "zoom": {"zoom"},
    "pan": {"camera", "first"},
    "cut": {"first"},
}


@lru_cache(maxsize=4096)
def motions(scene: Scene) -> frozenset[Fact]:
    """All facts about MOTIONS that hold in a scene's video."""
    motion, kinds = play(scene), [thing.kind for thing in scene.things]
    share, shot = visible(scene, motion), slice(motion.cut, None)
    found = [*_order(kinds, share[LOOKED_AT])]
    for slot in np.flatnonzero((share[shot] >= WHOLE).all(0)):
        found += _zoom(kinds[slot], motion.viewports[shot])
        if np.ptp(motion.viewports[shot], axis=0).max() == 0:  # else its way could be the camera's
            found += _thing(
                kinds[slot],
                motion.centres[shot, slot],
                motion.scales[shot, slot],
                motion.angles[shot, slot],
            )
    if motion.cut is None:
        found += _camera(motion.viewports)
    return frozenset(found)


def is_plain(scene: Scene) -> bool:
    """Whether a scene's video shows its act plainly, and all else as other videos show it.

    Relations stay true in every frame, no frame shows all things, each is seen whole by a model
    that looks at four frames. What moves stays clear of the other things, and is first seen when it
    does.
    """
    act = scene.act
    assert act is not None
    motion = play(scene)
    share = visible(scene, motion)
    low, high = motion.viewports[:, None, 1::-1], motion.viewports[:, None, :1:-1]
    held = ((motion.centres >= low) & (motion.centres <= high)).all((1, 2))
    start = np.array([(thing.x, thing.y) for thing in scene.things])
    good = (
        not held.any()
        and (share[LOOKED_AT].max(0) >= WHOLE).all()
        and keeps_relations(start, motion.centres)
    )
    if good and act.slot is not None:
        before = visible(scene, motion, AROUND)[: motion.cut, act.slot]
        good = _is_clear(scene, motion, act.slot) and not before.any()
    return good and OF_ACT[act.kind] <= {fact.about for fact in motions(scene)}


def visible(scene: Scene, motion: Motion, around: float = 1.0) -> np.ndarray:
    """Which share a frame shows of each thing's box, or of one so many times as large: [T, N]."""
    reach = around * np.array([thing.radius for thing in scene.things]) * motion.scales
    share = np.ones(reach.shape)
    for axis in (0, 1):
        low, high = motion.viewports[:, None, 1 - axis], motion.viewports[:, None, 3 - axis]
        centre = motion.centres[:, :, axis]
        inside = np.minimum(centre + reach, high) - np.maximum(centre - reach, low)
        share *= np.clip(inside, 0, None) / (2 * reach)
    return share


def _is_clear(scene: Scene, motion: Motion, slot: int) -> bool:
    """Whether a thing stays inside the scene and touches no other one."""
    reach = np.array([thing.radius for thing in scene.things]) * motion.scales
    mine, place = reach[:, slot], motion.centres[:, slot]
    inside = np.abs(place - 0.5).max(1) + mine <= 0.5
    apart = np.abs(motion.centres - place[:, None]).max(-1) - reach - mine[:, None]
    return bool(inside.all() and (np.delete(apart, slot, axis=1) >= 0).all())


def _thing(kind: str, places: np.ndarray, scales: np.ndarray, angles: np.ndarray) -> Iterator[Fact]:
    """What a thing does while the camera stands still: [F, 2] (x, y), [F] and [F] degrees."""
    right, down = (places[-1] - places[0]).tolist()
    if value := _towards(right, down, LEAST_TRAVEL):
        yield Fact("moves", (kind,), value)
        far = max(abs(right), abs(down))
        if far <= SLOW or far >= QUICK:
            yield Fact("pace", (kind,), "slow" if far <= SLOW else "quick")
    growth = scales[-1] / scales[0]
    if max(growth, 1 / growth) >= LEAST_GROWTH:
        yield Fact("scales", (kind,), "grows" if growth > 1 else "shrinks")
    turn = angles[-1] - angles[0]
    if abs(turn) >= LEAST_TURN:
        yield Fact("turns", (kind,), "counterclockwise" if turn > 0 else "clockwise")


def _zoom(kind: str, viewports: np.ndarray) -> Iterator[Fact]:
    """Of a camera that keeps a thing whole in the frame."""
    closer = (viewports[0, 2] - viewports[0, 0]) / (viewports[-1, 2] - viewports[-1, 0])
    if max(closer, 1 / closer) >= LEAST_ZOOM:
        yield Fact("zoom", (kind,), "in" if closer > 1 else "out")


def _camera(viewports: np.ndarray) -> Iterator[Fact]:
    """Of a clip without a cut."""
    middles = (viewports[:, 1::-1] + viewports[:, :1:-1]) / 2
    right, down = (middles[-1] - middles[0]).tolist()
    value = _towards(right, down, LEAST_PAN)
    if value is None:
        return
    along = np.diff(middles[:, value in ("up", "down")])
    if (along >= -1e-9).all() or (along <= 1e-9).all():
        yield Fact("camera", (), value)


def _order(kinds: list[str], share: np.ndarray) -> Iterator[Fact]:
    """What is shown before what: of both alone, whole, and never the other way round."""
    whole, unseen = share >= WHOLE, share <= UNSEEN
    for a, first in enumerate(kinds):
        for b, second in enumerate(kinds):
            alone = np.flatnonzero(whole[:, a] & unseen[:, b])
            then = np.flatnonzero(whole[:, b] & unseen[:, a])
            if len(alone) and len(then) and a != b:
                ends, begins = alone[-1] + 1, then[0]
                if ends <= begins and unseen[:ends, b].all() and unseen[begins:, a].all():
                    yield Fact("first", (first, second))


def _towards(right: float, down: float, least: float) -> str | None:
    """The direction of a way, if it is long enough and has one."""
    far, aside = max(abs(right), abs(down)), min(abs(right), abs(down))
    if far < least or far < DOMINANCE * aside:
        return None
    if far == abs(right):
        return "right" if right > 0 else "left"
    return "down" if down > 0 else "up"
