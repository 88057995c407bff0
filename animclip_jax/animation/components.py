"""The shooting components: how probable each is, and the ranges its amounts are drawn from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Component:
    """What all have: `probability`, of being in a clip, and a check of what they are given.

    LIMITS: the least and the most that each range may reach. SHARES: what else is from 0 to 1.
    Raises ValueError outside of them.
    """

    probability: float

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {}
    SHARES: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()
        for part in ("probability", *self.SHARES):
            found = getattr(self, part)
            if not (isinstance(found, int | float) and 0 <= found <= 1):
                raise ValueError(
                    f"animation.{name}.{part}: found {found!r}, wanted a number from 0 to 1"
                )
        for part, limits in self.LIMITS.items():
            _check_range(f"animation.{name}.{part}", getattr(self, part), *limits)


def _check_range(name: str, found: Any, low: float, high: float) -> None:
    """Raises ValueError unless `found` is a pair of numbers low <= a <= b <= high."""
    is_pair = isinstance(found, tuple) and len(found) == 2
    if is_pair and all(isinstance(x, int | float) and math.isfinite(x) for x in found):
        first, last = found
        if low <= first <= last <= high:
            return
    most = f" <= {high}" if math.isfinite(high) else ""
    raise ValueError(
        f"{name}: found {found!r}, wanted a pair (from, to) with {low} <= from <= to{most}"
    )


@dataclass(frozen=True)
class Framing(Component):
    """How large a shot is and where it starts; without it, the largest centred square.

    shot_size: the window's side where it is widest, as a share of the picture's short side.
    start: where the window starts in the room that size and travel leave: 0 left or top, 1 right or
    bottom, 0.5 the middle.
    """

    probability: float = 1.0
    shot_size: tuple[float, float] = (0.55, 1.0)
    start: tuple[float, float] = (0.0, 1.0)

    LIMITS = {"shot_size": (0.01, 1.0), "start": (0.0, 1.0)}


@dataclass(frozen=True)
class Pan(Component):
    """The camera turns left or right: `travel` widths of the frame in a whole clip."""

    probability: float = 0.5
    travel: tuple[float, float] = (0.1, 0.5)

    LIMITS = {"travel": (0.0, math.inf)}


@dataclass(frozen=True)
class Tilt(Component):
    """The camera turns up or down: `travel` heights of the frame in a whole clip."""

    probability: float = 0.3
    travel: tuple[float, float] = (0.1, 0.4)

    LIMITS = {"travel": (0.0, math.inf)}


@dataclass(frozen=True)
class Zoom(Component):
    """The lens zooms in or out: the widest window is `ratio` times the narrowest, in a clip."""

    probability: float = 0.5
    ratio: tuple[float, float] = (1.1, 1.6)

    LIMITS = {"ratio": (1.0, math.inf)}


@dataclass(frozen=True)
class Roll(Component):
    """The camera turns about its line of sight: by `turn` degrees in a whole clip.

    It is level at a random time of the shot. The frame stays in the picture, so it is narrower.
    """

    probability: float = 0.15
    turn: tuple[float, float] = (2.0, 12.0)

    LIMITS = {"turn": (0.0, 40.0)}


@dataclass(frozen=True)
class Shake(Component):
    """The camera is held by hand: the frame sways by up to `sway` of its side, each way.

    turn: and by up to so many degrees about the line of sight.
    """

    probability: float = 0.2
    sway: tuple[float, float] = (0.005, 0.03)
    turn: tuple[float, float] = (0.0, 0.8)

    LIMITS = {"sway": (0.0, 0.25), "turn": (0.0, 5.0)}


@dataclass(frozen=True)
class Speed(Component):
    """Movements begin and end slowly; without it they are steady."""

    probability: float = 0.5


@dataclass(frozen=True)
class Acceleration(Component):
    """Movements grow faster or slower: from 1 - change of the mean speed to 1 + change, or back."""

    probability: float = 0.3
    change: tuple[float, float] = (0.2, 0.8)

    LIMITS = {"change": (0.0, 1.0)}


@dataclass(frozen=True)
class Sampling(Component):
    """Frames are taken at uneven times: up to `jitter` of the time between two."""

    probability: float = 0.3
    jitter: tuple[float, float] = (0.2, 0.9)

    LIMITS = {"jitter": (0.0, 1.0)}


@dataclass(frozen=True)
class Cut(Component):
    """A second shot of the same picture, from `when` on, a share of the clip's frames.

    A clip with a second shot has a third one as often, from `when` of the frames left on.
    """

    probability: float = 0.5
    when: tuple[float, float] = (0.25, 0.75)

    LIMITS = {"when": (0.0, 1.0)}


@dataclass(frozen=True)
class Dissolve(Component):
    """The first cut is a dissolve, of `duration`, a share of the clip's frames."""

    probability: float = 0.2
    duration: tuple[float, float] = (0.08, 0.25)

    LIMITS = {"duration": (0.0, 1.0)}


