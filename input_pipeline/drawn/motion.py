"""How a drawn scene plays as a video: the paths of its things and of the camera. Geometry only.

Both depend on the places of the things, on what room they take and on the scene's act, never on
what stands there: siblings play alike, except for the motion that they differ in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from input_pipeline.drawn.things import OVERLAP, Act, Scene, direction, overlap

NUM_FRAMES = 8

# How hard the videos are.
VIEWPORT = (
    0.5,
    0.65,
)  # side of what the camera shows, in scene sides; less where it would show all
VIEWPORT_SLACK = (
    0.03  # the farthest two things are at least this much wider apart than the viewport
)
CUT_FRACTION = 0.4  # of the videos jump once to another viewpoint and shot size
TRAVEL = (0.06, 0.3)  # how far a sliding thing goes over the clip, in scene sides
SLIDE_FRACTION = 0.75  # of the things slide
TURN = 30.0  # degrees a turning thing has turned at the end, at most
WOBBLE = 9.0  # degrees to either side
SCALE_LIMIT = 0.1  # a growing or shrinking thing ends within 1 +- this of its size; less where
# the narrowest viewport would not hold it

MOVING_MARGIN = 0.1  # like RELATION_MARGIN and RELATION_DOMINANCE, for every frame of the video
MOVING_DOMINANCE = 1.0
PATH_TRIES = 12  # each slower than the one before; then the things only turn, grow or wobble
SUBSTEPS = 4  # of the collision simulation, a frame

# How far an act has come in each frame, 0 to 1, and the first frame after a cut. Of frames 1, 3, 5
# and 7, those that a model of four frames sees, an act shows the same pictures backwards.
PROGRESS: dict[str, tuple[Sequence[float], int | None]] = {
    "pan": ((0, 0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1), None),
    "cut": ((0, 0, 0, 0, 1, 1, 1, 1), 4),
    **dict.fromkeys(("slide", "grow", "turn", "zoom"), ((0, 0, 0, 0, 0.25, 0.5, 0.75, 1), 3)),
}


@dataclass(frozen=True)
class Motion:
    """Where everything is in each of T frames, in scene sides (x right, y down).

    centres float64 [T, N, 2] (x, y); scales float64 [T, N]; angles float64 [T, N] in degrees,
    counter-clockwise; viewports float64 [T, 4] = (y0, x0, y1, x1) inside [0, 1]; `cut` is the
    first frame after the jump, or None.
    """

    centres: np.ndarray
    scales: np.ndarray
    angles: np.ndarray
    viewports: np.ndarray
    cut: int | None


def play(scene: Scene) -> Motion:
    """The motion of a scene: every relation stays true in every frame, no frame shows all things,
    and each thing has been seen whole by the end. Of acts, see `shown.is_plain`."""
    rng = np.random.default_rng([scene.seed, 1])
    if scene.act is not None:
        return _perform(rng, scene, scene.act)
    centres = _paths(rng, scene)
    scales, angles = _poses(rng, scene)
    viewports, cut = _camera(rng, scene, centres)
    return Motion(centres, scales, angles, viewports, cut)


def _perform(rng: np.random.Generator, scene: Scene, act: Act) -> Motion:
    """The motion of a scene with an act: nothing else moves, but that things sway a little."""
    steps, cut = PROGRESS[act.kind]
    progress = 1 - np.array(steps) if act.backwards else np.array(steps, float)
    start = np.array([(thing.x, thing.y) for thing in scene.things])
    centres = np.broadcast_to(start, (NUM_FRAMES, *start.shape)).copy()
    strength = WOBBLE * rng.uniform(0.4, 1, len(start)) * rng.choice([-1, 1], len(start))
    phase = rng.uniform(0, 2 * np.pi, len(start))
    sway = progress.copy()
    sway[: cut if act.before else 0] = 0.5  # the same, whichever way the act is shown
    angles = strength * np.sin(phase + 2 * np.pi * 0.75 * sway[:, None])
    scales = np.ones(angles.shape)
    if act.slot is not None:
        centres[:, act.slot] += (progress - 0.5)[:, None] * act.travel
        scales[:, act.slot] = act.growth ** (progress - 0.5)
        angles[:, act.slot] += act.turn * (progress - 0.5)
    first, last = np.array(act.views)
    viewports = first + progress[:, None] * (last - first)
    if act.before is not None:
        viewports[:cut] = act.before
    return Motion(centres, scales, angles, viewports, cut)


def _paths(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Centres [T, N, 2] of things that slide and bounce, drawn anew and slower until no
    relation breaks."""
    rooms = np.array([thing.room for thing in scene.things])
    start = np.array([(thing.x, thing.y) for thing in scene.things])
    body = _bodies(scene)
    slides = rng.random(len(rooms)) < SLIDE_FRACTION
    for pace in np.linspace(1, 0.1, PATH_TRIES):
        angle = rng.uniform(0, 2 * np.pi, len(rooms))
        speed = pace * slides * rng.uniform(*TRAVEL, len(rooms))
        velocity = (speed * np.stack([np.cos(angle), np.sin(angle)]))[:, body].T
        centres = _slide(start, velocity, rooms, body)
        spread = _spread(centres) >= VIEWPORT[0] + VIEWPORT_SLACK
        if spread and keeps_relations(start, centres):
            return centres
    return np.broadcast_to(start, (NUM_FRAMES, *start.shape)).copy()


