"""The words for what moves in a clip, and for the same clip backwards. They are ours."""

from __future__ import annotations

import re

from animclip_jax.animation.told import AXES

NOTHING = "nothing"
_WAYS = ("left", "right", "up", "down")
_UPRIGHT = ("up", "down")
# Other words for a way, where they fit.
_ALSO = {"left": "leftwards", "right": "rightwards", "up": "upwards", "down": "downwards"}
# Where a thing comes from that moves in a direction, and where it goes out.
_FROM = {"left": "the right", "right": "the left", "up": "below", "down": "above"}
_TO = {"left": "to the left", "right": "to the right", "up": "at the top", "down": "at the bottom"}


def _verbs(patterns: str, *words: str) -> tuple[str, ...]:
    """What is between commas, with words in the place of {0}, {1}."""
    return tuple(pattern.format(*words) for pattern in patterns.split(", "))


# What can be said, in VARIANTS ways each, behind the name of who does it: of the camera by the
# direction, of a thing by its motion and the direction in which it moves.
VERBS: dict[str, tuple[str, ...]] = {
    NOTHING: ("",) * 6,
    **{
        way: _verbs(
            "tilts {0}, tilts {0}wards, moves {0}, moves {0}wards, goes {0}, travels {0}"
            if way in _UPRIGHT
            else "pans to the {0}, pans {0}, moves to the {0}, turns {0}, sweeps {0}, travels {0}",
            way,
        )
        for way in _WAYS
    },
    **{
        f"{y} {x}": _verbs(
            "moves {0} and to the {1}, pans {1} and tilts {0}, moves {0} and {1}, "
            "goes {0} to the {1}, pans to the {1} and {0}, tilts {0} and pans to the {1}",
            *(y, x),
        )
        for y in _UPRIGHT
        for x in ("left", "right")
    },
    "in": _verbs("zooms in, moves in, moves closer, closes in, comes closer, draws closer"),
    "out": _verbs("zooms out, moves out, moves away, pulls back, backs away, draws back"),
    "closer": (
        *_verbs("cuts to a closer view, cuts closer, jumps closer, cuts to a nearer view"),
        *("cuts from a wider view to a closer one", "first shows a wider view, then a closer one"),
    ),
    "wider": (
        *_verbs("cuts to a wider view, cuts further away, jumps back, cuts to a more distant view"),
        *("cuts from a closer view to a wider one", "first shows a closer view, then a wider one"),
    ),
    **{
        f"slide {way}": _verbs(
            "slides {0}, {1}, moves {0}, drifts {0}wards, glides {0}, glides from the {2} {0}"
            if way in _UPRIGHT
            else "slides to the {0}, slides {1}, moves to the {0}, drifts {0}, glides {1}, "
            "glides from {2} to {0}",
            *(way, {"up": "rises", "down": "sinks"}.get(way, _ALSO[way])),
            {"left": "right", "right": "left", "up": "bottom", "down": "top"}[way],
        )
        for way in _WAYS
    },
    **{
        f"bounce {way}": _verbs(
            "hops to the {0}, hops {0}, bounces to the {0}, bounces {0}, jumps to the {0}, "
            "jumps {0}",
            way,
        )
        for way in ("left", "right")
    },
    **{
        f"enter {way}": _verbs(
            "enters from {0}, comes in from {0}, appears from {0}, moves in from {0}, "
            "comes into view from {0}, slides in from {0}",
            _FROM[way],
        )
        for way in _WAYS
    },
    **{
        f"leave {way}": _verbs(
            "leaves {0}, goes out {0}, disappears {0}, moves out {0}, goes out of view {0}, "
            "slides out {0}",
            _TO[way],
        )
        for way in _WAYS
    },
    **{
        f"pass_by {last}": _verbs(
            "passes by from {0} to {1}, crosses from {0} to {1}, goes past from {0} to {1}, "
            "moves across from {0} to {1}, moves past from {0} to {1}, "
            "goes across from {0} to {1}",
            *(first, last),
        )
        for first, last in (("left", "right"), ("right", "left"))
    },
    "grow": _verbs("grows, gets bigger, gets larger, grows larger, becomes larger, becomes bigger"),
    "shrink": _verbs(
        "shrinks, gets smaller, grows smaller, becomes smaller, shrinks in size, diminishes"
    ),
    **{
        f"turn {way}": _verbs(
            "turns {0}, rotates {0}, spins {0}, swings {0}, twists {0}, turns around {0}"
            if way == also
            else "turns {0}, rotates {0}, spins {0}, spins {1}, rotates {1}, turns {1}",
            *(way, also),
        )
        for way, also in (("clockwise", "clockwise"), ("counterclockwise", "anticlockwise"))
    },
}
VARIANTS = len(VERBS[NOTHING])
_PAIRS = (
    *(("left", "right"), ("up", "down"), ("up left", "down right"), ("up right", "down left")),
    *(("in", "out"), ("closer", "wider"), ("grow", "shrink")),
    *(("slide left", "slide right"), ("slide up", "slide down"), ("bounce left", "bounce right")),
    *(("enter left", "leave right"), ("enter right", "leave left"), ("enter up", "leave down")),
    *(("enter down", "leave up"), ("pass_by left", "pass_by right")),
    ("turn clockwise", "turn counterclockwise"),
)
# What is seen when a clip runs backwards.
OPPOSITES = {NOTHING: NOTHING} | dict(_PAIRS) | {second: first for first, second in _PAIRS}
CAMERAS = ("the camera", "the camera", "the view", "the shot")
# A thing has no name, because nobody knows what it shows.
THINGS = (
    "something",
    *(
        f"{one} {thing}"
        for one in ("a", "one", "the", "this", "some")
        for thing in ("thing", "object", "shape", "piece", "part of the picture")
    ),
)
# "slides" as "sliding".
_DOUBLED = ("cuts", "gets", "hops", "pans", "spins")
_ITS_OWN = ("goes", "passes", "crosses", "diminishes")
_DONE = {verb.removeprefix("first ").split()[0] for ways in VERBS.values() for verb in ways if verb}
_FINITE = re.compile(rf"\b({'|'.join(sorted(_DONE))})\b")


def participle(verbs: str) -> str:
    """ "pans left and tilts up" -> "panning left and tilting up"."""

    def one(found: re.Match[str]) -> str:
        verb = found[0]
        stem = verb[:-2] if verb in _ITS_OWN else verb[:-1]
        if stem.endswith("e"):
            stem = stem[:-1]
        if verb in _DOUBLED:
            stem += stem[-1]
        return stem + "ing"

    return _FINITE.sub(one, verbs)


def signs(kind: str) -> list[float]:
    """What a kind of VERBS says along each of AXES: 1, -1 for the opposite, or 0."""
    words = set(kind.split(" "))
    is_thing = words & {"slide", "bounce", "enter", "leave", "pass_by"}
    of = "thing" if is_thing else "camera"
    more = {f"{of} right": {"right"}, f"{of} down": {"down"}, "camera in": {"in", "closer"}}
    less = {f"{of} right": {"left"}, f"{of} down": {"up"}, "camera in": {"out", "wider"}}
    more |= {"thing grows": {"grow"}, "thing clockwise": {"clockwise"}}
    less |= {"thing grows": {"shrink"}, "thing clockwise": {"counterclockwise"}}
    none: set[str] = set()
    return [
        float(bool(words & more.get(axis, none))) - float(bool(words & less.get(axis, none)))
        for axis in AXES
    ]
