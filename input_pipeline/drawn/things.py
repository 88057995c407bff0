"""Things and scenes: what they are, and where they stand to each other. Nothing here is drawn."""

from dataclasses import dataclass

SIZES = {"small": 0.22, "medium": 0.3, "large": 0.38}  # side of one object, in scene sides
GROUP_SCALE = {1: 1.0, 2: 0.8, 3: 0.75}  # objects of a group are drawn this much smaller
GROUP_OFFSETS = {  # centres of a group's objects, in sides of one object
    1: ((0.0, 0.0),),
    2: ((-0.5, 0.08), (0.5, -0.08)),
    3: ((0.0, -0.44), (-0.5, 0.4), (0.5, 0.4)),
}

RELATION_MARGIN = 0.2  # left of, above: centres are at least this far apart on that axis ...
RELATION_DOMINANCE = 1.3  # ... and this many times farther than on the other axis
OVERLAP = 0.15  # in front of: boxes share at least this much of the smaller one

COLOURS = (
    *("red", "orange", "yellow", "green", "blue"),
    *("purple", "pink", "brown", "white", "black"),
)
KINDS = (
    *("ball", "cube", "car", "house", "tree", "fish", "star", "cup", "boat", "flower", "key"),
    *("umbrella", "mushroom", "rocket", "heart", "bird", "cat", "snail", "butterfly"),
    *("kite", "bottle", "crown", "chair", "tent"),
)
BACKGROUNDS = (
    *("grass", "sand", "sea", "bricks", "wood", "stars", "snow", "paving", "tiles", "clouds"),
    *("leaves", "carpet", "gravel", "paper"),
)
LIGHT_FROM = ("left", "above", "right")

Box = tuple[float, float, float, float]  # (y0, x0, y1, x1), in scene sides


@dataclass(frozen=True)
class Thing:
    """One to three equal objects, centred on (x, y) in scene sides (x right, y down)."""

    kind: str
    colour: str
    texture: str
    size: str
    count: int
    x: float = 0.5
    y: float = 0.5
    room: float = 0.0  # half the side of the box reserved for it (and for its sibling's)

    @property
    def side(self) -> float:
        """Side of one object, in scene sides."""
        return SIZES[self.size] * GROUP_SCALE[self.count]

    @property
    def radius(self) -> float:
        """Half the side of the square box around all its objects, in scene sides."""
        return self.side * (0.5 if self.count == 1 else 1.0)


@dataclass(frozen=True)
class Act:
    """The one motion that a video shows plainly: of a thing, or of the camera.

    While it lasts, the camera goes from the first of `views` to the second. The thing in `slot`,
    None where only the camera moves, travels (x, y) scene sides past its place in the scene, grows
    by a factor and turns by degrees, counter-clockwise. `before` is what the camera shows until it
    cuts to the act. `backwards` shows the act from its end.
    """

    kind: str  # slide, grow, turn, zoom, pan, or cut: from the first view to the second
    views: tuple[Box, Box]
    before: Box | None = None
    slot: int | None = None
    travel: tuple[float, float] = (0.0, 0.0)
    growth: float = 1.0
    turn: float = 0.0
    backwards: bool = False


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn and told. `things` stand in depth order, the last in front.

    `sibling` is the index (same split) of the scene that differs only in `differs`, else None:
    "colour", "texture", "size" or "place", swapped between the two things `swapped`; or a motion,
    the kind of `act`, or "pace". A still shows no act.
    """

    split: str
    index: int
    things: tuple[Thing, ...]
    background: str
    light: str
    light_from: str
    seed: int
    sibling: int | None = None
    differs: str | None = None
    swapped: tuple[int, int] | None = None
    act: Act | None = None


def relations(scene: Scene) -> list[tuple[str, int, int]]:
    """All (name, a, b) true by a clear margin: a is "left" of, "above" or in "front" of b.

    a and b are positions in `scene.things`.
    """
    found = []
    for a, first in enumerate(scene.things):
        for b, second in enumerate(scene.things):
            name = direction(second.x - first.x, second.y - first.y)
            if name is not None:
                found.append((name, a, b))
            if a > b and overlap(first, second) >= OVERLAP:
                found.append(("front", a, b))
    return found


def direction(
    right: float,
    down: float,
    margin: float = RELATION_MARGIN,
    dominance: float = RELATION_DOMINANCE,
) -> str | None:
    """What a thing is to another that lies (right, down) of it: "left", "above" or None."""
    if right >= margin and right >= dominance * abs(down):
        return "left"
    if down >= margin and down >= dominance * abs(right):
        return "above"
    return None


def overlap(a: Thing, b: Thing) -> float:
    """Common area of the two boxes as a fraction of the smaller box."""
    reach = a.radius + b.radius
    smaller = 2 * min(a.radius, b.radius)
    wide = min(smaller, max(0.0, reach - abs(a.x - b.x)))
    high = min(smaller, max(0.0, reach - abs(a.y - b.y)))
    return wide * high / smaller**2
