"""Tests of input_pipeline.batches."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from animclip_jax.animation.batch import Filmed, Footage
from animclip_jax.animation.components import Scenes
from animclip_jax.animation.config import PRESETS, AnimationConfig
from animclip_jax.animation.render import render
from input_pipeline import batches
from input_pipeline.director import direct, noise
from input_pipeline.examples import BatchConfig, Examples
from input_pipeline.sources.opening import open_source
from input_pipeline.store import records
from input_pipeline.tokenizers.clip import ClipTokenizer

ANIMATION = AnimationConfig(num_frames=4, image_size=32)
NUM_PICTURES, BATCH = 24, 8


def gradient(height: int, width: int) -> np.ndarray:
    """Red grows with x, green with y, from 0 to 240, so that a colour says where it is from."""
    red = np.broadcast_to((np.arange(width) + 0.5) * 240 / width, (height, width))
    green = np.broadcast_to(((np.arange(height) + 0.5) * 240 / height)[:, None], (height, width))
    return np.stack([red, green, np.full((height, width), 120.0)], -1).round().astype(np.uint8)


def write_picture(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path, quality=95)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    with (directory / "captions.jsonl").open("w") as lines:
        for n in range(NUM_PICTURES):
            name = f"{n}.{'png' if n % 5 == 4 else 'jpg'}"
            # Every eighth takes many times longer than those behind it.
            height, width = random.integers(40, 120, 2) if n % 8 else (1200, 1600)
            write_picture(directory / name, gradient(height, width))
            captions = [f"picture {n} caption {k}" for k in range(1 + n % 3)]
            lines.write(json.dumps({"image": name, "captions": captions}) + "\n")
    return directory


@pytest.fixture(scope="module")
def examples(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return open_source(f"folder:{directory}", str(tmp_path_factory.mktemp("cache")))


CONFIG = BatchConfig(
    ANIMATION, batch_size=BATCH, seed=1, canvas_size=48, context_length=16, vocab_size=1000
)


def train(
    examples: Examples,
    animation: AnimationConfig = ANIMATION,
    *,
    steps: int = 4,
    start_step: int = 0,
    process: tuple[int, int] = (0, 1),
    **changes: Any,
) -> list[Any]:
    """The batches of some steps, or a process's part of them: (which, of how many)."""
    config = dataclasses.replace(CONFIG, animation=animation, **changes)
    index, count = process
    made = batches.train_batches(
        examples, config, start_step=start_step, process_index=index, process_count=count
    )
    return list(itertools.islice(made, steps))


def same(ours: list[Filmed], theirs: list[Filmed]) -> bool:
    return len(ours) == len(theirs) and all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for x, y in zip(ours, theirs, strict=True)
        for a, b in zip(tf.nest.flatten(x), tf.nest.flatten(y), strict=True)
    )


def joined(parts: list[list[Filmed]]) -> list[Filmed]:
    """The batches of which each process made a part."""
    return [
        tf.nest.map_structure(lambda *rows: np.concatenate(rows), *pieces)
        for pieces in zip(*parts, strict=True)
    ]


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
    windows = 5 if preset in ("shots", "full") else 4
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


@pytest.fixture
def breakable(tmp_path: Path) -> Examples:
    """16 pictures, each of a brightness of its own, in files that a test may break."""
    with (tmp_path / "captions.jsonl").open("w") as lines:
        for n in range(16):
            write_picture(tmp_path / f"{n}.jpg", np.full((60, 80, 3), 15 * n, np.uint8))
            lines.write(json.dumps({"image": f"{n}.jpg", "captions": [f"picture {n}"]}) + "\n")
    return open_source(f"folder:{tmp_path}", str(tmp_path / "cache"))


def ruin(tmp_path: Path, index: int) -> None:
    path = tmp_path / f"{index}.jpg"
    path.write_bytes(path.read_bytes()[:-200])


