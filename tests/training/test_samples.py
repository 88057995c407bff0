"""The pictures that a run keeps of its first batch, with the captions that it trained on."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np

from animclip_jax.animation.batch import Footage
from animclip_jax.training import data
from input_pipeline import batches


def test_samples_show_the_captions_that_were_drawn(tmp_path, monkeypatch):
    """Not each example's first one; a clip that runs backwards has one of its own."""
    shown = np.zeros((3, 2, 8, 8, 3), np.uint8)
    index = np.array([1, -2, 0], np.int32)
    batch = Footage(shown, np.zeros((3, 4), np.int32), index, np.zeros((3, 7), np.float32))
    examples: Any = SimpleNamespace(captions=[["a", "b"], ["a boat", "a ship"]])
    config: Any = SimpleNamespace(model=SimpleNamespace(clip=SimpleNamespace(image_size=8)))
    monkeypatch.setattr(batches, "decode_pictures", lambda _, made_of: list(shown[made_of, 0]))
    spoken = ["a ship, panning left", "a ship, panning right", "b"]
    data.keep_samples(config, tmp_path, examples, batch, spoken)
    listing = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert [sample["caption"] for sample in listing] == spoken
