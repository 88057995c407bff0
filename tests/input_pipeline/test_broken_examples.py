"""Training where pictures break: they are quarantined, others stand in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline.examples import Examples
from input_pipeline.sources.opening import open_source
from input_pipeline.tokenizers.clip import ClipTokenizer
from tests import memory
from tests.input_pipeline.made_batches import joined, same, train, write_picture


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
    with memory.rising_less(300_000):  # Decoded it would be 1.2 GB.
        indices = np.concatenate([batch.index for batch in train(breakable, steps=4)])
    assert sorted(set(indices)) == [n for n in range(16) if n != 3]
    assert "another size than when the source was opened" in capsys.readouterr().err


def test_other_errors_end_the_run(breakable: Examples) -> None:
    def unavailable(index: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file("nosuchscheme://x")[None]

    with pytest.raises(tf.errors.UnimplementedError):
        train(dataclasses.replace(breakable, fetch=unavailable), steps=1)
