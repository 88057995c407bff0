"""Tests of animclip_jax.animate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animclip_jax import animate
from animclip_jax.animation.config import AnimationConfig
from input_pipeline.video import read_frames

SMALL = ["--num_frames", "5", "--image_size", "32"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """90 x 60 pixels, red growing with x and green with y."""
    red = np.broadcast_to(np.linspace(0, 255, 90), (60, 90))
    green = np.broadcast_to(np.linspace(0, 255, 60)[:, None], (60, 90))
    pixels = np.stack([red, green, np.zeros((60, 90))], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("suffix", [".gif", ".mp4", ".GIF"])
def test_clips(photo: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"clip{suffix}"
    assert animate.main([str(photo), "--out", str(out), *SMALL]) == 0
    assert read_frames(out, 5).shape == (5, 32, 32, 3)


def test_contact_sheet(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    arguments = [str(photo), "--out", str(out), "--num_frames", "8", "--image_size", "32"]
    assert animate.main([*arguments, "--preset", "repeat"]) == 0
    with Image.open(out) as image:
        sheet = np.asarray(image)
    assert sheet.shape == (2 * 36 + 4, 6 * 36 + 4, 3)
    first, last = sheet[4:36, 4:36], sheet[40:72, 40:72]
    assert (first == last).all() and first.any()
    assert (sheet[40:, 76:] == 255).all() and (sheet[:4] == 255).all()
    assert not list(tmp_path.glob(".*"))


def test_repeat_shows_the_largest_centred_square(photo: Path) -> None:
    picture = animate.read_photo(photo)
    frames = animate.animate(picture, AnimationConfig("repeat", 3, 60), 0)
    assert frames.shape == (3, 60, 60, 3) and frames.dtype == np.uint8
    difference = frames.astype(int) - picture[None, :, 15:75]
    assert np.abs(difference).max() <= 4


def test_another_seed_films_another_clip(photo: Path) -> None:
    picture, config = animate.read_photo(photo), AnimationConfig("full", 3, 32)
    once, again = (animate.animate(picture, config, 1) for _ in range(2))
    assert (once == again).all()
    assert (once != animate.animate(picture, config, 2)).any()


def test_photos_are_turned_and_of_any_mode(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert animate.read_photo(tmp_path / "turned.jpg").shape == (40, 20, 3)
    for mode, suffix in (("L", "png"), ("RGBA", "webp"), ("CMYK", "jpg"), ("P", "gif")):
        path = tmp_path / f"{mode}.{suffix}"
        picture.convert(mode).save(path)
        assert animate.read_photo(path).shape == (20, 40, 3)


def test_what_is_wrong_is_said(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    clip = str(tmp_path / "clip.gif")
    cases = [
        ([str(tmp_path / "gone.jpg"), "--out", clip], "gone.jpg: no such file"),
        ([str(tmp_path / "text.jpg"), "--out", clip], "text.jpg: can't be read as a picture"),
        ([str(photo), "--out", "clip.avi"], "can't write '.avi', wanted .gif, .mp4, .png"),
        ([str(photo), "--out", str(tmp_path / "no" / "clip.gif")], "there is no directory"),
        ([str(photo), "--out", clip, "--num_frames", "0"], "animation.num_frames: found 0"),
        ([str(photo), "--out", clip, "--fps", "0", *SMALL], "0.0 frames a second"),
    ]
    for arguments, message in cases:
        assert animate.main(arguments) == 1
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "text.jpg"]
