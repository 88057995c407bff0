"""From what moved in a clip to words, and to the words for the same clip backwards.

Only what is seen is said: amounts are those of the frames (`moves.py`), and what is less than the
least of `Told`, or lies between two directions, has no words.
"""

from __future__ import annotations

from typing import NamedTuple

from animclip_jax.animation.told import Told
from input_pipeline.director.draws import of_clip, row
from input_pipeline.director.moves import Moves
from input_pipeline.director.things import CODES
from input_pipeline.director.verbs import (
    CAMERAS,
    OPPOSITES,
    THINGS,
    VARIANTS,
    VERBS,
    participle,
    signs,
)
from input_pipeline.tensorflow_on_cpu import tf

# Kinds as numbers; 0 is nothing.
_NUMBERS = {kind: number for number, kind in enumerate(VERBS)}
_VERBS = list(VERBS.values())
_PARTICIPLES = [[participle(verb) for verb in verbs] for verbs in _VERBS]
_SIGNS = [signs(kind) for kind in VERBS]
_OPPOSITES = [_NUMBERS[OPPOSITES[kind]] for kind in VERBS]


def _by_signs(prefix: str = "") -> list[list[int]]:
    """The kinds of a movement by the signs of down and right, -1 to 1."""
    kinds = [
        [prefix + f"{y} {x}".strip() for x in ("left", "", "right")] for y in ("up", "", "down")
    ]
    return [[_NUMBERS.get(kind, 0) for kind in row] for row in kinds]


# By the code of a motion; what moves in no direction has nothing.
_OF_THINGS = [_by_signs("none "), *(_by_signs(f"{motion} ") for motion in CODES)]
# A part of the movement counts only if it is more than this share of the other.
_COUNTS = 0.5
# The least height of a hop, in sides of the frame.
_HOP = 0.05
# The random numbers of a clip that the joining of its captions and the choice of siblings take.
JOINING, SIBLING = 10, 11


class Clause(NamedTuple):
    """ "the camera pans left" and "the camera panning left", tf.string [B] each; or ""."""

    finite: tf.Tensor
    participle: tf.Tensor


class Phrase(NamedTuple):
    """What is said of each clip, and of it backwards.

    axes: float32 [B, 7], what is said of the clip forwards along each of AXES: 1, -1 or 0.
    """

    forwards: Clause
    backwards: Clause
    axes: tf.Tensor


