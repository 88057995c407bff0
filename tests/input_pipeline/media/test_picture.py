"""Pictures are read alike everywhere, and what is broken has a reason."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline.filming.decoding import decode_region
from input_pipeline.media import picture
from tests import memory
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
    began = time.process_time()
    for read in (picture.read_header, picture.check):
        with memory.rising_less(50_000), pytest.raises(ValueError, match="pixels"):
            read(io.BytesIO(encoded))
    assert time.process_time() - began < 2


def test_the_limit_is_in_pixels() -> None:
    limits = picture.SOURCE._replace(max_pixels=3_499)
    with pytest.raises(ValueError, match="^70 x 50 pixels, wanted 3499 at most$"):
        picture.read_header(io.BytesIO(GOOD["png"]), limits)
    limits = limits._replace(max_pixels=3_500)
    assert picture.read_header(io.BytesIO(GOOD["png"]), limits).width == 70


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


@pytest.mark.parametrize(
    ("size", "kept"), [((60, 100), (0, 20, 60, 80)), ((100, 60), (20, 0, 80, 60))]
)
def test_fit_takes_the_centre(size: tuple[int, int], kept: tuple[int, int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    y0, x0, y1, x1 = kept
    assert (picture.fit(pixels, 60) == pixels[y0:y1, x0:x1]).all()


def test_fit_is_a_bicubic_resize_of_the_short_side() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (75, 102, 3), np.uint8)
    # int(32 x 102 / 75 = 43.5) = 43 columns, of which (43 - 32) / 2 = 5.5, to even 6, are left out.
    resized = Image.fromarray(pixels).resize((43, 32), Image.Resampling.BICUBIC)
    fitted = picture.fit(pixels, 32)
    assert fitted.shape == (32, 32, 3) and fitted.dtype == np.uint8
    assert (fitted == np.asarray(resized)[:, 6:38]).all()


@pytest.mark.parametrize(
    "shape", [(75, 102), (102, 75), (360, 640), (1, 1), (1, 5), (3, 200), (700, 40), (61, 60)]
)
@pytest.mark.parametrize("size", [32, 224])
def test_fit_gives_what_resizing_the_whole_picture_gives(shape: tuple[int, int], size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    height, width = (int(size * side / min(shape)) for side in shape)
    across = Image.fromarray(pixels).resize((width, shape[0]), Image.Resampling.BICUBIC)
    whole = across.resize((width, height), Image.Resampling.BICUBIC)
    top, left = round((height - size) / 2), round((width - size) / 2)
    wanted = np.asarray(whole)[top : top + size, left : left + size].astype(int)
    difference = np.abs(picture.fit(pixels, size) - wanted)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.002


def test_a_long_thin_picture_takes_no_memory() -> None:
    strip = np.arange(300_000, dtype=np.uint32).astype(np.uint8)[:, None].repeat(3, axis=1)
    for pixels in (strip[None], strip[:, None]):
        with memory.rising_less(20_000):
            fitted = picture.fit(pixels, 336)
        assert fitted.shape == (336, 336, 3)
        assert abs(int(fitted[168, 168, 0]) - int(strip[150_000, 0])) < 128
