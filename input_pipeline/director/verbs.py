"""The words for what moves in a clip, and for the same clip backwards. They are ours."""

from __future__ import annotations

NOTHING = "nothing"
_WAYS = ("left", "right", "up", "down")
_UPRIGHT = ("up", "down")
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
            "goes {0} to the {1}, pans to the {1} and {0}, travels {0} and {1}",
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
            "slides {0}, slides {0}wards, moves {0}, moves {0}wards, glides {0}, goes {0}"
            if way in _UPRIGHT
            else "slides to the {0}, slides {0}, moves to the {0}, moves {0}, glides {0}, goes {0}",
            way,
        )
        for way in _WAYS
    },
    **{
        f"bounce {way}": _verbs(
            "hops to the {0}, hops {0}, bounces to the {0}, bounces {0}, jumps to the {0}, "
            "goes {0} in hops",
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
            "turns {0}, rotates {0}, swings {0}, twists {0}, rolls {0}, turns around {0}", way
        )
        for way in ("clockwise", "counterclockwise")
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
THINGS = ("something", "something", "one thing", "a part of the picture")
