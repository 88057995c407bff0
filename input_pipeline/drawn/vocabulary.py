"""The words of the drawn world's captions: names, properties, places and sentence patterns."""

NOUNS: dict[str, tuple[tuple[str, str], ...]] = {  # (one, many)
    "ball": (("ball", "balls"), ("sphere", "spheres")),
    "cube": (("cube", "cubes"), ("block", "blocks")),
    "car": (("car", "cars"), ("automobile", "automobiles")),
    "house": (("house", "houses"), ("cottage", "cottages")),
    "tree": (("tree", "trees"),),
    "fish": (("fish", "fish"),),
    "star": (("star", "stars"),),
    "cup": (("cup", "cups"), ("mug", "mugs")),
    "boat": (("boat", "boats"), ("sailboat", "sailboats")),
    "flower": (("flower", "flowers"), ("blossom", "blossoms")),
    "key": (("key", "keys"),),
    "umbrella": (("umbrella", "umbrellas"), ("parasol", "parasols")),
    "mushroom": (("mushroom", "mushrooms"), ("toadstool", "toadstools")),
    "rocket": (("rocket", "rockets"), ("spaceship", "spaceships")),
    "heart": (("heart", "hearts"),),
    "bird": (("bird", "birds"),),
    "cat": (("cat", "cats"), ("kitten", "kittens")),
    "snail": (("snail", "snails"),),
    "butterfly": (("butterfly", "butterflies"),),
    "kite": (("kite", "kites"),),
    "bottle": (("bottle", "bottles"), ("flask", "flasks")),
    "crown": (("crown", "crowns"),),
    "chair": (("chair", "chairs"), ("seat", "seats")),
    "tent": (("tent", "tents"),),
}
SIZE_WORDS = {
    "small": ("small", "little", "tiny"),
    "medium": ("medium-sized",),
    "large": ("large", "big", "huge"),
}
TEXTURE_WORDS = {
    "plain": ("plain",),
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted"),
    "checked": ("checked", "chequered"),
}
TEXTURE_AFTER = {"striped": "with stripes", "dotted": "with dots", "checked": "with checks"}
NUMBER_WORDS = {2: ("two", "a pair of"), 3: ("three",)}
BACKGROUND_PHRASES = {
    "grass": ("on the grass", "on a green lawn"),
    "sand": ("on the sand", "on a sandy beach"),
    "sea": ("on the sea", "on blue water"),
    "bricks": ("against a brick wall", "before a wall of bricks"),
    "wood": ("on a wooden floor", "on wooden boards"),
    "stars": ("under the stars", "before a starry sky"),
    "snow": ("in the snow", "on white snow"),
    "paving": ("on a stone pavement", "on paving stones"),
    "tiles": ("on a tiled floor", "on floor tiles"),
    "clouds": ("among the clouds", "before a cloudy sky"),
    "leaves": ("on fallen leaves", "on autumn leaves"),
    "carpet": ("on a carpet", "on a woven rug"),
    "gravel": ("on gravel", "on grey pebbles"),
    "paper": ("on squared paper", "on a sheet of paper"),
}
LIGHT_PHRASES = {
    "day": ("by day", "in daylight"),
    "sunset": ("at sunset", "in the evening light"),
    "night": ("at night", "in the dark"),
    "fog": ("in the fog", "in thick mist"),
}
# A relation said from its first thing {a}, from its second {b}, or as a whole; {is_a} is is/are.
RELATION_PATTERNS = {
    "left": (
        "{a} to the left of {b}",
        "{a} left of {b}",
        "{a} {is_a} on the left of {b}",
        "{b} to the right of {a}",
        "{b} {is_b} right of {a}",
        "{b} with {a} to {its_b} left",
        "to the right of {a} there {is_b} {b}",
        "on the left {is_a} {a}, on the right {b}",
    ),
    "above": (
        "{a} above {b}",
        "{a} {is_a} over {b}",
        "{a} {is_a} higher up than {b}",
        "{b} below {a}",
        "{b} {is_b} under {a}",
        "{b} beneath {a}",
        "below {a} there {is_b} {b}",
        "at the top {is_a} {a}, lower down {b}",
    ),
    "front": (
        "{a} in front of {b}",
        "{a} {is_a} in front of {b}",
        "{a} hiding part of {b}",
        "{b} behind {a}",
        "{b} {is_b} partly hidden by {a}",
        "{b} half covered by {a}",
        "behind {a} there {is_b} {b}",
    ),
    "bigger": (
        "{a} {is_a} bigger than {b}",
        "{a} larger than {b}",
        "{b} {is_b} smaller than {a}",
        "{b} and a bigger {a_bare}",
    ),
    "between": (
        "{a} between {b} and {c}",
        "{a} {is_a} between {c} and {b}",
        "between {b} and {c} there {is_a} {a}",
    ),
}
LIST_OPENINGS = (
    *("", "", "there {is_a} ", "here {is_a} "),
    *("a view of ", "you can see ", "a scene with "),
)
# A motion of {a}, or of the camera past {all} things, or {a} shown before {b}. {pace} is how fast,
# if that is told; verbs are those of MOTION_VERBS.
MOTION_PATTERNS: dict[str, dict[str, tuple[str, ...]]] = {
    "moves": {
        "left": (
            *(
                "{a} {slides}{pace} to the left",
                "{a} {moves}{pace} left",
                "{a} {drifts}{pace} leftwards",
            ),
            *("{a} {glides}{pace} from right to left", "{a} sliding{pace} to the left"),
        ),
        "right": (
            *("{a} {slides}{pace} to the right", "{a} {moves}{pace} right"),
            *("{a} {drifts}{pace} rightwards", "{a} {glides}{pace} from left to right"),
            "{a} sliding{pace} to the right",
        ),
        "up": (
            *("{a} {slides}{pace} up", "{a} {moves}{pace} upwards", "{a} {rises}{pace}"),
            *("{a} {glides}{pace} from the bottom up", "{a} moving{pace} up"),
        ),
        "down": (
            *("{a} {slides}{pace} down", "{a} {moves}{pace} downwards", "{a} {sinks}{pace}"),
            *("{a} {glides}{pace} from the top down", "{a} moving{pace} down"),
        ),
    },
    "scales": {
        "grows": (
            *("{a} {grows}", "{a} {gets} bigger", "{a} growing larger", "{a} {becomes} larger"),
            "{a} that {grows}",
        ),
        "shrinks": (
            *("{a} {shrinks}", "{a} {gets} smaller", "{a} shrinking away", "{a} {becomes} smaller"),
            "{a} that {shrinks}",
        ),
    },
    "turns": {
        "clockwise": (
            *("{a} {turns} clockwise", "{a} {spins} clockwise", "{a} {rotates} clockwise"),
            "{a} turning clockwise",
        ),
        "counterclockwise": (
            *("{a} {turns} counterclockwise", "{a} {spins} anticlockwise"),
            *("{a} {rotates} counterclockwise", "{a} turning anticlockwise"),
        ),
    },
    "zoom": {
        "in": (
            *("the camera zooms in on {a}", "the camera moves in on {a}", "zooming in on {a}"),
            *("the camera comes closer to {a}", "{a}, the camera moving closer"),
        ),
        "out": (
            *("the camera zooms out from {a}", "the camera moves out from {a}"),
            *("zooming out from {a}", "the camera backs away from {a}"),
            "{a}, the camera moving away",
        ),
    },
    "camera": {
        "left": (
            *("the camera pans to the left over {all}", "the camera moves left past {all}"),
            *("{all}, the camera panning left", "{all}, while the camera pans to the left"),
        ),
        "right": (
            *("the camera pans to the right over {all}", "the camera moves right past {all}"),
            *("{all}, the camera panning right", "{all}, while the camera pans to the right"),
        ),
        "up": (
            *("the camera tilts up over {all}", "the camera moves up past {all}"),
            *("{all}, the camera tilting up", "{all}, while the camera moves upwards"),
        ),
        "down": (
            *("the camera tilts down over {all}", "the camera moves down past {all}"),
            *("{all}, the camera tilting down", "{all}, while the camera moves downwards"),
        ),
    },
    "first": {
        "": (
            *("first {a}, then {b}", "{a} first, then {b}", "{a}, followed by {b}"),
            *("{a}, and then {b}", "first {a}, later {b}", "{b} after {a}"),
        ),
    },
}
MOTION_VERBS = {  # of one, of many
    **{one: (one, one[:-1]) for one in ("slides", "moves", "drifts", "glides", "rises", "sinks")},
    **{one: (one, one[:-1]) for one in ("grows", "gets", "becomes", "shrinks")},
    **{one: (one, one[:-1]) for one in ("turns", "spins", "rotates")},
}
PACE_WORDS = {"slow": ("slowly",), "quick": ("quickly", "fast")}
