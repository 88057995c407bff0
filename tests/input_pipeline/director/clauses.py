"""What a clause says of a clip's motion, read from its words: for tests of what captions tell."""

import re

# What a word says: its amount, and the sign of it. Words that say nothing of the kind are not here.
SAYS = {
    "left": ("right", -1), "leftwards": ("right", -1),
    "right": ("right", 1), "rightwards": ("right", 1),
    "up": ("down", -1), "upwards": ("down", -1), "rises": ("down", -1),
    "down": ("down", 1), "downwards": ("down", 1), "sinks": ("down", 1),
}  # fmt: skip
CLOSER = ("in", "closer", "nearer")
WIDER = ("out", "away", "back", "backs", "further", "wider", "distant")
BIGGER = ("grows", "bigger", "larger")
SMALLER = ("shrinks", "smaller", "diminishes")
# Where a thing moves that comes from there, and one that leaves there.
FROM = {"left": ("right", 1), "right": ("right", -1), "above": ("down", 1), "below": ("down", -1)}
TO = {"left": ("right", -1), "right": ("right", 1), "top": ("down", -1), "bottom": ("down", 1)}
COMES = ("from",)
GOES = ("leaves", "out", "disappears")
PASSES = ("passes", "crosses", "past", "across")
HOPS = ("hops", "bounces", "jumps")
THING = r"something|(?:a|one|the|this|some) (?:thing|object|shape|piece|part of the picture)"
CAMERA = r"the (?:camera|view|shot)"

# What each axis of animclip_jax.animation.told is called among the amounts.
AXIS_NAMES = {
    "camera right": "right", "camera down": "down", "camera in": "zoom",
    "thing right": "thing_right", "thing down": "thing_down",
    "thing grows": "thing_growth", "thing clockwise": "thing_turn",
}  # fmt: skip


def facts(clause: str) -> set[tuple[str, int]]:
    """What a clause says of a clip's amounts: their names and signs. A thing's are "thing_right".

    How a thing comes and goes is "enter", "leave", "pass_by", "bounce" and "slide", of sign 1.
    """
    found = set()
    if thing := re.search(rf"\b(?:{THING}) (.*?)(?: and {CAMERA}|$)", clause):
        found |= of_thing(re.findall(r"\w+", thing[1]))
    if camera := re.search(rf"\b{CAMERA} (.*)", clause):
        found |= of_camera(re.findall(r"\w+", camera[1]))
    return found


def of_camera(words: list[str]) -> set[tuple[str, int]]:
    found = {fact for word, fact in SAYS.items() if word in words}
    size = "closer" if {*words} & {"cuts", "jumps", "first"} else "zoom"
    # "from a wider view to a closer one" says both words: the last one counts.
    last = [word for word in words if word in (*CLOSER, *WIDER)]
    return found | ({(size, 1 if last[-1] in CLOSER else -1)} if last else set())


def of_thing(words: list[str]) -> set[tuple[str, int]]:
    if {*words} & {"clockwise", "counterclockwise", "anticlockwise"}:
        return {("thing_turn", 1 if "clockwise" in words else -1)}
    if {*words} & {*BIGGER, *SMALLER}:
        # "grows smaller" says both: the last word counts.
        last = [word for word in words if word in (*BIGGER, *SMALLER)][-1]
        return {("thing_growth", 1 if last in BIGGER else -1)}
    if {*words} & {*PASSES}:
        motion, ways = "pass_by", {last_of(TO, words)}
    elif "glides" in words:
        motion, ways = "slide", {last_of(SAYS, words)}
    elif {*words} & {*GOES}:
        motion, ways = "leave", {last_of(TO, words)}
    elif {*words} & {*COMES}:
        motion, ways = "enter", {last_of(FROM, words)}
    else:
        motion = "bounce" if {*words} & {*HOPS} else "slide"
        ways = {fact for word, fact in SAYS.items() if word in words}
    return {(motion, 1)} | {(f"thing_{name}", sign) for name, sign in ways}


def last_of(says: dict[str, tuple[str, int]], words: list[str]) -> tuple[str, int]:
    """What the last word that says something says: "from left to right", whatever follows."""
    return [says[word] for word in words if word in says][-1]