@dataclass(frozen=True)
class Wipe(Component):
    """The first cut, where it is no dissolve, is a wipe: one shot pushes the other aside.

    duration: a share of the clip's frames. softness: of the edge, a share of the frame.
    """

    probability: float = 0.1
    duration: tuple[float, float] = (0.08, 0.25)
    softness: tuple[float, float] = (0.02, 0.2)

    LIMITS = {"duration": (0.0, 1.0), "softness": (0.001, 1.0)}


@dataclass(frozen=True)
class Fade(Component):
    """The first cut, where nothing overlaps it, goes through black, or as often through white.

    duration: out and in together, a share of the clip's frames.
    """

    probability: float = 0.15
    duration: tuple[float, float] = (0.15, 0.4)

    LIMITS = {"duration": (0.0, 1.0)}


@dataclass(frozen=True)
class Scenes(Component):
    """Another picture is seen from the first cut on, and the captions are joined."""

    probability: float = 0.0


@dataclass(frozen=True)
class Focus(Component):
    """The lens is pulled into focus in the first half of the clip, or out of it in the second.

    circle: what a point becomes at worst, its diameter as a share of the frame.
    """

    probability: float = 0.15
    circle: tuple[float, float] = (0.01, 0.05)

    LIMITS = {"circle": (0.0, 0.25)}


@dataclass(frozen=True)
class Exposure(Component):
    """The picture grows lighter or darker: by `drift` stops in a whole clip."""

    probability: float = 0.2
    drift: tuple[float, float] = (0.1, 0.6)

    LIMITS = {"drift": (0.0, 3.0)}


@dataclass(frozen=True)
class MotionBlur(Component):
    """What moves is smeared: the shutter is open for a share of the time between two frames."""

    probability: float = 0.3
    shutter: tuple[float, float] = (0.05, 0.5)

    LIMITS = {"shutter": (0.0, 1.0)}


@dataclass(frozen=True)
class Thing(Component):
    """A part of the picture, an ellipse with a soft rim, moves before the rest; the clip is a shot.

    It moves in one way: the first that is drawn of enter, leave, pass_by, bounce, grow, turn,
    parallax and slide. Where none is, the clip has no thing.

    size: its longer diameter, a share of the frame's side. softness: of the rim, a share of its
    radius. place: where it is cut out, in the room that size and travel leave: 0 left or top, 1
    right or bottom. Two draws are averaged, so mostly in the middle. upright: how much of what
    slides, enters or leaves goes up or down. still: how often the camera neither pans, tilts nor
    zooms, except for parallax.
    """

    probability: float = 0.5
    size: tuple[float, float] = (0.25, 0.45)
    softness: tuple[float, float] = (0.15, 0.4)
    place: tuple[float, float] = (0.0, 1.0)
    upright: float = 0.3
    still: float = 0.0

    LIMITS = {"size": (0.05, 0.6), "softness": (0.05, 1.0), "place": (0.0, 1.0)}
    SHARES = ("upright", "still")


@dataclass(frozen=True)
class Enter(Component):
    """A thing comes in over a side of the frame; at the end of the clip it is where it was cut."""

    probability: float = 0.15


@dataclass(frozen=True)
class Leave(Component):
    """A thing goes out over a side of the frame; at first it is where it was cut out."""

    probability: float = 0.15


@dataclass(frozen=True)
class PassBy(Component):
    """A thing comes in at the left and goes out at the right, or the other way."""

    probability: float = 0.15


@dataclass(frozen=True)
class Bounce(Component):
    """A thing hops: `travel` sides of the frame to the left or right in a whole clip.

    height: of a hop, in sides of the frame. hops: how many, rounded down; at most one in four
    frames.
    """

    probability: float = 0.15
    travel: tuple[float, float] = (0.1, 0.5)
    height: tuple[float, float] = (0.1, 0.3)
    hops: tuple[float, float] = (2.0, 4.0)

    LIMITS = {"travel": (0.0, 1.0), "height": (0.0, 1.0), "hops": (1.0, 12.0)}


@dataclass(frozen=True)
class Grow(Component):
    """A thing grows or shrinks: at its largest it is `ratio` times as large as where it was cut."""

    probability: float = 0.2
    ratio: tuple[float, float] = (1.3, 2.0)

    LIMITS = {"ratio": (1.0, 8.0)}


@dataclass(frozen=True)
class Turn(Component):
    """A thing turns about its middle: by `turn` degrees in a whole clip, from upright."""

    probability: float = 0.2
    turn: tuple[float, float] = (15.0, 40.0)

    LIMITS = {"turn": (0.0, 45.0)}


@dataclass(frozen=True)
class Parallax(Component):
    """While the camera pans or tilts, the lower part of the picture moves faster than the rest.

    depth: how much faster, a share of the rest's speed.
    """

    probability: float = 0.3
    depth: tuple[float, float] = (0.3, 1.0)

    LIMITS = {"depth": (0.0, 4.0)}


@dataclass(frozen=True)
class Slide(Component):
    """A thing moves left or right, or less often up or down: `travel` sides of the frame a clip."""

    probability: float = 1.0
    travel: tuple[float, float] = (0.2, 0.6)

    LIMITS = {"travel": (0.0, 1.0)}