def _bodies(scene: Scene) -> np.ndarray:
    """The body [N] each thing moves with: one that hides a part of another moves along with it."""
    body = np.arange(len(scene.things))
    for front, thing in enumerate(scene.things):
        for back in range(front):
            if overlap(thing, scene.things[back]) >= OVERLAP:
                body[front] = body[back]
    return body


def _slide(
    start: np.ndarray, velocity: np.ndarray, rooms: np.ndarray, body: np.ndarray
) -> np.ndarray:
    """Moves discs that bounce off the edges and off each other; velocity is in sides a clip."""
    at, velocity, n = start.copy(), velocity.copy(), len(rooms)
    reach = rooms * (1 + SCALE_LIMIT)
    step = 1 / ((NUM_FRAMES - 1) * SUBSTEPS)
    frames = [at.copy()]
    for tick in range(1, (NUM_FRAMES - 1) * SUBSTEPS + 1):
        at += velocity * step
        for i in range(n):
            for axis in (0, 1):
                outwards = np.sign(at[i, axis] - 0.5) * velocity[i, axis] > 0
                if outwards and abs(at[i, axis] - 0.5) > 0.5 - reach[i]:
                    velocity[body == body[i], axis] *= -1
            for j in range(i):
                apart = at[i] - at[j]
                distance = float(np.hypot(*apart))
                if body[i] == body[j] or distance >= rooms[i] + rooms[j]:
                    continue
                normal = apart / distance
                closing = float((velocity[i] - velocity[j]) @ normal)
                if closing < 0:
                    velocity[body == body[i]] -= closing * normal
                    velocity[body == body[j]] += closing * normal
        if tick % SUBSTEPS == 0:
            frames.append(at.copy())
    return np.stack(frames)


def keeps_relations(start: np.ndarray, centres: np.ndarray) -> bool:
    """Whether what is left of or above another at the start is so in every frame.

    Args:
      start: places [N, 2], (x, y). centres: [T, N, 2].
    """
    steps = (centres[:, None] - centres[:, :, None]).tolist()
    for a in range(len(start)):
        for b in range(len(start)):
            name = direction(*(start[b] - start[a]).tolist())
            for step in steps if name is not None else ():
                right, down = step[a][b]
                if direction(right, down, MOVING_MARGIN, MOVING_DOMINANCE) != name:
                    return False
    return True


def _spread(centres: np.ndarray) -> float:
    """How far apart on an axis the two farthest things are, in the frame where that is least."""
    return float((centres.max(1) - centres.min(1)).max(-1).min())


