"""Pictures are read alike everywhere, and what is broken has a reason."""

from __future__ import annotations

import io
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline.filming.decoding import decode_region
from input_pipeline.media import picture
from tests.input_pipeline import transparent
from tests.input_pipeline.pictures import BROKEN, GOOD, bomb, encode


@pytest.mark.parametrize("name", GOOD)
def test_what_people_have_is_read_as_training_reads_it(name: str) -> None:
    pixels = picture.pixels(GOOD[name])
    assert pixels.dtype == np.uint8
    whole = tf.constant([0, 0, *pixels.shape[:2]])
    theirs = decode_region(tf.constant(GOOD[name]), whole, whole[2:]).numpy()
    np.testing.assert_array_equal(pixels, theirs)
    for read in (picture.read_header, picture.check):
        header = read(io.BytesIO(GOOD[name]))
        assert header == (*theirs.shape[:2], 1)


TRANSPARENT = transparent.pictures()


@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_transparent_shows_a_white_ground(name: str) -> None:
    encoded, wanted = TRANSPARENT[name]
    np.testing.assert_array_equal(picture.pixels(encoded), wanted)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_has_a_reason(name: str) -> None:
    encoded, reason = BROKEN[name]
    for read in (lambda: picture.check(io.BytesIO(encoded)), lambda: picture.pixels(encoded)):
        with pytest.raises(ValueError, match=f"(can't be decoded|wanted).*|{reason}") as found:
            read()
        assert reason == "." or reason in str(found.value)
        assert "0x" not in str(found.value), "no address of memory, which differs each time"


def test_a_bomb_takes_neither_memory_nor_time() -> None:
    encoded = bomb()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    for read in (picture.read_header, picture.check):
        with pytest.raises(ValueError, match="pixels"):
            read(io.BytesIO(encoded))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    assert time.perf_counter() - began < 2


def test_the_limit_is_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 3_499)
    with pytest.raises(ValueError, match="^70 x 50 pixels, wanted 3499 at most$"):
        picture.read_header(io.BytesIO(GOOD["png"]))
    monkeypatch.setattr(picture, "MAX_PIXELS", 3_500)
    assert picture.read_header(io.BytesIO(GOOD["png"])).width == 70


@pytest.mark.parametrize("turn", range(10))
def test_turned_pictures_are_shown_upright(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    encoded = encode("RGB", "JPEG", quality=95, exif=exif)
    pixels = picture.pixels(encoded).astype(int)
    header = picture.check(io.BytesIO(encoded))
    assert header[:2] == pixels.shape[:2] == ((70, 50) if 5 <= turn <= 8 else (50, 70))
    assert header.orientation == (turn if 1 <= turn <= 8 else 1)
    # Where the stored picture's first pixel, dark in red and green, is shown.
    rows, columns = {2: (0, -1), 3: (-1, -1), 4: (-1, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}.get(
        turn, (0, 0)
    )
    assert pixels[rows, columns, :2].max() < 15


def test_a_file_on_disk_is_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(GOOD["png"])
    assert picture.check(tmp_path / "a.png") == (50, 70, 1)
