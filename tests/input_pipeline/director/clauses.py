"""What a clause says of a clip's motion, read from its words: for tests of what captions tell."""

import re

# What a word says: its amount, and the sign of it. Words that say nothing of the kind are not here.
CLOSER = ("in", "closer", "nearer")
WIDER = ("out", "away", "back", "backs", "further", "wider", "distant")
SAYS = {
    "left": ("right", -1), "right": ("right", 1),
    "up": ("down", -1), "upwards": ("down", -1), "down": ("down", 1), "downwards": ("down", 1),
}  # fmt: skip


def facts(clause: str) -> set[tuple[str, int]]:
    """What a clause says of a clip's amounts: their names and signs."""
    words = set(re.findall(r"\w+", clause))
    found = {fact for word, fact in SAYS.items() if word in words}
    size = "closer" if words & {"cuts", "jumps", "first"} else "zoom"
    # "from a wider view to a closer one" says both words: the last one counts.
    last = [word for word in re.findall(r"\w+", clause) if word in (*CLOSER, *WIDER)]
    return found | ({(size, 1 if last[-1] in CLOSER else -1)} if last else set())