def test_what_breaks_in_mid_run_is_quarantined_and_stood_in_for(
    tmp_path: Path, breakable: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = train(breakable, steps=4)
    order = np.concatenate([batch.index for batch in sound])
    gone, cut = order[11], (order[11] + 1) % 16
    (tmp_path / f"{gone}.jpg").unlink()
    ruin(tmp_path, cut)
    run = train(breakable, steps=4)
    # The next one stands in, past another that is broken; all else is as it was.
    stand_in = np.where((order == gone) | (order == cut), (order[11] + 2) % 16, order)
    assert np.concatenate([batch.index for batch in run]).tolist() == stand_in.tolist()
    tokenizer = ClipTokenizer(16, 1000)
    for batch, before in zip(run, sound, strict=True):
        for row, index in enumerate(batch.index):
            assert abs(float(batch.canvas[row][:8, :8].mean()) - 15 * index) < 3
            assert (batch.tokens[row] == tokenizer([f"picture {index}"])[0]).all()
            if before.index[row] == index:
                assert (batch.canvas[row] == before.canvas[row]).all()
    assert same(run[2:], train(breakable, start_step=2, steps=2))
    parts = [train(breakable, process=(n, 2)) for n in range(2)]
    assert same(run, joined(parts))

    assert breakable.quarantine is not None
    lines = [json.loads(line) for line in breakable.quarantine.read_text().splitlines()]
    assert {line["file"] for line in lines} == {f"{gone}.jpg", f"{cut}.jpg"}
    assert all("can't be decoded" in line["reason"] and line["count"] == 1 for line in lines)
    assert "others stand in" in capsys.readouterr().err


def test_a_run_where_half_is_broken_stops(tmp_path: Path, breakable: Examples) -> None:
    for index in np.concatenate([batch.index for batch in train(breakable, steps=1)])[:5]:
        ruin(tmp_path, index)
    with pytest.raises(ValueError, match="over half of a batch, 5 of 8: .*can't be decoded"):
        train(breakable, steps=2)
    for index in range(9):
        ruin(tmp_path, index)
    with pytest.raises(ValueError, match="over half of (a batch|the source), "):
        train(breakable, steps=9, batch_size=2)


def test_a_file_that_became_a_bomb_is_not_decoded(
    tmp_path: Path, breakable: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "3.jpg", "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    indices = np.concatenate([batch.index for batch in train(breakable, steps=4)])
    assert sorted(set(indices)) == [n for n in range(16) if n != 3]
    # Decoded it would be 1.2 GB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    assert "another size than when the source was opened" in capsys.readouterr().err


def test_other_errors_end_the_run(breakable: Examples) -> None:
    def unavailable(index: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file("nosuchscheme://x")[None]

    with pytest.raises(tf.errors.UnimplementedError):
        train(dataclasses.replace(breakable, fetch=unavailable), steps=1)


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


def encode(pixels: np.ndarray, mode: str, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, quality=95)
    return buffer.getvalue()


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


def videos(tmp_path: Path, lengths: list[int]) -> Examples:
    """A store of videos whose frame n is grey of level 10 x n."""
    with records.StoreWriter(tmp_path / "videos", "test") as writer:
        for number, length in enumerate(lengths):
            frames = [encode(np.full((40, 60, 3), 10 * n, np.uint8), "RGB", "JPEG")
                      for n in range(length)]  # fmt: skip
            writer.add(f"v{number}", frames, ["x"], 60, 40)
    index = records.read_index(tmp_path / "videos")
    offsets = tf.constant([line["offset"] for line in index], tf.int64)
    fetch = records.fetch_record(tmp_path / "videos")
    ids, captions = [line["id"] for line in index], [line["captions"] for line in index]
    sizes, upright = np.full((len(ids), 2), (40, 60), np.int32), np.ones(len(ids), np.uint8)
    return Examples(
        "videos", ids, captions, lambda n: fetch(offsets[n]), True, sizes, upright, quarantine=None
    )


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


def test_evaluation_takes_evenly_spaced_frames_once_and_in_order(tmp_path: Path) -> None:
    examples = videos(tmp_path, [16, 8, 4, 3, 1])
    made = list(batches.eval_batches(examples, num_frames=4, image_size=32, batch_size=2))
    assert [batch.index.tolist() for batch in made] == [[0, 1], [2, 3], [4, -1]]
    assert all(batch.index.dtype == np.int64 for batch in made)
    frames = np.concatenate([batch.frames for batch in made])
    assert frames.shape == (6, 4, 32, 32, 3) and frames.dtype == np.uint8
    levels = (frames.mean(axis=(2, 3, 4)) / 10).round().astype(int).tolist()
    assert levels == [[2, 6, 10, 14], [1, 3, 5, 7], [0, 1, 2, 3], [0, 1, 1, 2], [0] * 4, [0] * 4]
    assert not frames[-1].any()


def test_evaluation_takes_the_items_that_are_asked_for(tmp_path: Path) -> None:
    examples = videos(tmp_path, [16, 8, 4, 3, 1])
    few: dict[str, Any] = {"num_frames": 4, "image_size": 32, "batch_size": 2}
    whole = np.concatenate([batch.frames for batch in batches.eval_batches(examples, **few)])
    made = list(batches.eval_batches(examples, **few, items=[3, 0, 1]))
    assert [batch.index.tolist() for batch in made] == [[3, 0], [1, -1]]
    assert (np.concatenate([batch.frames for batch in made])[:3] == whole[[3, 0, 1]]).all()


def test_evaluation_of_pictures_repeats_them(examples: Examples, directory: Path) -> None:
    made = list(batches.eval_batches(examples, num_frames=3, image_size=32, batch_size=10))
    frames = np.concatenate([batch.frames for batch in made])
    index = np.concatenate([batch.index for batch in made])
    assert index.tolist() == [*range(NUM_PICTURES), *[-1] * 6]
    assert (frames == frames[:, :1]).all()
    centre = frames[:NUM_PICTURES, 0, 15:17, 15:17].mean(axis=(1, 2))
    assert np.abs(centre - 120).max() < 6


def test_evaluation_names_what_it_cannot_decode(tmp_path: Path) -> None:
    def fetch(index: tf.Tensor) -> tf.Tensor:
        return tf.constant([b"no picture"])

    sizes, upright = np.ones((1, 2), np.int32), np.ones(1, np.uint8)
    examples = Examples("bad", ["culprit"], [["x"]], fetch, False, sizes, upright, quarantine=None)
    with pytest.raises(ValueError, match="'culprit' can't be used"):
        list(batches.eval_batches(examples, num_frames=2, image_size=8, batch_size=2))
