"""From what moved in a clip to words, and to the words for the same clip backwards.

Only what is seen is said: amounts are those of the frames (`moves.py`), and what is less than the
least of `Told`, or lies between two directions, has no words. The phrases are ours.
"""

from __future__ import annotations

from typing import NamedTuple

from animclip_jax.animation.told import Told
from input_pipeline.director.draws import of_clip, row
from input_pipeline.director.moves import Moves
from input_pipeline.tensorflow_on_cpu import tf

NOTHING = "nothing"
_ACROSS = ("pans to the {}", "pans {}", "moves to the {}", "turns {}", "sweeps {}", "travels {}")
_UPRIGHT = ("tilts {}", "tilts {}wards", "moves {}", "moves {}wards", "goes {}", "travels {}")
_OBLIQUE = (
    *("moves {0} and to the {1}", "pans {1} and tilts {0}", "moves {0} and {1}"),
    *("goes {0} to the {1}", "pans to the {1} and {0}", "travels {0} and {1}"),
)
# What can be said, in VARIANTS ways each, behind the name of who does it.
VERBS: dict[str, tuple[str, ...]] = {
    NOTHING: ("",) * 6,
    **{way: tuple(verb.format(way) for verb in _ACROSS) for way in ("left", "right")},
    **{way: tuple(verb.format(way) for verb in _UPRIGHT) for way in ("up", "down")},
    **{
        f"{y} {x}": tuple(verb.format(y, x) for verb in _OBLIQUE)
        for y in ("up", "down")
        for x in ("left", "right")
    },
    "in": (
        *("zooms in", "moves in", "moves closer", "closes in", "comes closer"),
        "draws closer",
    ),
    "out": (
        *("zooms out", "moves out", "moves away", "pulls back", "backs away"),
        "draws back",
    ),
    "closer": (
        *("cuts to a closer view", "cuts closer", "jumps closer", "cuts to a nearer view"),
        *("cuts from a wider view to a closer one", "first shows a wider view, then a closer one"),
    ),
    "wider": (
        *("cuts to a wider view", "cuts further away", "jumps back", "cuts to a more distant view"),
        *("cuts from a closer view to a wider one", "first shows a closer view, then a wider one"),
    ),
}
VARIANTS = len(VERBS[NOTHING])
_PAIRS = (
    *(("left", "right"), ("up", "down"), ("up left", "down right"), ("up right", "down left")),
    *(("in", "out"), ("closer", "wider")),
)
# What is seen when a clip runs backwards.
OPPOSITES = {NOTHING: NOTHING} | dict(_PAIRS) | {second: first for first, second in _PAIRS}
SUBJECTS = ("the camera", "the camera", "the view", "the shot")

_KINDS = list(VERBS)
_VERBS = list(VERBS.values())
_OPPOSITES = [_KINDS.index(OPPOSITES[kind]) for kind in _KINDS]
# By the signs of down and right.
_WAYS = [
    [_KINDS.index(kind) for kind in row]
    for row in (
        ("up left", "up", "up right"),
        ("left", NOTHING, "right"),
        ("down left", "down", "down right"),
    )
]
# A part of the movement counts only if it is more than this share of the other.
_COUNTS = 0.5
# The random numbers of a clip that the joining of its captions and the choice of siblings take.
JOINING, SIBLING = 10, 11


class Phrase(NamedTuple):
    """What is said of each clip, tf.string [B], and of it backwards; "" where nothing is."""

    forwards: tf.Tensor
    backwards: tf.Tensor


def draw(seed: int, first: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """The random numbers of clips first, first + 1, ... for their captions, float32 [count, N].

    Beside `draws.noise`, and in [0, 1) as these; first: int64 scalar.
    """
    return of_clip(row(seed, "told", first, count))


def phrase(draws: tf.Tensor, moves: Moves, config: Told) -> Phrase:
    """A clause on each clip's motion, such as "the camera slowly pans to the left".

    draws: float32 [B, N], of `draw`.
    """
    seen = tf.stack([_way(moves, config), _size(moves, config)], axis=1)
    said = tf.where(_chosen(seen, draws) & (draws[:, :1] < config.probability), seen, 0)
    variants = tf.cast(draws[:, 2:4] * VARIANTS, tf.int32)
    who = tf.gather(SUBJECTS, tf.cast(draws[:, 1] * len(SUBJECTS), tf.int32))
    pace = tf.where((said[:, 1] == 0) & (draws[:, 9] < 0.5), _pace(moves, config), " ")

    def clause(kinds: tf.Tensor) -> tf.Tensor:
        way, size = tf.unstack(tf.gather_nd(_VERBS, tf.stack([kinds, variants], axis=-1)), axis=1)
        both = tf.where((way == "") | (size == ""), "", " and ")
        whole = tf.strings.join([who, pace, way, both, size])
        return tf.where(tf.reduce_any(kinds != 0, axis=1), whole, "")

    return Phrase(clause(said), clause(tf.gather(_OPPOSITES, said)))


def _way(moves: Moves, config: Told) -> tf.Tensor:
    """int32 [B], the kind of the camera's direction: of one part that dominates, or of both."""
    parts = tf.stack([moves.down, moves.right], axis=1)
    length = tf.abs(parts)
    counts, is_seen = length > _COUNTS * tf.reverse(length, [1]), length >= config.travel
    is_said = counts & tf.reduce_all(is_seen | ~counts, axis=1, keepdims=True)
    sign = tf.where(is_said, tf.cast(tf.sign(parts), tf.int32), 0)
    return tf.gather_nd(_WAYS, sign + 1)


def _size(moves: Moves, config: Told) -> tf.Tensor:
    """int32 [B], the kind of what comes closer, or what lies further away behind a cut."""
    kind = tf.zeros_like(moves.zoom, tf.int32)
    for ratio, least, more, less in (
        (moves.zoom, config.zoom, "in", "out"),
        (moves.closer, config.closer, "closer", "wider"),
    ):
        kind = tf.where(ratio >= least, _KINDS.index(more), kind)
        kind = tf.where(ratio * least <= 1.0, _KINDS.index(less), kind)
    return kind


def _chosen(seen: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """bool [B, F], which of what is seen is said: one thing, or as often two."""
    score = tf.where(seen != 0, draws[:, 6 : 6 + seen.shape[1]], -1.0)
    before = tf.reduce_sum(tf.cast(score[:, None] > score[:, :, None], tf.int32), axis=2)
    return (seen != 0) & (before < tf.where(draws[:, 5, None] < 0.5, 1, 2))


def _pace(moves: Moves, config: Told) -> tf.Tensor:
    """tf.string [B], " slowly " or " quickly ", or " "."""
    travel = tf.maximum(tf.abs(moves.right), tf.abs(moves.down))
    slow, quick = config.pace
    return tf.where(travel < slow, " slowly ", tf.where(travel > quick, " quickly ", " "))
