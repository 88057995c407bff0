"""Captions joined: with a clause on the motion of the clip, and with each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from animclip_jax.animation.told import AXES, Told
from input_pipeline.director import told
from input_pipeline.director.moves import Moves
from input_pipeline.tensorflow_on_cpu import tf

# {caption} without its full stop; a name in capitals begins with a capital, {Caption} with none.
MOTION = (
    *("{caption}, while {clause}", "{caption} as {clause}", "{caption}, and {clause}"),
    *("{caption}. {CLAUSE}", "{CLAUSE}: {inner}", "While {clause}, {inner}"),
    *("{caption}, {doing}", "{caption} with {doing}", "With {doing}, {inner}", "{DOING}: {inner}"),
)
# The first is how captions of two scenes are joined where no motion is named.
ORDER = (
    *("{first}, then {second}", "First {inner_first}, then {inner_second}"),
    *("{first}, and then {inner_second}", "First {inner_first} and after that {inner_second}"),
    "{first}, followed by {inner_second}",
)


class Captions(NamedTuple):
    """Of B clips, and of the same clips backwards: tf.string [B] each.

    axes: float32 [B, 7], what the captions of the clips say along each of AXES.
    """

    forwards: tf.Tensor
    backwards: tf.Tensor
    axes: tf.Tensor


def of_clips(
    captions: tf.Tensor, two: tf.Tensor, draws: tf.Tensor, moves: Moves, config: Told
) -> Captions:
    """What is said of clips: of their pictures, in what order these come, and of the motion.

    captions: tf.string [B, P], of the pictures of each clip. two: bool [B], clips that show both.
    draws: of `told.draw`.
    """
    joining = draws[:, told.JOINING]
    first, last = captions[:, 0], captions[:, -1]
    none = tf.zeros([tf.shape(first)[0], len(AXES)])
    found = Captions(first, first, none)
    if captions.shape[1] == 2:
        draw = tf.where(draws[:, 0] < config.probability, joining, 0.0)
        forwards, backwards = in_order(first, last, draw), in_order(last, first, draw)
        found = Captions(tf.where(two, forwards, first), tf.where(two, backwards, first), none)
    if config.probability:
        clauses = told.phrase(draws, moves, config)
        found = Captions(
            with_clause(found.forwards, clauses.forwards, joining),
            with_clause(found.backwards, clauses.backwards, joining),
            clauses.axes,
        )
    return found


def with_clause(caption: tf.Tensor, clause: told.Clause, draw: tf.Tensor) -> tf.Tensor:
    """Captions tf.string [B] that also say a clause; as they are where that is "".

    draw: float32 [B] in [0, 1), chooses the pattern.
    """
    body = _without_stop(caption)
    texts = {
        "caption": body,
        "inner": _inner(body),
        "clause": clause.finite,
        "CLAUSE": _first_letter(tf.strings.upper, clause.finite),
        "doing": clause.participle,
        "DOING": _first_letter(tf.strings.upper, clause.participle),
    }
    joined = tf.strings.join([_filled(MOTION, texts, draw), _stop(caption)])
    return tf.where(clause.finite == "", caption, joined)


def in_order(first: tf.Tensor, second: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """ "A dog runs." and "a cat sleeps." -> "A dog runs, then a cat sleeps."

    draw: float32 [B] in [0, 1), chooses the pattern; 0 this one.
    """
    body = _without_stop(first)
    texts = {
        "first": body,
        "second": second,
        "inner_first": _inner(body),
        "inner_second": _inner(second),
    }
    return _filled(ORDER, texts, draw)


def _filled(patterns: Sequence[str], texts: dict[str, tf.Tensor], draw: tf.Tensor) -> tf.Tensor:
    """One of the patterns for each caption, with the texts, tf.string [B], in their places."""
    ways = [
        tf.strings.join([texts.get(part[1:-1], part) for part in re.split(r"(\{\w+\})", pattern)])
        for pattern in patterns
    ]
    chosen = tf.cast(draw * len(patterns), tf.int32)
    return tf.gather(tf.stack(ways, axis=-1), chosen, axis=-1, batch_dims=len(draw.shape))


def _without_stop(caption: tf.Tensor) -> tf.Tensor:
    return tf.strings.regex_replace(caption, r"[\s.]+$", "")


def _stop(caption: tf.Tensor) -> tf.Tensor:
    """The full stop of a caption that has one, and "" of the others."""
    return tf.where(tf.strings.regex_full_match(caption, r"(?s).*\.\s*"), ".", "")


def _inner(caption: tf.Tensor) -> tf.Tensor:
    """As inside a sentence: "A dog" -> "a dog"; "TV" keeps its capital."""
    is_word = tf.strings.regex_full_match(caption, r"(?s)[A-Z]([^A-Z0-9].*)?")
    return tf.where(is_word, _first_letter(tf.strings.lower, caption), caption)


def _first_letter(change: Callable[[tf.Tensor], tf.Tensor], text: tf.Tensor) -> tf.Tensor:
    """Changes the first letter of texts that begin with one of A to Z, or are empty."""
    first = tf.strings.regex_replace(text, r"(?s)^([A-Za-z]).*$", r"\1")
    return tf.strings.join([change(first), tf.strings.regex_replace(text, r"^[A-Za-z]", "")])
