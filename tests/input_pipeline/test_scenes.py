"""Tests of input_pipeline.scenes."""

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.components import Scenes
from input_pipeline import scenes


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("A dog runs.", "a cat sleeps.", "A dog runs, then a cat sleeps."),
        ("a dog runs . ", "a cat", "a dog runs, then a cat"),
        ("a dog v1.5", "a cat", "a dog v1.5, then a cat"),
    ],
)
def test_captions_are_joined(first: str, second: str, joined: str) -> None:
    found = scenes.join_captions(tf.constant(first), tf.constant(second))
    assert found.numpy().decode() == joined


def run(num_examples: int, probability: float, seed: int = 0) -> list[dict]:
    def load(position: tf.Tensor) -> dict[str, tf.Tensor]:
        name = tf.strings.as_string(position % num_examples)
        size = tf.cast(tf.stack([position % num_examples, 7]), tf.int32)
        return {
            "encoded": name[None],
            "size": size[None],
            "caption": name,
            "index": position % num_examples,
        }

    load_two = scenes.load_second(load, num_examples, seed, Scenes(probability))
    dataset = tf.data.Dataset.range(10 * num_examples, 10 * num_examples + 400).map(load_two)
    return list(dataset.as_numpy_iterator())


def test_the_second_picture_is_another_of_the_epoch_with_its_own_size_and_caption() -> None:
    seen = set()
    for clip in run(20, 1.0):
        first, second = (int(name) for name in clip["encoded"])
        assert first != second and first == clip["index"]
        assert clip["size"].tolist() == [[first, 7], [second, 7]]
        assert clip["caption"].decode() == f"{first}, then {second}"
        seen.add((second - first) % 20)
    assert seen == set(range(1, 20))


def test_one_scene_is_as_often_as_told_and_only_one_example_is_no_error() -> None:
    single = [clip["encoded"][0] == clip["encoded"][1] for clip in run(20, 0.4)]
    assert 0.5 < np.mean(single) < 0.7
    assert all(b"," not in clip["caption"] for clip in run(20, 0.0)[:5])
    assert len(run(1, 1.0)) == 400


@pytest.mark.parametrize("canvas_size", [48, 49, 320])
def test_halves_fill_the_canvas_and_keep_apart(canvas_size: int) -> None:
    upper, lower = scenes.heights(canvas_size)
    parts = [np.full((rows, canvas_size, 3), 10 * rows % 256, np.uint8) for rows in (upper, lower)]
    canvas = scenes.on_halves(*map(tf.constant, parts)).numpy()
    assert canvas.shape == (canvas_size, canvas_size, 3)
    assert (canvas[: canvas_size // 2] == parts[0][0, 0]).all()
    assert (canvas[canvas_size // 2 :] == parts[1][0, 0]).all()
    assert canvas_size - upper - lower >= 2
