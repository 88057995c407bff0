"""Batches of an evaluation: every item once, in order, at evenly spaced times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from input_pipeline import batches
from input_pipeline.examples import Examples
from input_pipeline.sources.opening import open_source
from input_pipeline.store import records
from tests.input_pipeline.made_batches import NUM_PICTURES, videos
from tests.input_pipeline.shard_files import encoded


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


def gone(directory: Path, cache: Path) -> tuple[Examples, str]:
    """Three pictures in a folder, of which one is removed after it was opened, and its id."""
    for n in range(3):
        (directory / f"{n}.jpg").write_bytes(encoded(n))
    rows = [{"image": f"{n}.jpg", "caption": "x"} for n in range(3)]
    (directory / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    examples = open_source(f"folder:{directory}", str(cache))
    (directory / "1.jpg").unlink()
    return examples, "1.jpg"


def flipped(directory: Path, cache: Path) -> tuple[Examples, str]:
    """Three pictures in a store, one with a byte that is another, and its id."""
    store = directory / "store"
    with records.StoreWriter(store, "test") as writer:
        for n in range(3):
            writer.add(f"item {n}", [encoded(20 * n)], ["x"], 40, 30)
    data = bytearray((store / records.RECORDS).read_bytes())
    data[records.read_index(store)[1]["offset"] + 300] ^= 0xFF
    (store / records.RECORDS).write_bytes(data)
    return open_source(f"folder:{store}", str(cache)), "item 1"


@pytest.mark.parametrize("broken", [gone, flipped])
def test_evaluation_names_what_is_gone_or_damaged(tmp_path: Path, broken: Any) -> None:
    examples, culprit = broken(tmp_path, tmp_path / "cache")
    with pytest.raises(ValueError, match=f"'{culprit}' can't be used as a picture: ") as caught:
        list(batches.eval_batches(examples, num_frames=2, image_size=8, batch_size=2))
    assert "{{" not in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=f"'{culprit}' can't be used as a picture: "):
        batches.decode_pictures(examples, [0, 1])
