"""How pictures are filmed: each component's probability and range, and the presets."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PRESETS: dict[str, frozenset[str]] = {
    "repeat": frozenset(),
    "still": frozenset({"framing"}),
    "zoom": frozenset({"framing", "zoom"}),
    "camera": frozenset({"framing", "pan", "tilt", "zoom"}),
    "shots": frozenset({"framing", "cut"}),
    "full": frozenset({"framing", "pan", "tilt", "zoom", "cut"}),
}


def _check_range(
    config: object, name: str, low: float, high: float, *, open_low: bool = False
) -> None:
    """Raises ValueError unless config.name is a pair low <= a <= b <= high (low < a if open)."""
    found = getattr(config, name)
    is_pair = isinstance(found, tuple) and len(found) == 2
    if is_pair and all(isinstance(x, int | float) and math.isfinite(x) for x in found):
        first, last = found
        if low <= first <= last <= high and not (open_low and first == low):
            return
    least = f"{low} <" if open_low else f"{low} <="
    most = f" <= {high}" if math.isfinite(high) else ""
    raise ValueError(
        f"animation.{type(config).__name__.lower()}.{name}: found {found!r}, "
        f"wanted a pair (from, to) with {least} from <= to{most}"
    )


def _check_probability(config: Any) -> None:
    found = config.probability
    if not (isinstance(found, int | float) and 0 <= found <= 1):
        raise ValueError(
            f"animation.{type(config).__name__.lower()}.probability: found {found!r}, "
            "wanted a number from 0 to 1"
        )


@dataclass(frozen=True)
class Framing:
    """How large a shot is and where it starts; without it, the largest centred square.

    shot_size: the window's side where it is widest, as a share of the picture's short side.
    start: where the window starts in the room that size and travel leave: 0 left or top, 1 right or
    bottom, 0.5 the middle.
    """

    probability: float = 1.0
    shot_size: tuple[float, float] = (0.55, 1.0)
    start: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        _check_probability(self)
        _check_range(self, "shot_size", 0.0, 1.0, open_low=True)
        _check_range(self, "start", 0.0, 1.0)


@dataclass(frozen=True)
class Pan:
    """The camera turns left or right: `travel` widths of the frame in a whole clip."""

    probability: float = 0.5
    travel: tuple[float, float] = (0.1, 0.5)

    def __post_init__(self) -> None:
        _check_probability(self)
        _check_range(self, "travel", 0.0, math.inf)


@dataclass(frozen=True)
class Tilt:
    """The camera turns up or down: `travel` heights of the frame in a whole clip."""

    probability: float = 0.3
    travel: tuple[float, float] = (0.1, 0.4)

    def __post_init__(self) -> None:
        _check_probability(self)
        _check_range(self, "travel", 0.0, math.inf)


@dataclass(frozen=True)
class Zoom:
    """The lens zooms in or out: the widest window is `ratio` times the narrowest, in a clip."""

    probability: float = 0.5
    ratio: tuple[float, float] = (1.1, 1.6)

    def __post_init__(self) -> None:
        _check_probability(self)
        _check_range(self, "ratio", 1.0, math.inf)


@dataclass(frozen=True)
class Cut:
    """A second shot of the same picture, from `when` on, a share of the clip's frames."""

    probability: float = 0.5
    when: tuple[float, float] = (0.25, 0.75)

    def __post_init__(self) -> None:
        _check_probability(self)
        _check_range(self, "when", 0.0, 1.0)


@dataclass(frozen=True)
class AnimationConfig:
    """How pictures are filmed: the preset says which components are on, the parts how much.

    Presets: repeat (the largest centred square, unmoved), still (framing), zoom (framing and zoom),
    camera (framing, pan, tilt and zoom), shots (framing and cut), full (all). num_frames: T.
    image_size: the side of a frame in pixels. Raises ValueError for what can't be filmed.
    """

    preset: str = "full"
    num_frames: int = 12
    image_size: int = 224
    framing: Framing = field(default_factory=Framing)
    pan: Pan = field(default_factory=Pan)
    tilt: Tilt = field(default_factory=Tilt)
    zoom: Zoom = field(default_factory=Zoom)
    cut: Cut = field(default_factory=Cut)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(
                f"animation.preset: found {self.preset!r}, wanted one of {', '.join(PRESETS)}"
            )
        for name in ("num_frames", "image_size"):
            found = getattr(self, name)
            if not isinstance(found, int) or found < 1:
                raise ValueError(f"animation.{name}: found {found!r}, wanted a whole number >= 1")

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> AnimationConfig:
        """Builds the config from nested mappings (ml_collections ones too); lists may be pairs.

        What is left out keeps its default. Raises ValueError for names that don't exist.
        """
        parts = {"framing": Framing, "pan": Pan, "tilt": Tilt, "zoom": Zoom, "cut": Cut}
        values = _known(cls, dict(mapping), "animation")
        for name, part in parts.items():
            if name in values and not isinstance(values[name], part):
                found = _known(part, dict(values[name]), f"animation.{name}")
                pairs = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
                values[name] = part(**pairs)
        return cls(**values)


def _known(cls: type, values: dict[str, Any], where: str) -> dict[str, Any]:
    names = [f.name for f in dataclasses.fields(cls)]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1) or names
            raise ValueError(f"{where}.{name}: no such setting, did you mean {', '.join(near)}?")
    return values
