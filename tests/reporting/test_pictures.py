"""The pictures of a report: cut and made small; what is no picture, or another one, is named."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from animclip_jax.animation.contact_sheet import strip
from animclip_jax.reporting import pictures

ODD = io.BytesIO()
Image.effect_noise((30, 30), 90).save(ODD, "PNG")
# The same, whose header says that it has 60,000 x 60,000 pixels.
HEADER = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
HUGE = ODD.getvalue()[:12] + HEADER + struct.pack(">I", zlib.crc32(HEADER)) + ODD.getvalue()[33:]


def test_a_strip_is_cut_into_rows_in_reading_order(tmp_path):
    frames = np.stack([np.full((20, 20, 3), 20 * n, np.uint8) for n in range(8)])
    strip(frames).save(tmp_path / "strip.png")
    (wanted,) = [pictures.Wanted(tmp_path / "strip.png", 8, 20, 1.4)]
    picture = pictures.embed([wanted])[wanted]
    assert (picture.width, picture.height) == (4 * 22 - 2, 2 * 22 - 2)
    code = picture.uri.removeprefix("data:image/jpeg;base64,")
    (tmp_path / "back.jpg").write_bytes(base64.b64decode(code))
    back = np.asarray(Image.open(tmp_path / "back.jpg").convert("L"), int)
    centres = [back[10 + 22 * (n // 4), 10 + 22 * (n % 4)] for n in range(8)]
    assert np.abs(np.array(centres) - 20 * np.arange(8)).max() < 8


def test_how_many_frames_a_strip_has_is_read_and_not_guessed(tmp_path):
    """A picture as wide as three frames is one picture, unless the listing says otherwise."""
    Image.new("RGB", (3 * 20 + 2 * 2, 20)).save(tmp_path / "wide.png")
    wanted = pictures.Wanted(tmp_path / "wide.png")
    (picture,) = pictures.embed([wanted]).values()
    assert (picture.width, picture.height) == (64, 20)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty", b""),
        ("a page", b"<html></html>"),
        ("cut short", ODD.getvalue()[:200]),
        ("huge", HUGE),
    ],
)
def test_a_file_that_is_no_picture_is_named(tmp_path, name, data):
    path = tmp_path / "strip.png"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"^{path} is not a readable picture .*: evaluate the run"):
        pictures.embed([pictures.Wanted(path)])
    with pytest.raises(ValueError, match="gone.png is not a readable picture"):
        pictures.embed([pictures.Wanted(tmp_path / "gone.png")])


@pytest.mark.parametrize("claimed", [(9, 20), (7, 20), (-3, 20), (10**9, 20), (8, 0), (8, 19.5)])
def test_a_strip_of_other_frames_than_its_listing_says_is_named(tmp_path, claimed):
    strip(np.zeros((8, 20, 20, 3), np.uint8)).save(tmp_path / "strip.png")
    wanted = pictures.Wanted(tmp_path / "strip.png", claimed[0], claimed[1], 1.4)
    with pytest.raises(
        ValueError, match=f"strip.png .*wanted {claimed[0]:,} frames of {claimed[1]}"
    ):
        pictures.embed([wanted])


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "away.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "run" / "itself.png").symlink_to("itself.png")
    for name in ("../secret.png", "/etc/passwd", "away.png"):
        with pytest.raises(ValueError, match="wanted one in this folder"):
            pictures.inside(tmp_path / "run", name)
    itself = pictures.inside(tmp_path / "run", "itself.png")
    with pytest.raises(ValueError, match="itself.png is not a readable picture"):
        pictures.embed([pictures.Wanted(itself)])
