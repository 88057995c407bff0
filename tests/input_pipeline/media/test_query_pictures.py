"""Pictures to search with: upright, bounded, of known formats."""

import io

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from input_pipeline.media import picture
from tests.input_pipeline import transparent


def read_picture(data: bytes) -> np.ndarray:
    return picture.pixels(data, picture.QUERY)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


STRIPS = {size: encoded(Image.new("L", size), "PNG") for size in [(101, 1), (1, 101), (300_000, 1)]}


@pytest.mark.parametrize("kind", picture.QUERY.formats)
def test_known_formats_are_read(kind):
    pixels = read_picture(encoded(Image.new("RGB", (40, 30), (200, 30, 30)), kind))
    assert pixels.shape == (30, 40, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - [200, 30, 30]).max() < 8


def test_what_a_phone_turned_is_turned_back():
    image = Image.new("RGB", (40, 30))
    exif = image.getexif()
    exif[0x0112] = 6
    assert read_picture(encoded(image, "JPEG", exif=exif)).shape == (40, 30, 3)


def test_transparent_and_grey_ones_are_read():
    for mode in ("RGBA", "L", "P", "LA"):
        assert read_picture(encoded(Image.new(mode, (5, 4)), "PNG")).shape == (4, 5, 3)


TRANSPARENT = transparent.pictures()


@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_transparent_shows_a_white_ground(name):
    data, wanted = TRANSPARENT[name]
    np.testing.assert_array_equal(read_picture(data), wanted)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff\xe0broken",
        encoded(Image.new("RGB", (99, 99), "red"), "PNG")[:120],
        encoded(Image.new("RGB", (9, 9)), "TIFF"),
    ],
)
def test_others_are_refused(data):
    with pytest.raises(ValueError, match="^can't be decoded: ") as found:
        read_picture(data)
    assert "0x" not in str(found.value), "no address of memory"


def test_no_code_of_another_format_sees_the_bytes(monkeypatch):
    """A TIFF is not opened to name it, as of a source."""
    data = encoded(Image.new("RGB", (9, 9)), "TIFF")
    opened = []
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "_open", lambda image: opened.append(image))
    with pytest.raises(ValueError, match="cannot identify it as a picture, wanted JPEG, MPO, PNG"):
        read_picture(data)
    assert not opened


def test_a_huge_one_is_refused_before_it_is_decoded():
    small = picture.QUERY._replace(max_pixels=99)
    with pytest.raises(ValueError, match="10 x 10 pixels, wanted 99 at most"):
        picture.pixels(encoded(Image.new("RGB", (10, 10)), "PNG"), small)
    most = picture.QUERY.max_pixels
    with pytest.raises(ValueError, match=f"5001 x 10000 pixels, wanted {most} at most"):
        read_picture(encoded(Image.new("1", (5001, 10_000)), "PNG"))


@pytest.mark.parametrize("size", STRIPS)
def test_a_strip_is_refused(size):
    with pytest.raises(ValueError, match="no side over 100 times the other"):
        read_picture(STRIPS[size])


def test_a_panorama_is_read():
    assert read_picture(encoded(Image.new("L", (1000, 10)), "PNG")).shape == (10, 1000, 3)
