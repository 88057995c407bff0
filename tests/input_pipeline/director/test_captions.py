"""Tests of input_pipeline.director.captions: how captions are joined."""

from __future__ import annotations

import pytest
import tensorflow as tf

from input_pipeline.director import captions, told


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("A dog runs.", "a cat sleeps.", "A dog runs, then a cat sleeps."),
        ("a dog runs . ", "a cat", "a dog runs, then a cat"),
        ("a dog v1.5", "a cat", "a dog v1.5, then a cat"),
    ],
)
def test_captions_of_two_scenes_are_joined(first: str, second: str, joined: str) -> None:
    found = captions.in_order(tf.constant(first), tf.constant(second), tf.constant(0.0))
    assert found.numpy().decode() == joined


def every(join: object, count: int, *texts: str | told.Clause) -> list[str]:
    """What each of the patterns makes of the texts."""
    draw = (tf.range(count, dtype=tf.float32) + 0.5) / count
    filled = tf.nest.map_structure(lambda text: tf.constant([text] * count), texts)
    found = join(*filled, draw)  # type: ignore[operator]
    return [text.decode() for text in found.numpy()]


def test_order_is_said_in_many_ways() -> None:
    found = every(captions.in_order, len(captions.ORDER), "A dog runs.", "TVs in a shop")
    assert found == [
        "A dog runs, then TVs in a shop",
        "First a dog runs, then TVs in a shop",
        "A dog runs, and then TVs in a shop",
        "First a dog runs and after that TVs in a shop",
        "A dog runs, followed by TVs in a shop",
    ]
    assert every(captions.in_order, 5, "A", "A cat.")[4] == "A, followed by a cat."


def test_motion_is_said_in_many_ways() -> None:
    pan = told.Clause("the camera pans left", "the camera panning left")
    assert every(captions.with_clause, len(captions.MOTION), "A dog runs. ", pan) == [
        "A dog runs, while the camera pans left.",
        "A dog runs as the camera pans left.",
        "A dog runs, and the camera pans left.",
        "A dog runs. The camera pans left.",
        "The camera pans left: a dog runs.",
        "While the camera pans left, a dog runs.",
        "A dog runs, the camera panning left.",
        "A dog runs with the camera panning left.",
        "With the camera panning left, a dog runs.",
        "The camera panning left: a dog runs.",
    ]
    assert every(captions.with_clause, 10, "Löwe", pan)[5] == f"While {pan.finite}, löwe"


@pytest.mark.parametrize("caption", ["A dog runs . ", "", "..", "Ein Löwe.\n"])
def test_a_caption_stays_as_it_is_where_there_is_nothing_to_say(caption: str) -> None:
    assert every(captions.with_clause, 10, caption, told.Clause("", "")) == [caption] * 10
