"""Tests of input_pipeline.filming.decoding."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from animclip_jax.animation.batch import Filmed
from animclip_jax.animation.config import AnimationConfig
from input_pipeline import batches
from input_pipeline.examples import BatchConfig
from input_pipeline.filming import decoding
from input_pipeline.media import picture
from input_pipeline.sources import opening
from tests.input_pipeline import transparent
from tests.input_pipeline.pictures import encode, gradient


def scene() -> np.ndarray:
    """Colours that change everywhere, 251 x 333: what a decoder rounds is seen."""
    small = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((333, 251), Image.Resampling.BICUBIC))


def stored(mode: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene()).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


JPEGS = {
    "full colour": stored("RGB", subsampling="4:4:4"), "grey": stored("L"),
    "colour at half the width": stored("RGB", subsampling="4:2:2"),
    "colour at half the size": stored("RGB", subsampling="4:2:0"),
    "progressive": stored("RGB", progressive=True), "coarse": stored("RGB", quality=40),
}  # fmt: skip


@pytest.mark.parametrize("behind", [b"", b"\n"])
@pytest.mark.parametrize("name", JPEGS)
def test_a_jpegs_pixels_are_those_that_pillow_reads(name: str, behind: bytes) -> None:
    encoded = JPEGS[name] + behind
    whole = picture.pixels(encoded)
    random = np.random.default_rng(1)
    regions = [(0, 0, 251, 333), (0, 0, 1, 1), (250, 332, 1, 1), (7, 0, 30, 333)]
    for _ in range(40):
        y, x = random.integers(0, (250, 332)).tolist()
        regions.append((y, x, *random.integers(1, (252 - y, 334 - x)).tolist()))
    for y, x, height, width in regions:
        region = tf.constant([y, x, height, width], tf.int32)
        made = decoding.decode_region(tf.constant(encoded), region, [251, 333]).numpy()
        np.testing.assert_array_equal(made, whole[y : y + height, x : x + width])


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["full colour", "colour at half the width", "colour at half the size"]
)
def test_a_jpegs_region_may_begin_and_end_anywhere(name: str) -> None:
    """Two blocks of 16 columns and what is beside them, and the picture's edges."""
    encoded, whole = tf.constant(JPEGS[name]), picture.pixels(JPEGS[name])
    decode = tf.function(decoding.decode_region)
    for number, x in enumerate((0, *range(30, 66))):
        y, height = ((100, 2), (101, 1), (0, 1), (249, 2))[number % 4]
        for end in {*range(max(x + 1, 46), 82), x + 1, x + 2, 332, 333}:
            region = tf.constant([y, x, height, end - x], tf.int32)
            made = decode(encoded, region, tf.constant([251, 333], tf.int32)).numpy()
            wanted = whole[y : y + height, x:end]
            np.testing.assert_array_equal(made, wanted, err_msg=f"{x} to {end}")


