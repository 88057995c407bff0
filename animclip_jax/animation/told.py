"""Which motion a clip's caption names, and how often the clip has a sibling that runs backwards."""

from __future__ import annotations

import math
from dataclasses import dataclass

from animclip_jax.animation.components import Component

# What a caption can say of motion, each with the way that counts as more of it.
AXES = (
    *("camera right", "camera down", "camera in"),
    *("thing right", "thing down", "thing grows", "thing clockwise"),
)


@dataclass(frozen=True)
class Told(Component):
    """Captions that name the motion of their clip, as its frames show it.

    probability: of a clip whose motion may be named. Amounts below these are not: travel of the
    camera or a thing, in sides of the frame; zoom, the ratio of sizes, also of a thing that grows;
    closer, the ratio of sizes before and behind a cut; turn of a thing, degrees; visible, the share
    of a thing that must be seen. pace: travel below the first is slow, above the second quick.
    siblings: the share of pairs of clips whose second becomes the first one backwards, with the
    opposite caption, where the caption names something that is then the other way round.
    Raises ValueError for siblings of captions that name nothing.
    """

    probability: float = 0.0
    siblings: float = 0.0
    travel: float = 0.2
    zoom: float = 1.2
    closer: float = 1.5
    turn: float = 15.0
    visible: float = 0.7
    pace: tuple[float, float] = (0.3, 0.6)

    LIMITS = {"pace": (0.0, math.inf)}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least, most in (
            ("siblings", 0.0, 1.0),
            ("travel", 0.01, math.inf),
            ("zoom", 1.01, math.inf),
            ("closer", 1.01, math.inf),
            ("turn", 1.0, math.inf),
            ("visible", 0.0, 1.0),
        ):
            found = getattr(self, name)
            if not (isinstance(found, int | float) and least <= found <= most):
                end = f"{least:g} or more" if math.isinf(most) else f"{least:g} to {most:g}"
                raise ValueError(f"animation.told.{name}: found {found!r}, wanted a number, {end}")
        if self.siblings and not self.probability:
            raise ValueError(
                f"animation.told.siblings is {self.siblings} and animation.told.probability 0: no "
                "caption would name motion, and no clip have a sibling; raise the probability, or "
                "set siblings to 0"
            )