def draw(seed: int, first: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """The random numbers of clips first, first + 1, ... for their captions, float32 [count, N].

    Beside `draws.noise`, and in [0, 1) as these; first: int64 scalar.
    """
    return of_clip(row(seed, "told", first, count))


def phrase(draws: tf.Tensor, moves: Moves, config: Told) -> Phrase:
    """A clause on each clip's motion: "something slides up and the camera pans to the left".

    draws: float32 [B, N], of `draw`.
    """
    seen = tf.stack([_way(moves, config), _size(moves, config), _thing(moves, config)], axis=1)
    said = tf.where(_chosen(seen, draws) & (draws[:, :1] < config.probability), seen, 0)
    variants = tf.cast(draws[:, 2:5] * VARIANTS, tf.int32)
    camera, thing = (
        tf.gather(names, tf.cast(draws[:, 1] * len(names), tf.int32)) for names in (CAMERAS, THINGS)
    )
    has_pace = draws[:, 9] < 0.5
    pace = tf.where(has_pace & (said[:, 1] == 0), _pace(moves.right, moves.down, config), " ")
    slides = has_pace & (moves.thing == CODES["slide"])
    thing_pace = tf.where(slides, _pace(moves.thing_right, moves.thing_down, config), " ")

    def clause(kinds: tf.Tensor, words: list) -> tf.Tensor:
        way, size, motion = tf.unstack(
            tf.gather_nd(words, tf.stack([kinds, variants], axis=-1)), axis=1
        )
        verbs = _and(way, size)
        by_camera = tf.where(verbs == "", "", tf.strings.join([camera, pace, verbs]))
        by_thing = tf.where(motion == "", "", tf.strings.join([thing, thing_pace, motion]))
        return _and(by_thing, by_camera)

    forwards, backwards = (
        Clause(clause(kinds, _VERBS), clause(kinds, _PARTICIPLES))
        for kinds in (said, tf.gather(_OPPOSITES, said))
    )
    return Phrase(forwards, backwards, tf.reduce_sum(tf.gather(_SIGNS, said), axis=1))


def _and(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Both, or the one that is not ""."""
    between = tf.where((first == "") | (second == ""), "", " and ")
    return tf.strings.join([first, between, second])


def _way(moves: Moves, config: Told) -> tf.Tensor:
    """int32 [B], the kind of the camera's direction: of one part that dominates, or of both."""
    return tf.gather_nd(_by_signs(), 1 + _signs(moves.down, moves.right, config))


def _thing(moves: Moves, config: Told) -> tf.Tensor:
    """int32 [B], the kind of how a thing moves."""
    signs = _signs(moves.thing_down, moves.thing_right, config)
    kind = tf.gather_nd(_OF_THINGS, tf.concat([moves.thing[:, None], 1 + signs], axis=1))
    kind = tf.where((moves.thing == CODES["bounce"]) & (moves.thing_hop < _HOP), 0, kind)
    growth, turn = moves.thing_growth, moves.thing_turn
    for name, is_more, is_less, more, less in (
        ("grow", growth >= config.zoom, growth * config.zoom <= 1.0, "grow", "shrink"),
        (
            *("turn", turn >= config.turn, turn <= -config.turn),
            *("turn clockwise", "turn counterclockwise"),
        ),
    ):
        is_it = moves.thing == CODES[name]
        kind = tf.where(is_it & is_more, _NUMBERS[more], kind)
        kind = tf.where(is_it & is_less, _NUMBERS[less], kind)
    return tf.where(moves.thing_visible >= config.visible, kind, 0)


def _signs(down: tf.Tensor, right: tf.Tensor, config: Told) -> tf.Tensor:
    """int32 [B, 2], the parts of a movement that are said, by their signs, and 0 for the others."""
    parts = tf.stack([down, right], axis=1)
    length = tf.abs(parts)
    counts, is_seen = length > _COUNTS * tf.reverse(length, [1]), length >= config.travel
    is_said = counts & tf.reduce_all(is_seen | ~counts, axis=1, keepdims=True)
    return tf.where(is_said, tf.cast(tf.sign(parts), tf.int32), 0)


def _size(moves: Moves, config: Told) -> tf.Tensor:
    """int32 [B], the kind of what comes closer, or what lies further away behind a cut."""
    kind = tf.zeros_like(moves.zoom, tf.int32)
    for ratio, least, more, less in (
        (moves.zoom, config.zoom, "in", "out"),
        (moves.closer, config.closer, "closer", "wider"),
    ):
        kind = tf.where(ratio >= least, _NUMBERS[more], kind)
        kind = tf.where(ratio * least <= 1.0, _NUMBERS[less], kind)
    return kind


def _chosen(seen: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """bool [B, F], which of what is seen is said: one of it, or as often two."""
    score = tf.where(seen != 0, draws[:, 6 : 6 + seen.shape[1]], -1.0)
    before = tf.reduce_sum(tf.cast(score[:, None] > score[:, :, None], tf.int32), axis=2)
    return (seen != 0) & (before < tf.where(draws[:, 5, None] < 0.5, 1, 2))


def _pace(right: tf.Tensor, down: tf.Tensor, config: Told) -> tf.Tensor:
    """tf.string [B], " slowly " or " quickly ", or " "."""
    travel = tf.maximum(tf.abs(right), tf.abs(down))
    slow, quick = config.pace
    return tf.where(travel < slow, " slowly ", tf.where(travel > quick, " quickly ", " "))