@pytest.mark.parametrize("read", ["drawn:train:1", "folder"])
def test_training_sees_the_pixels_that_evaluation_sees(tmp_path: Path, read: str) -> None:
    source = read
    if read == "folder":
        (tmp_path / "a.jpg").write_bytes(JPEGS["colour at half the size"])
        line = {"image": "a.jpg", "captions": ["a scene"]}
        (tmp_path / "captions.jsonl").write_text(json.dumps(line))
        source = f"folder:{tmp_path}"
    examples = opening.open_source(source, cache_dir=str(tmp_path / "cache"))
    config = BatchConfig(AnimationConfig(preset="repeat"), 1, seed=0, canvas_size=400)
    pipeline = batches.train_batches(examples, config, start_step=0)
    batch = next(iter(pipeline))
    assert isinstance(batch, Filmed)
    (encoded, *_) = examples.fetch(tf.constant(0, tf.int64)).numpy()
    pixels = picture.pixels(encoded)
    side = min(pixels.shape[:2])
    y, x = ((length - side) // 2 for length in pixels.shape[:2])
    middle = pixels[y : y + side, x : x + side]
    np.testing.assert_array_equal(batch.canvas[0, :side, :side], middle)


TRANSPARENT = transparent.pictures()


@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_transparent_shows_a_white_ground(name: str) -> None:
    encoded, wanted = TRANSPARENT[name]
    size = tf.constant(wanted.shape[:2])
    for y, x, height, width in ((0, 0, *wanted.shape[:2]), (3, 5, 17, 20), (23, 35, 1, 1)):
        region = tf.constant([y, x, height, width], tf.int32)
        made = decoding.decode_region(tf.constant(encoded), region, size).numpy()
        np.testing.assert_array_equal(made, wanted[y : y + height, x : x + width])


def test_training_and_evaluation_see_what_is_transparent_alike(tmp_path: Path) -> None:
    lines = []
    for number, (encoded, _) in enumerate(TRANSPARENT.values()):
        (tmp_path / f"{number}.png").write_bytes(encoded)
        lines.append(json.dumps({"image": f"{number}.png", "captions": ["a picture"]}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    examples = opening.open_source(f"folder:{tmp_path}", cache_dir=str(tmp_path / "cache"))
    total, size = len(TRANSPARENT), 24
    assert len(examples.ids) == total
    config = BatchConfig(AnimationConfig(preset="repeat"), total, seed=0, canvas_size=size)
    seen = next(batches.train_batches(examples, config, start_step=0))
    evaluated = next(iter(batches.eval_batches(
        examples, num_frames=1, image_size=size, batch_size=total
    )))  # fmt: skip
    assert isinstance(seen, Filmed)
    assert sorted(seen.index) == list(range(total)), "each once, none replaced"
    for canvas, index in zip(seen.canvas, seen.index, strict=True):
        encoded, wanted = list(TRANSPARENT.values())[index]
        left = (wanted.shape[1] - size) // 2
        np.testing.assert_array_equal(canvas, wanted[:, left : left + size])
        np.testing.assert_array_equal(evaluated.frames[index, 0], canvas)


def test_only_two_modules_decode_pictures_by_tensorflow() -> None:
    root = Path(decoding.__file__).parents[2]
    decoders = re.compile(r"\b(decode_(and_crop_)?(jpeg|image|png|gif|webp|bmp)|Decode[A-Z]\w+)\(")
    found = [
        path.name
        for package in ("input_pipeline", "animclip_jax")
        for path in (root / package).rglob("*.py")
        if decoders.search(path.read_text())
    ]
    assert sorted(found) == ["decoding.py", "gif.py"]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG"),
     ("RGBA", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGB", "GIF")],
)  # fmt: skip
def test_every_kind_of_picture_is_cropped_alike(mode: str, kind: str) -> None:
    encoded = encode(mode, kind, quality=95)
    with Image.open(io.BytesIO(encoded)) as image:
        wanted = np.asarray(image.convert("RGB"))[13:40, 21:61]
    region = tf.constant([13, 21, 27, 40], tf.int32)
    pixels = decoding.decode_region(tf.constant(encoded), region, [50, 70]).numpy()
    assert pixels.shape == (27, 40, 3)
    assert np.abs(pixels.astype(float) - wanted).mean() < 3


def test_a_jpeg_cut_short_is_refused_wherever_the_region_is() -> None:
    encoded = encode("RGB", "JPEG", gradient(400, 600), quality=95)
    region = tf.constant([0, 0, 8, 8], tf.int32)
    decoding.decode_region(tf.constant(encoded), region, [400, 600])
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoding.decode_region(tf.constant(encoded[:-300]), region, [400, 600])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_of_another_size_is_not_decoded(kind: str) -> None:
    encoded = tf.constant(encode("RGB", kind, gradient(40, 60), quality=95))
    region = tf.constant([0, 0, 8, 8], tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="another size than when"):
        decoding.decode_region(encoded, region, [40, 61])
