"""How pictures are filmed: which components a preset has, and what a configuration may say."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from animclip_jax.animation.components import (
    Acceleration,
    Bounce,
    Component,
    Cut,
    Dissolve,
    Enter,
    Exposure,
    Fade,
    Focus,
    Framing,
    Grow,
    Leave,
    MotionBlur,
    Pan,
    Parallax,
    PassBy,
    Roll,
    Sampling,
    Scenes,
    Shake,
    Slide,
    Speed,
    Thing,
    Tilt,
    Turn,
    Wipe,
    Zoom,
)
from animclip_jax.animation.told import Told

_MOVEMENT = frozenset({"pan", "tilt", "zoom", "roll", "shake", "speed", "acceleration"})
_SHOTS = frozenset({"framing", "cut", "dissolve", "fade", "wipe", "scenes"})
_OPTICS = frozenset({"focus", "exposure", "motion_blur"})
_FULL = _MOVEMENT | _SHOTS | _OPTICS | {"sampling"}
# How a thing moves: the first of these that is drawn.
MOTIONS = ("enter", "leave", "pass_by", "bounce", "grow", "turn", "parallax", "slide")
PRESETS: dict[str, frozenset[str]] = {
    "repeat": frozenset(),
    "still": frozenset({"framing"}),
    "zoom": frozenset({"framing", "zoom", "speed"}),
    "camera": frozenset({"framing"}) | _MOVEMENT,
    "shots": _SHOTS,
    "full": _FULL,
    "things": _FULL | {"thing", *MOTIONS},
}
# Where a clip is rendered: by the model's device, or by tf.data for use outside JAX.
RENDERERS = ("device", "host")


@dataclass(frozen=True)
class AnimationConfig:
    """How pictures are filmed: the preset says which components are on, the parts how much.

    Presets: repeat (the largest centred square, unmoved), still (framing), zoom (framing, zoom and
    speed), camera (framing and every movement), shots (framing, cuts and transitions), full (all
    of these and the optics), things (full, and things that move).
    num_frames: T. image_size: the side of a frame in pixels. render: "device", or "host" to leave
    tf.data as frames. told: what captions say of the motion.
    Raises ValueError for what can't be filmed.
    """

    preset: str = "full"
    num_frames: int = 12
    image_size: int = 224
    render: str = "device"
    framing: Framing = field(default_factory=Framing)
    pan: Pan = field(default_factory=Pan)
    tilt: Tilt = field(default_factory=Tilt)
    zoom: Zoom = field(default_factory=Zoom)
    roll: Roll = field(default_factory=Roll)
    shake: Shake = field(default_factory=Shake)
    speed: Speed = field(default_factory=Speed)
    acceleration: Acceleration = field(default_factory=Acceleration)
    sampling: Sampling = field(default_factory=Sampling)
    cut: Cut = field(default_factory=Cut)
    dissolve: Dissolve = field(default_factory=Dissolve)
    fade: Fade = field(default_factory=Fade)
    wipe: Wipe = field(default_factory=Wipe)
    scenes: Scenes = field(default_factory=Scenes)
    focus: Focus = field(default_factory=Focus)
    exposure: Exposure = field(default_factory=Exposure)
    motion_blur: MotionBlur = field(default_factory=MotionBlur)
    thing: Thing = field(default_factory=Thing)
    enter: Enter = field(default_factory=Enter)
    leave: Leave = field(default_factory=Leave)
    pass_by: PassBy = field(default_factory=PassBy)
    bounce: Bounce = field(default_factory=Bounce)
    grow: Grow = field(default_factory=Grow)
    turn: Turn = field(default_factory=Turn)
    parallax: Parallax = field(default_factory=Parallax)
    slide: Slide = field(default_factory=Slide)
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        for name, known in (("preset", tuple(PRESETS)), ("render", RENDERERS)):
            if (found := getattr(self, name)) not in known:
                raise ValueError(
                    f"animation.{name}: found {found!r}, wanted one of {', '.join(known)}"
                )
        for name in ("num_frames", "image_size"):
            found = getattr(self, name)
            if not isinstance(found, int) or found < 1:
                raise ValueError(f"animation.{name}: found {found!r}, wanted a whole number >= 1")

    def is_on(self, name: str) -> bool:
        """Whether some clips may have that component."""
        return name in PRESETS[self.preset] and getattr(self, name).probability > 0

    @property
    def most_overlap(self) -> int:
        """K, the frames of a clip that may show two shots."""
        parts = [getattr(self, name) for name in ("dissolve", "wipe") if self.is_on(name)]
        longest = max((part.duration[1] for part in parts), default=0.0)
        return min(math.ceil(longest * self.num_frames), self.num_frames - 1)

    @property
    def thing_frames(self) -> int:
        """The frames of a clip that may show a thing that moves: all, or 0."""
        moves = self.num_frames > 1 and any(map(self.is_on, MOTIONS))
        return self.num_frames if moves and self.is_on("thing") else 0

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> AnimationConfig:
        """Builds the config from nested mappings (ml_collections ones too); lists may be pairs.

        What is left out keeps its default. Raises ValueError for names that don't exist.
        """
        values = _known(cls, dict(mapping), "animation")
        for name, part in PARTS.items():
            if name in values and not isinstance(values[name], part):
                found = _known(part, dict(values[name]), f"animation.{name}")
                pairs = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
                values[name] = part(**pairs)  # type: ignore[arg-type]
        return cls(**values)


# The parts of a configuration with settings of their own, and those of them that film.
PARTS: dict[str, type[Component]] = {
    part.name: part.default_factory  # type: ignore[misc]
    for part in dataclasses.fields(AnimationConfig)
    if part.default_factory is not dataclasses.MISSING
}
COMPONENTS = {name: part for name, part in PARTS.items() if part is not Told}

# What else must be in a clip for a component to be seen.
_SEEN_BY = {
    "speed": ("pan",),
    "acceleration": ("pan",),
    "sampling": ("pan",),
    "motion_blur": ("pan",),
    "dissolve": ("cut",),
    "fade": ("cut",),
    "wipe": ("cut",),
    "scenes": ("cut",),
    "thing": ("slide",),
    **{motion: ("thing",) for motion in MOTIONS},
    "parallax": ("thing", "pan"),
}
# Ranges that say where or when, not how much.
_PLACES = frozenset({"shot_size", "start", "when", "softness", "place"})


def alone(component: str, num_frames: int, image_size: int) -> AnimationConfig:
    """That component in every clip, at its strongest; beside it a framing and what it needs."""
    on = {component, *_SEEN_BY.get(component, ())}
    parts: dict[str, Any] = {
        name: part(probability=float(name in on)) for name, part in COMPONENTS.items()
    }
    strongest = {
        name: (getattr(parts[component], name)[1],) * 2
        for name in COMPONENTS[component].LIMITS
        if name not in _PLACES
    }
    parts[component] = dataclasses.replace(parts[component], **strongest)
    if component != "framing":
        parts["framing"] = Framing(1.0, shot_size=(0.7, 0.7))
    return AnimationConfig("things", num_frames, image_size, **parts)


def _known(cls: type, values: dict[str, Any], where: str) -> dict[str, Any]:
    names = [f.name for f in dataclasses.fields(cls)]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1) or names
            raise ValueError(f"{where}.{name}: no such setting, did you mean {', '.join(near)}?")
    return values
