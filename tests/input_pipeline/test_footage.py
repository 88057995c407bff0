"""Videos as examples: their frames are filmed, or are the clip."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.batch import Footage
from animclip_jax.animation.render import render
from input_pipeline.batches import decode_pictures
from input_pipeline.examples import Examples
from input_pipeline.media.picture import fit
from tests.input_pipeline.made_batches import ANIMATION, train, videos


def test_training_takes_frames_of_videos_at_random_times(tmp_path: Path) -> None:
    run = train(videos(tmp_path, [12] * 8), steps=10)
    levels = np.concatenate([batch.canvas[:, :8, :8].mean(axis=(1, 2, 3)) for batch in run]) / 10
    assert (np.abs(levels - levels.round()) < 0.2).all()
    assert set(levels.round()) == set(range(12))


def test_footage_is_a_frame_of_each_part_in_order(tmp_path: Path) -> None:
    still = dataclasses.replace(ANIMATION, preset="still")
    run = train(videos(tmp_path, [12] * 8), still, steps=10, footage=True)
    assert all(isinstance(batch, Footage) for batch in run)
    frames = np.concatenate([batch.frames for batch in run])
    assert frames.shape == (80, 4, 32, 32, 3) and frames.dtype == np.uint8
    levels = (frames.mean(axis=(2, 3, 4)) / 10).round().astype(int)
    # Three frames a part; all parts are seen at one place of the three, which differs by clip.
    assert {tuple(some) for some in levels.tolist()} == {
        (place, 3 + place, 6 + place, 9 + place) for place in range(3)
    }


@pytest.mark.parametrize(("length", "wanted"), [(4, {(0, 1, 2, 3)}), (1, {(0,) * 4}),
                                                (2, {(0, 0, 1, 1)})])  # fmt: skip
def test_footage_of_short_videos_repeats_frames(tmp_path: Path, length: int, wanted: set) -> None:
    repeat = dataclasses.replace(ANIMATION, preset="repeat")
    run = train(videos(tmp_path, [length] * 8), repeat, steps=4, footage=True)
    levels = np.concatenate([b.frames for b in run]).mean(axis=(2, 3, 4)) / 10
    assert {tuple(some) for some in levels.round().astype(int).tolist()} == wanted


def test_footage_sees_the_window_that_a_still_has(examples: Examples) -> None:
    still = dataclasses.replace(ANIMATION, preset="still")
    for own, filmed in zip(train(examples, still, footage=True), train(examples, still),
                           strict=True):  # fmt: skip
        assert (own.index == filmed.index).all()
        assert (own.tokens == filmed.tokens).all()
        wanted = np.asarray(render(filmed.canvas, filmed.plan, 32)) * 255
        assert np.abs(own.frames - wanted).max() < 12  # whole pixels of small pictures


@pytest.mark.parametrize("squashed", [False, True])
def test_footage_that_is_not_framed_is_what_the_evaluation_shows(
    examples: Examples, squashed: bool
) -> None:
    repeat = dataclasses.replace(ANIMATION, preset="repeat")
    for batch in train(examples, repeat, footage=True, squashed=squashed):
        shown = decode_pictures(examples, batch.index.tolist())
        for frames, whole in zip(batch.frames, shown, strict=True):
            wanted = fit(whole, 32, "squash" if squashed else "shortest", "bilinear")
            assert np.abs(frames[0].astype(int) - wanted).mean() < 3


def test_footage_that_is_framed_is_never_squashed(examples: Examples) -> None:
    still = dataclasses.replace(ANIMATION, preset="still")
    some = [train(examples, still, footage=True, squashed=squashed) for squashed in (False, True)]
    assert all((a.frames == b.frames).all() for a, b in zip(*some, strict=True))


def test_footage_with_a_moving_camera_is_refused(examples: Examples) -> None:
    with pytest.raises(ValueError, match=r"preset=full has pan, tilt.* wanted the preset still"):
        train(examples, footage=True)


def test_footage_with_a_broken_frame_is_replaced(tmp_path: Path) -> None:
    good = videos(tmp_path, [12] * 8)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        frames = good.fetch(index)
        spoilt = tf.tensor_scatter_nd_update(frames, [[7]], [b"no picture"])
        return tf.cond(index == 3, lambda: spoilt, lambda: frames)

    listed = tmp_path / "quarantine.jsonl"
    broken = dataclasses.replace(good, fetch=fetch, quarantine=listed)
    repeat = dataclasses.replace(ANIMATION, preset="repeat")
    run = train(broken, repeat, steps=12, footage=True)
    assert 3 not in run[-1].index
    assert "v3" in listed.read_text()
