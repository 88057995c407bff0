"""Tests of `animclip animate`."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animclip_jax import animate_photo
from animclip_jax.animation.config import COMPONENTS, PRESETS, AnimationConfig, alone
from animclip_jax.animation.contact_sheet import LABEL
from animclip_jax.animation.render import render_frames
from input_pipeline.filming.canvas import film_pictures
from input_pipeline.media.picture import read
from input_pipeline.media.video import read_frames

SMALL = ["--num-frames", "5", "--image-size", "32"]


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
    assert animate_photo.main([str(photo), "--out", str(out), *SMALL]) == 0
    assert read_frames(out, 5).shape == (5, 32, 32, 3)


@pytest.mark.parametrize(
    ("preset", "said"), [("full", "5 frames,"), ("repeat", "1 of 5 frames, equal ones held,")]
)
def test_the_frames_that_a_gif_has_are_counted(
    photo: Path, tmp_path: Path, preset: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clip.gif"
    assert animate_photo.main([str(photo), "--out", str(out), "--preset", preset, *SMALL]) == 0
    with Image.open(out) as image:
        assert f"{out}: {said}" in capsys.readouterr().out
        assert said.startswith(f"{getattr(image, 'n_frames', 1)} ")


def test_contact_sheet(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    arguments = [str(photo), "--out", str(out), "--num-frames", "8", "--image-size", "32"]
    assert animate_photo.main([*arguments, "--preset", "repeat"]) == 0
    with Image.open(out) as image:
        sheet = np.asarray(image)
    assert sheet.shape == (2 * 34 - 2, 6 * 34 - 2, 3)
    first, last = sheet[:32, :32], sheet[34:, 34:66]
    assert (first == last).all() and first.any()
    assert (sheet[34:, 66:] == 255).all() and (sheet[:, 32:34] == 255).all()
    assert not list(tmp_path.glob(".*"))


def test_a_clip_is_shown_backwards_with_what_a_caption_may_say_of_both(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    arguments = [str(photo), "--out", str(out), "--told", *SMALL]
    assert animate_photo.main([*arguments, "--component", "pan"]) == 0
    said = re.findall(r"pan: the \w+ \w+ [\w ]*(left|right)", capsys.readouterr().out)
    assert sorted(said) == ["left", "right"]
    with Image.open(out) as image:
        sheet = np.asarray(image).astype(int)
    row = LABEL + 32
    assert sheet.shape == (2 * row + 2, 5 * 34 - 2, 3)
    first, last = sheet[LABEL:row, :32], sheet[row + 2 + LABEL :, -32:]
    assert (first == last).all() and (first != sheet[LABEL:row, -32:]).any()


def test_clips_of_which_a_caption_says_nothing_are_shown_once(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(photo), "--out", str(tmp_path / "clip.gif"), "--told", *SMALL]
    assert animate_photo.main([*arguments, "--preset", "still"]) == 0
    assert "still: no motion that a caption names, seed 0" in capsys.readouterr().out
    assert read_frames(tmp_path / "clip.gif", 5).shape == (5, 32, 32, 3)


def film(picture: np.ndarray, config: AnimationConfig, seed: int = 0) -> np.ndarray:
    filmed = film_pictures([picture], config, seed, 2 * config.image_size)
    return render_frames(filmed.canvas, filmed.plan, config.image_size)


def test_repeat_shows_the_largest_centred_square(photo: Path) -> None:
    picture = read(photo)
    frames = film(picture, AnimationConfig("repeat", 3, 60))
    assert frames.shape == (3, 60, 60, 3) and frames.dtype == np.uint8
    difference = frames.astype(int) - picture[None, :, 15:75]
    assert np.abs(difference).max() <= 4


def test_another_seed_films_another_clip(photo: Path) -> None:
    picture, config = read(photo), AnimationConfig("full", 3, 32)
    once, again = (film(picture, config, 1) for _ in range(2))
    assert (once == again).all()
    assert (once != film(picture, config, 2)).any()


def test_the_command_films_another_take_for_another_seed(photo: Path, tmp_path: Path) -> None:
    made = []
    for number, seed in enumerate((1, 1, 2)):
        out = tmp_path / f"{number}.png"
        assert animate_photo.main([str(photo), "--out", str(out), f"--seed={seed}", *SMALL]) == 0
        made.append(out.read_bytes())
    assert made[0] == made[1] != made[2]


def test_the_command_shows_so_many_frames_a_second(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.gif"
    assert animate_photo.main([str(photo), "--out", str(out), "--fps=5", *SMALL]) == 0
    with Image.open(out) as image:
        assert image.info["duration"] == 200  # milliseconds


@pytest.mark.parametrize("name", COMPONENTS)
def test_one_component_alone(photo: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "sheet.jpg"
    photos = [str(photo)] * (2 if name == "scenes" else 1)
    assert animate_photo.main([*photos, "--out", str(out), "--component", name, *SMALL]) == 0
    with Image.open(out) as image:
        assert image.size == (5 * 34 - 2, 32)


@pytest.mark.parametrize("kind", ["presets", "components"])
def test_grids(photo: Path, tmp_path: Path, kind: str) -> None:
    count = len(PRESETS) if kind == "presets" else len(COMPONENTS) - 1  # scenes need two photos
    sheet, clip = tmp_path / "sheet.png", tmp_path / "clip.gif"
    for out in (sheet, clip):
        assert animate_photo.main([str(photo), "--out", str(out), "--grid", kind, *SMALL]) == 0
    with Image.open(sheet) as image:
        assert image.size == (5 * 34 - 2, count * (32 + LABEL + 2) - 2)
    frames = read_frames(clip, 5)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    assert frames.shape == (5, rows * (32 + LABEL + 2) - 2, columns * 34 - 2, 3)


def test_the_path_is_drawn_on_the_photo(photo: Path, tmp_path: Path) -> None:
    sheet, clip = tmp_path / "sheet.png", tmp_path / "clip.gif"
    for out in (sheet, clip):
        assert animate_photo.main([str(photo), "--out", str(out), "--show-path", *SMALL]) == 0
    with Image.open(sheet) as image:
        assert image.size == (5 * 34 - 2, 64 + 2 + 32)
    assert read_frames(clip, 5).shape == (5, 32, 48 + 32, 3)


def test_two_photos_are_two_scenes(tmp_path: Path) -> None:
    red, blue = tmp_path / "red.png", tmp_path / "blue.png"
    Image.new("RGB", (90, 40), (200, 0, 0)).save(red)
    Image.new("RGB", (30, 80), (0, 0, 200)).save(blue)
    photos = [read(path) for path in (red, blue)]
    filmed = film_pictures(photos, alone("scenes", 8, 32), 3, 64)
    frames = render_frames(filmed.canvas, filmed.plan, 32).astype(int)
    seen = filmed.picture[:8]
    assert seen[0] == 0 and seen[-1] == 1
    # No frame holds a trace of the other picture.
    for frame, number in zip(frames, seen, strict=True):
        assert (frame == ([0, 0, 200] if number else [200, 0, 0])).all()
    out = tmp_path / "sheet.png"
    assert animate_photo.main([str(red), str(blue), "--out", str(out), "--show-path", *SMALL]) == 0


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (["--preset=camera"], "--preset camera: has no scenes"),
        (["--component=slide"], "--component slide: has no scenes"),
        (["--preset=full", "--num-frames=1"], "--preset full: this clip has one scene"),
    ],
)
def test_a_second_photo_that_no_clip_shows_is_said(
    photo: Path, tmp_path: Path, choice: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (30, 80), (0, 0, 200)).save(other)
    arguments = [str(photo), str(other), "--out", str(tmp_path / "clip.gif"), *SMALL, *choice]
    assert animate_photo.main(arguments) == 1
    found = capsys.readouterr().err
    assert found.startswith(f"animclip animate: {said}, so {other} is not shown; wanted ")
    assert "--component scenes" in found and found.count("\n") == 1
    assert not (tmp_path / "clip.gif").exists()


def test_a_clip_of_two_photos_that_films_a_thing_is_not_made_of_one(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(photo)] * 2 + ["--out", str(tmp_path / "clip.gif"), "--preset=things", *SMALL]
    done = [animate_photo.main([*arguments, f"--seed={seed}"]) for seed in range(6)]
    said = capsys.readouterr().err
    assert set(done) == {0, 1} and said.count("\n") == sum(done)
    assert said.count("--preset things: this clip has one scene") == sum(done)


@pytest.mark.parametrize("size", [(64, 256), (256, 64), (64, 64), (1, 1)])
def test_photos_of_any_shape(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for preset in PRESETS:
        assert film(picture, AnimationConfig(preset, 3, 16)).shape == (3, 16, 16, 3)


def test_photos_are_turned_and_of_any_mode(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert read(tmp_path / "turned.jpg").shape == (40, 20, 3)
    for mode, suffix in (("L", "png"), ("RGBA", "webp"), ("CMYK", "jpg"), ("P", "gif")):
        path = tmp_path / f"{mode}.{suffix}"
        picture.convert(mode).save(path)
        assert read(path).shape == (20, 40, 3)


def test_what_is_wrong_is_said(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    clip = str(tmp_path / "clip.gif")
    cases = [
        ([str(tmp_path / "gone.jpg"), "--out", clip], "gone.jpg: no such file"),
        ([str(tmp_path / "text.jpg"), "--out", clip], "text.jpg: can't be decoded"),
        ([str(photo), "--out", "clip.avi"], "can't write '.avi', wanted .gif, .mp4, .png"),
        ([str(photo), "--out", clip, "--component", "scenes"], "found one photo, wanted two"),
        ([str(photo)] * 3 + ["--out", clip], "found 3 photos, wanted one, or two"),
        ([str(photo), "--out", clip, "--num-frames", "0"], "animation.num_frames: found 0"),
        ([str(photo), "--out", clip, "--fps", "0", *SMALL], "0.0 frames a second"),
        ([str(photo), "--out", clip, "--fps", "60", *SMALL], "60 frames a second, wanted 0.01 to"),
    ]
    for arguments, message in cases:
        assert animate_photo.main(arguments) == 1
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "text.jpg"]


def test_folders_above_the_clip_are_made(photo: Path, tmp_path: Path) -> None:
    for name in ("clip.gif", "sheet.png"):
        out = tmp_path / "new" / name.split(".")[0] / name
        assert animate_photo.main([str(photo), "--out", str(out), "--num-frames=2", *SMALL]) == 0
        assert out.is_file()