def _poses(rng: np.random.Generator, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Scales and angles [T, N]: each thing turns, grows, shrinks or wobbles."""
    time = np.linspace(0, 1, NUM_FRAMES)
    body = _bodies(scene)
    alone = np.bincount(body, minlength=len(body))[body] == 1
    scales = np.ones((NUM_FRAMES, len(body)))
    angles = np.zeros((NUM_FRAMES, len(body)))
    for slot in range(len(body)):
        act = rng.choice(["turn", "scale", "wobble"])
        strength, phase = rng.uniform(0.4, 1) * rng.choice([-1, 1]), rng.uniform(0, 2 * np.pi)
        if act == "scale" and alone[slot]:
            limit = min(SCALE_LIMIT, VIEWPORT[0] / 2 / scene.things[slot].room - 1)
            scales[:, slot] += limit * strength * time
        elif act == "turn":
            angles[:, slot] = TURN * strength * time
        else:
            angles[:, slot] = WOBBLE * strength * np.sin(phase + 2 * np.pi * 1.5 * time)
    return scales, angles


def _camera(
    rng: np.random.Generator, scene: Scene, centres: np.ndarray
) -> tuple[np.ndarray, int | None]:
    """Viewports [T, 4] that visit every thing, and the frame of the cut.

    A viewport narrower than the farthest two things are apart can't hold both their centres.
    """
    widest = _spread(centres) - VIEWPORT_SLACK
    visits = _tour(rng, centres[0])
    if rng.random() < CUT_FRACTION:
        cut = int(rng.integers(3, NUM_FRAMES - 2))
        half = min(max(round(len(visits) * cut / NUM_FRAMES), 1), len(visits) - 1)
        shots = [(range(cut), visits[:half]), (range(cut, NUM_FRAMES), visits[half:])]
    else:
        cut = None
        shots = [(range(NUM_FRAMES), visits)]
    viewports = np.zeros((NUM_FRAMES, 4))
    for frames, visited in shots:
        first, last = (min(float(side), widest) for side in rng.uniform(*VIEWPORT, 2))
        sides = np.linspace(first, last, len(frames))
        middle = _visit(rng, scene, centres[frames.start : frames.stop], visited, sides)
        corner = np.clip(middle - sides[:, None] / 2, 0, 1 - sides[:, None])
        box = np.concatenate([corner[:, ::-1], corner[:, ::-1] + sides[:, None]], -1)
        viewports[frames.start : frames.stop] = box
    return viewports, cut


def _tour(rng: np.random.Generator, at: np.ndarray) -> list[int]:
    """The things in an order with short ways: from a random one on, always the nearest next."""
    left = [int(slot) for slot in rng.permutation(len(at))]
    order = [left.pop()]
    while left:
        left.sort(key=lambda slot: -float(np.abs(at[slot] - at[order[-1]]).sum()))
        order.append(left.pop())
    return order


def _visit(
    rng: np.random.Generator,
    scene: Scene,
    centres: np.ndarray,
    visited: list[int],
    sides: np.ndarray,
) -> np.ndarray:
    """Middles [T, 2] (x, y) of a smooth way past the things visited, each wholly inside once."""
    frames = len(centres)
    stops = len(visited) if len(visited) > 1 else 2
    when = np.round(np.linspace(0, frames - 1, stops)).astype(int)
    points = []
    for stop in range(stops):
        slot = visited[min(stop, len(visited) - 1)]
        play_room = sides[when[stop]] / 2 - scene.things[slot].room * (1 + SCALE_LIMIT)
        points.append(centres[when[stop], slot] + rng.uniform(-1, 1, 2) * max(0.0, play_room))
    middle = np.zeros((frames, 2))
    for first, last, start, end in zip(when, when[1:], points, points[1:], strict=False):
        share = np.linspace(0, 1, last - first + 1)[:, None]
        middle[first : last + 1] = start + (end - start) * share**2 * (3 - 2 * share)
    return middle
