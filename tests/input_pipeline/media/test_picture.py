"""Pictures of every kind that people have, and what is broken or hostile."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from input_pipeline.filming.decoding import decode_region
from input_pipeline.media import picture
from tests.input_pipeline import transparent


def gradient(height: int = 50, width: int = 70) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 240 // width, y * 240 // height, y * 0 + 120], -1).astype(np.uint8)


def encode(mode: str, kind: str, pixels: np.ndarray | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient() if pixels is None else pixels).convert(mode).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def sixteen_bits() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient()[..., 0].astype(np.uint16) * 257).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 black pixels in 100 kB; decoded it is 1.2 GB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (20_000 // 8 + 1) * 20_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


GOOD = {
    "jpeg": encode("RGB", "JPEG", quality=95), "grey jpeg": encode("L", "JPEG", quality=95),
    "cmyk jpeg": encode("CMYK", "JPEG", quality=95),
    "progressive jpeg": encode("RGB", "JPEG", quality=95, progressive=True),
    "png": encode("RGB", "PNG"), "grey png": encode("L", "PNG"), "16-bit png": sixteen_bits(),
    "alpha png": encode("RGBA", "PNG"), "grey alpha png": encode("LA", "PNG"),
    "palette png": encode("P", "PNG"), "one-bit png": encode("1", "PNG"),
    "gif": encode("P", "GIF"), "webp": encode("RGB", "WEBP", quality=95),
    "alpha webp": encode("RGBA", "WEBP", lossless=True),
    "1 x 1": encode("RGB", "PNG", gradient()[:1, :1]),
    "1 x 1 jpeg": encode("L", "JPEG", gradient()[:1, :1]),
    "thin": encode("RGB", "JPEG", gradient(10, 1000), quality=95),
}  # fmt: skip


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


BROKEN = {
    "nothing": (b"", "cannot identify"), "text": (b"<html>no</html>", "cannot identify"),
    "jpeg start": (b"\xff\xd8\xff", "cannot identify"), "tiff": (encode("RGB", "TIFF"), "a TIFF"),
    "bmp": (encode("RGB", "BMP"), "a BMP picture, wanted JPEG"),
    "cut jpeg": (GOOD["jpeg"][:-400], "truncated"), "cut png": (GOOD["png"][:-60], "."),
    "cut gif": (GOOD["gif"][:-300], "."), "cut webp": (GOOD["webp"][:-60], "."),
    "head of a jpeg": (GOOD["jpeg"][:200], "."), "bomb": (bomb(), "pixels"),
    "strip": (encode("RGB", "PNG", gradient(2, 201)), "201 x 2 pixels, wanted no side over 100"),
    "wrong checksum": (GOOD["png"][:60] + b"????" + GOOD["png"][64:], "."),
    "a script": (encode("RGB", "EPS"), "EPS"),
}  # fmt: skip


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
