"""What a run holds of a source of many pairs, and that its order is that of earlier versions."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from animclip_jax import files
from animclip_jax.training import data
from benchmarks.many_pairs import memory
from input_pipeline import batches
from input_pipeline.columns import ops
from input_pipeline.columns.texts import Captions
from input_pipeline.sources.opening import open_source
from input_pipeline.sources.stand_ins import StandIns
from input_pipeline.store import records
from input_pipeline.tokenizers.opening import open_tokenizer
from tests.input_pipeline import pictures
from tests.input_pipeline.made_batches import CONFIG

PAIRS = 100_000
# Lists of Python strings took 300 bytes, and their copy in TensorFlow a hundred more.
MOST_BYTES_A_PAIR = 40
STRIDE = 100
CAPTION = "a picture of one thing, of which this is {:09d}"


def write_index(directory: Path, pairs: int) -> None:
    """A store of so many items as its files look, of whose records only the last has a length."""
    directory.mkdir()
    with (directory / records.RECORDS).open("wb") as file:
        file.seek((pairs - 1) * STRIDE)
        file.write(struct.pack("<Q", 10) + bytes(18))
    with (directory / records.INDEX).open("w") as index:
        for n in range(pairs):
            index.write(
                f'{{"id": "{n}", "captions": ["{CAPTION.format(n)}"], '
                f'"offset": {n * STRIDE}, "num_frames": 1, "width": 40, "height": 30}}\n'
            )
    summary = {"version": records.VERSION, "source": "test", "num_items": pairs}
    files.write_json(directory / records.SUMMARY, summary)


@pytest.mark.long
def test_a_process_holds_few_bytes_of_a_pair(tmp_path: Path) -> None:
    write_index(tmp_path / "few", 64)
    write_index(tmp_path / "many", PAIRS)
    held, opened = [], []
    for name, last in (("few", 63), ("many", PAIRS - 1), ("many", PAIRS - 1)):
        gc.collect()
        before = memory()["anonymous_bytes"]
        examples = open_source(f"folder:{tmp_path / name}", str(tmp_path / "cache"))
        opened.append(examples)  # What was freed would hide what is taken next.
        take = ops.texts(Captions.of(examples.captions).texts)
        (found,) = take(tf.constant([last], tf.int64)).numpy()
        assert found.decode() == examples.captions[-1][0] == CAPTION.format(last)
        gc.collect()
        held.append((memory()["anonymous_bytes"] - before) / PAIRS)
    # The first time Python and TensorFlow take what they keep, and many pairs become columns.
    assert held[-1] < MOST_BYTES_A_PAIR, held


def test_the_order_is_that_of_earlier_versions(tmp_path: Path) -> None:
    """So that a newer version goes on with a run where it was stopped. Values of version 0.1."""
    frame = pictures.encode("RGB", "JPEG", np.full((30, 40, 3), 90, np.uint8), quality=95)
    with records.StoreWriter(tmp_path / "store", "test") as writer:
        for n in range(50):
            captions = [f"caption {k} of ä picture {n}" for k in range(1 + n % 3)]
            fields = {"box": [0.1, 0.2, 0.5, 1.0]} if n % 7 == 3 else None
            writer.add(f"p{n}", [frame], captions, 40, 30, fields)
    examples = open_source(f"folder:{tmp_path / 'store'}", str(tmp_path / "cache"))
    assert data.digest(examples)[:16] == "e3695f5cacf9296d"
    config = dataclasses.replace(CONFIG, seed=5, batch_size=10, group_size=2)
    plan = batches._plan(batches._Part(examples, config, range(10)), StandIns(examples, 2).table)
    made = [*tf.data.Dataset.range(5, 7).map(plan).as_numpy_iterator()]
    assert [clips["index"].reshape(-1).tolist() for clips in made] == ORDER
    tokenizer = open_tokenizer(*config.reading)
    spoken = [caption.decode() for clips in made for caption in clips["caption"]]
    assert hashlib.sha256(tokenizer(spoken).astype("<i4").tobytes()).hexdigest()[:16] == TOKENS


ORDER = [[42, 43, 34, 35, 22, 23, 28, 29, 24, 25], [8, 9, 18, 19, 20, 21, 4, 5, 12, 13]]
TOKENS = "a10b3cbd981c5793"
