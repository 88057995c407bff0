"""Frames stand in a row, in order."""

import json

import numpy as np

from animclip_jax.animation.contact_sheet import GAP, strip
from animclip_jax.runs.samples import write_samples


def test_a_strip_holds_the_frames_in_order():
    frames = np.stack([np.full((4, 5, 3), value, np.uint8) for value in (10, 20, 30)])
    sheet = np.asarray(strip(frames))
    assert sheet.shape == (4, 3 * 5 + 2 * GAP, 3)
    assert sheet[0, :, 0].tolist() == [10] * 5 + [255] * GAP + [20] * 5 + [255] * GAP + [30] * 5


def test_samples(tmp_path):
    pictures = [np.zeros((30, 40, 3), np.uint8), np.zeros((400, 300, 3), np.uint8)]
    write_samples(tmp_path, pictures, np.zeros((2, 3, 8, 8, 3), np.uint8), ["a <b>", "c"])
    listing = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert [sample["caption"] for sample in listing] == ["a <b>", "c"]
    for sample in listing:
        for part in ("picture", "strip"):
            assert (tmp_path / "samples" / sample[part]).is_file()
