"""Tests of input_pipeline.batches."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from animclip_jax.animation.batch import Filmed, Footage
from animclip_jax.animation.components import (
    Framing,
    Grow,
    Pan,
    Roll,
    Scenes,
    Shake,
    Slide,
    Thing,
    Tilt,
    Turn,
    Zoom,
)  # fmt: skip
from animclip_jax.animation.config import PRESETS, AnimationConfig
from animclip_jax.animation.render import render
from input_pipeline import batches
from input_pipeline.director import direct, noise
from input_pipeline.examples import Examples
from input_pipeline.sources.opening import open_source
from input_pipeline.tokenizers.clip import ClipTokenizer
from tests.input_pipeline.made_batches import ANIMATION, BATCH, NUM_PICTURES, joined, same, train
from tests.input_pipeline.pictures import gradient


def test_what_a_batch_is(examples: Examples) -> None:
    for batch in train(examples):
        arrays = (batch.canvas, batch.plan.boxes, batch.tokens, batch.index)
        assert [(array.shape, array.dtype) for array in arrays] == [
            ((BATCH, 48, 48, 3), np.uint8),
            ((BATCH, 5, 4), np.float32),  # 4 frames, one of which a transition may overlap
            ((BATCH, 16), np.int32),
            ((BATCH,), np.int32),
        ]
        assert all(len(part) == BATCH for part in batch.plan)
        boxes = batch.plan.boxes
        assert (boxes >= 0).all() and (boxes <= 1).all()
        assert (boxes[..., 2:] > boxes[..., :2]).all()
        # The canvas starts where the smallest region does: the windows reach to its top and left.
        beyond = np.abs(batch.plan.shear) / 2  # the corners of rolled windows
        assert ((boxes[..., :2] - beyond).min(axis=1) < 0.08).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_leaves_the_pipeline(
    examples: Examples, preset: str, capfd: pytest.CaptureFixture[str]
) -> None:
    animation = dataclasses.replace(ANIMATION, preset=preset)
    plan = train(examples, animation, steps=1)[0].plan
    windows = 5 if preset in ("shots", "full", "things") else 4
    assert plan.boxes.shape == (BATCH, windows, 4) and plan.gain.shape == (BATCH, 4)
    assert plan.at.shape == (BATCH, windows - 4) and plan.at.dtype == np.int32
    # TensorFlow prints what its graph optimiser could not do, and goes on.
    assert "failed" not in capfd.readouterr().err


def test_captions_are_those_of_the_picture(examples: Examples) -> None:
    tokenizer = ClipTokenizer(16, 1000)
    chosen = set()
    for batch in train(examples, steps=12):
        for index, tokens in zip(batch.index, batch.tokens, strict=True):
            which = (tokenizer(examples.captions[index]) == tokens).all(axis=1)
            assert which.sum() == 1
            chosen.add((int(index), int(which.argmax())))
    # 12 steps are 4 epochs: chance may leave out few of the 47 captions.
    assert len(chosen) > 35


def test_the_canvas_shows_what_the_windows_see(examples: Examples, directory: Path) -> None:
    for step, batch in enumerate(train(examples)):
        draws = noise(1, tf.constant(step * BATCH, tf.int64), BATCH)
        sizes = examples.sizes[batch.index]
        windows = direct(draws, tf.constant(sizes)[:, None], ANIMATION)[0].boxes.numpy()
        for row, (height, width) in enumerate(sizes):
            with Image.open(directory / examples.ids[batch.index[row]]) as image:
                assert image.size == (width, height)
            centres = (windows[row, :, :2] + windows[row, :, 2:]) / 2
            wanted = centres[:, ::-1] / [width, height] * 240
            boxes = batch.plan.boxes[row]
            at = ((boxes[:, :2] + boxes[:, 2:]) / 2 * 48).astype(int)
            seen = batch.canvas[row][at[:, 0], at[:, 1]]
            assert np.abs(seen[:, :2] - wanted).max() < 6
            assert np.abs(seen[:, 2] - 120.0).max() < 6


THINGS = AnimationConfig(
    "things", 4, 32, thing=Thing(1.0, (0.3, 0.3)), slide=Slide(1.0, (0.2, 0.4))
)


def test_things_move_in_batches_as_the_director_says(examples: Examples) -> None:
    whole = train(examples, THINGS)
    assert same(whole[2:], train(examples, THINGS, start_step=2, steps=2))
    parts = [train(examples, THINGS, process=(n, 4)) for n in range(4)]
    assert same(whole, joined(parts))
    for batch in whole:
        plan = batch.plan
        assert plan.home.shape == (BATCH, 5) and plan.thing_boxes.shape == (BATCH, 4, 4)
        assert plan.has_thing.mean() > 0.7
        # It is on the canvas, and so is what fills its place.
        some = plan.has_thing & (plan.fill != 0).any(axis=1)
        for middle in (plan.home[some, :2], plan.home[some, :2] + plan.fill[some]):
            assert (middle - plan.home[some, 2:4] > -0.05).all()
            assert (middle + plan.home[some, 2:4] < plan.extent[some] + 0.05).all()


def test_what_a_caption_is_of_is_cut_out(examples: Examples) -> None:
    boxes = np.tile(np.array([0.4, 0.45, 0.6, 0.6], np.float32), (len(examples.ids), 1))
    boxes[::2] = np.nan
    still = dataclasses.replace(
        THINGS, pan=Pan(0.0), tilt=Tilt(0.0), zoom=Zoom(0.0), roll=Roll(0.0), shake=Shake(0.0),
        framing=Framing(1.0, (0.9, 0.9), (0.5, 0.5)), turn=Turn(0.0), grow=Grow(0.0),
    )  # fmt: skip
    known = dataclasses.replace(examples, boxes=boxes)
    for ours, without in zip(train(known, still), train(examples, still), strict=True):
        has_box = ours.index % 2 == 1
        assert same_rows(ours, without, ~has_box)
        home = ours.plan.home[has_box]
        assert ours.plan.has_thing[has_box].all()
        # The colours of a picture say where they are in it: here in the middle of the box.
        at = (home[:, :2] * 48).astype(int)
        seen = ours.canvas[has_box][np.arange(len(at)), at[:, 0], at[:, 1]]
        np.testing.assert_allclose(seen, [[0.525 * 240, 0.5 * 240, 120]] * len(at), atol=6)


def same_rows(ours: Filmed, theirs: Filmed, rows: np.ndarray) -> bool:
    return all(
        a[rows].tobytes() == b[rows].tobytes()
        for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True)
    )


def test_starting_at_a_step_gives_the_same_batches(examples: Examples) -> None:
    whole = train(examples, steps=8)
    assert same(whole[5:8], train(examples, start_step=5, steps=3))
    assert not same(whole[5:6], whole[4:5])


def test_a_far_step_is_reached_at_once(examples: Examples) -> None:
    far = train(examples, start_step=10**12, steps=2)
    assert same(far[1:], train(examples, start_step=10**12 + 1, steps=1))


@pytest.mark.parametrize("process_count", [2, 4])
def test_processes_together_make_the_same_batches(examples: Examples, process_count: int) -> None:
    parts = [train(examples, process=(n, process_count)) for n in range(process_count)]
    assert all(len(batch.index) == BATCH // process_count for part in parts for batch in part)
    assert same(train(examples), joined(parts))


def test_threads_change_nothing(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    several = train(examples)
    for calls in (1, 13):
        monkeypatch.setattr(batches, "FILMED_AT_ONCE", calls)
        assert same(several, train(examples))


def test_no_thread_that_tunes_can_keep_a_run_from_ending(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = [], tf.data.Dataset.with_options

    def noted(self: tf.data.Dataset, options: tf.data.Options) -> tf.data.Dataset:
        made.append(options)
        return real(self, options)

    monkeypatch.setattr(tf.data.Dataset, "with_options", noted)
    train(examples, steps=1)
    assert made and made[-1].autotune.enabled is False


def test_another_seed_is_another_run(examples: Examples) -> None:
    ours, theirs = train(examples, steps=3), train(examples, steps=3, seed=2)
    order = [[batch.index for batch in run] for run in (ours, theirs)]
    assert (np.concatenate(order[0]) != np.concatenate(order[1])).any()
    assert (ours[0].plan.boxes != theirs[0].plan.boxes).any()


def test_an_epoch_is_a_permutation(examples: Examples) -> None:
    epochs = [
        np.concatenate([batch.index for batch in train(examples, start_step=start, steps=3)])
        for start in (0, 3, 6)
    ]
    for epoch in epochs:
        assert sorted(epoch) == list(range(NUM_PICTURES))
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()
    assert (epochs[0] != np.arange(NUM_PICTURES)).any()


@pytest.mark.parametrize("process_count", [1, 2])
def test_groups_stay_together(examples: Examples, process_count: int) -> None:
    run = train(examples, group_size=2, steps=3, process=(0, process_count))
    index = np.concatenate([batch.index for batch in run])
    assert (index[::2] % 2 == 0).all() and (index[1::2] == index[::2] + 1).all()
    if process_count == 1:
        assert sorted(index) == list(range(NUM_PICTURES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9, "process": (0, 2)}, "batch_size 9: wanted a multiple"),
        ({"group_size": 16}, "batch_size 8: wanted a multiple"),
        ({"process": (2, 2)}, "process_index 2: wanted 0 to 1"),
        ({"batch_size": 10, "group_size": 5}, "24 examples, wanted a multiple of group_size 5"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(
    examples: Examples, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(examples, **changes)


def test_turned_pictures_are_filmed_upright(tmp_path: Path) -> None:
    upright = gradient(60, 100)
    with (tmp_path / "captions.jsonl").open("w") as lines:
        for turn in range(1, 9):
            # What a camera stores: the inverse of how the picture is shown.
            inverse = {6: 8, 8: 6}.get(turn, turn)
            exif = Image.Exif()
            exif[0x0112] = inverse
            buffer = io.BytesIO()
            Image.fromarray(upright).save(buffer, "JPEG", quality=95, exif=exif)
            with Image.open(buffer) as image:
                stored = ImageOps.exif_transpose(image)
            exif[0x0112] = turn
            stored.save(tmp_path / f"{turn}.jpg", quality=95, exif=exif)
            lines.write(json.dumps({"image": f"{turn}.jpg", "captions": ["x"]}) + "\n")
    examples = open_source(f"folder:{tmp_path}", str(tmp_path / "cache"))
    assert (examples.sizes == [60, 100]).all()
    assert examples.orientations.tolist() == list(range(1, 9))
    assert all(np.abs(p - upright.astype(int)).mean() < 2
               for p in batches.decode_pictures(examples, range(8)))  # fmt: skip
    turned = train(examples, steps=4)
    straight = dataclasses.replace(examples, fetch=lambda index: tf.io.read_file(
        str(tmp_path / "1.jpg"))[None], orientations=np.ones(8, np.uint8))  # fmt: skip
    for ours, theirs in zip(turned, train(straight, steps=4), strict=True):
        assert (ours.plan.boxes == theirs.plan.boxes).all()
        assert np.abs(ours.canvas.astype(int) - theirs.canvas).mean() < 2


def test_the_host_renders_the_clips_that_the_device_would(examples: Examples) -> None:
    on_host = dataclasses.replace(ANIMATION, render="host")
    for ours, theirs in zip(train(examples), train(examples, on_host), strict=True):
        assert isinstance(theirs, Footage)
        assert theirs.frames.shape == (BATCH, 4, 32, 32, 3)
        assert theirs.frames.dtype == np.uint8
        assert (theirs.index == ours.index).all()
        wanted = np.asarray(render(ours.canvas, ours.plan, 32)) * 255
        assert np.abs(theirs.frames - wanted).max() < 1.5


def test_clips_of_two_scenes(examples: Examples) -> None:
    two = dataclasses.replace(ANIMATION, scenes=Scenes(0.5))
    whole = train(examples, two, steps=3)
    parts = [train(examples, two, steps=3, process=(n, 2)) for n in range(2)]
    assert same(whole, joined(parts))
    assert all(batch.canvas.shape == (BATCH, 48, 48, 3) for batch in whole)
    # Captions of one picture have 4 words, joint ones 9 (with the comma).
    lengths = np.concatenate([(batch.tokens != 0).sum(axis=1) for batch in whole])
    assert 0.2 < (lengths > lengths.min() + 3).mean() < 0.8
