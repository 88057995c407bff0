"""Acts: a motion of one thing or of the camera, drawn so that a video can show it plainly.

They are only proposed here. Whether a video does show one plainly is measured in `shown`.
"""

import numpy as np

from input_pipeline.drawn.things import Act, Box, Thing

TRAVEL = (0.14, 0.36)  # how far a sliding thing goes during the act, in scene sides
PACES = (0.15, 0.34)  # and how far where siblings differ in its pace: slow and quick
GROWTH = (1.7, 2.0)  # how many times its first size a growing thing reaches
TURN = (90.0, 140.0)  # degrees
ZOOM = (1.45, 1.8)  # side of what a zoom shows at its wide end, in sides of the other end
SIDE = (0.5, 0.65)  # side of what the camera shows, in scene sides; a zoom comes closer
EDGE = 0.01  # around a thing that the camera is to show whole, in scene sides
CORNERS = 1.3  # how far those of a turning thing reach, in halves of its side
ROUND = ("ball", "star", "flower")  # kinds that look alike when turned


def propose(rng: np.random.Generator, differs: str, things: tuple[Thing, ...]) -> Act | None:
    """An act of a kind, or of what siblings are to differ in; None where this draw does not fit.

    Args:
      things: with their places in the scene.
    """
    slot, other = (int(one) for one in rng.choice(len(things), 2, replace=False))
    side, places = rng.uniform(*SIDE), rng.uniform(0, 1, (2, 2))
    backwards = bool(rng.random() < 0.5)
    if differs in ("pan", "cut"):
        first = _view(side, _swept(things[slot]), places[0])
        last = _view(side, _swept(things[other]), places[1])
        return Act(differs, (first, last), backwards=backwards) if first and last else None
    if differs == "turn" and things[slot].kind in ROUND:
        return None
    far = PACES[1] if differs == "pace" else rng.uniform(*TRAVEL) if differs == "slide" else 0.0
    right, down = (far, 0.0) if rng.random() < 0.5 else (0.0, far)
    growth = rng.uniform(*GROWTH) if differs == "grow" else 1.0
    turn = rng.uniform(*TURN) if differs == "turn" else 0.0
    box = _swept(things[slot], right, down, growth * (CORNERS**2 if turn else 1))
    first = _view(side, box, places[0])
    last = _view(side / rng.uniform(*ZOOM), box, places[0]) if differs == "zoom" else first
    if not (first and last):
        return None
    before = _view(rng.uniform(*SIDE), _rest(things, first), places[1])
    kind = "slide" if differs == "pace" else differs
    if before is None:
        return None
    return Act(kind, (first, last), before, slot, (right, down), growth, turn, backwards)


def _swept(thing: Thing, right: float = 0.0, down: float = 0.0, growth: float = 1.0) -> Box:
    """What a thing covers of the scene while it travels so far and grows."""
    reach = thing.radius * growth**0.5 + EDGE
    high, wide = reach + down / 2, reach + right / 2
    return thing.y - high, thing.x - wide, thing.y + high, thing.x + wide


def _rest(things: tuple[Thing, ...], view: Box) -> Box:
    """What all those things cover that the view does not show whole; nothing: an endless box."""
    boxes = np.array([_swept(thing) for thing in things])
    shown = (boxes[:, :2] >= view[:2]).all(1) & (boxes[:, 2:] <= view[2:]).all(1)
    if shown.all():
        return 0.0, 0.0, np.inf, np.inf
    rest = boxes[~shown]
    y0, x0 = rest[:, :2].min(0)
    y1, x1 = rest[:, 2:].max(0)
    return float(y0), float(x0), float(y1), float(x1)


def _view(side: float, box: Box, place: np.ndarray) -> Box | None:
    """A square of that side in the scene, with the box in it; `place` says where of all there are.

    Args:
      place: float [2] (y, x), 0 to 1: as far up or left as can be, to as far down or right.
    """
    low = np.maximum(np.array(box[2:]) - side, 0)
    high = np.minimum(np.array(box[:2]), 1 - side)
    if (low > high).any():
        return None
    y0, x0 = (low + (high - low) * place).tolist()
    return y0, x0, y0 + side, x0 + side
