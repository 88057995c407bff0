"""The same JPEGs through our preprocessing and through each family's own.

    python -m tests.models.processors [FOLDER [--every N]] [--json FILE] [--golden]

Needs torch, torchvision, transformers, open_clip_torch and TensorFlow. Prints by how many grey
levels, of 255, pictures drawn here differ, and the JPEGs in FOLDER. With --golden it writes what
test_preprocessing.py compares with where none of that is installed.
"""

import argparse
import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from animclip_jax.models.towers import CLIP, PE_CORE, SIGLIP, Pixels
from animclip_jax.weights import hugging_face_config, open_clip_config
from input_pipeline.media import picture
from tests.weights import reference

GOLDEN = reference.GOLDEN / "pictures.npz"
SIDE, GOLDEN_SIDE = 224, 32
# (height, width): photos, odd sizes, long ones, and some smaller than SIDE. The margins that a crop
# leaves are even: docs/pixels.md says where transformers crops one pixel beside an odd one.
SIZES = ((375, 500), (500, 375), (600, 600), (150, 100), (1081, 1441), (97, 97), (480, 960))
GOLDEN_SIZES = ((83, 60), (41, 123), (27, 19))
BIG_VISION = dataclasses.replace(SIGLIP.pixels, antialias=False)
PACKAGES = ("torchvision", "transformers", "open_clip_torch", "tensorflow-cpu", "pillow", "numpy")


class Processor(NamedTuple):
    """Another library's preprocessing; `pixels`: what ours makes of its settings."""

    family: str
    name: str
    pixels: Pixels
    process: Callable[[bytes], np.ndarray]


def processors(side: int) -> Iterator[Processor]:
    """All of them; each from an encoded picture to float [side, side, 3], 0 to 255."""
    yield from _of_transformers(side)
    yield from _of_open_clip(side)
    yield Processor("SigLIP", "big_vision, exact JPEG", BIG_VISION, _big_vision(side, exact=True))


def others(side: int) -> Iterator[Processor]:
    """What differs by its design: how much that is."""
    yield Processor("SigLIP", "big_vision", BIG_VISION, _big_vision(side, exact=False))
    yield Processor("SigLIP", "big_vision", SIGLIP.pixels, _big_vision(side, exact=False))
    bicubic = next(one for one in _of_open_clip(side) if one.family == "SigLIP 2")
    yield bicubic._replace(pixels=SIGLIP.pixels)


def _of_transformers(side: int) -> Iterator[Processor]:
    import transformers

    square = {"height": side, "width": side}
    cropped = {"size": {"shortest_edge": side}, "crop_size": square}
    # What the published repositories' preprocessor_config.json say.
    for family, usual, kind, settings in (
        ("CLIP", CLIP.pixels, "CLIPImageProcessor", cropped | {"resample": 3}),
        ("SigLIP", SIGLIP.pixels, "SiglipImageProcessor", {"size": square, "resample": 3}),
        ("SigLIP 2", SIGLIP.pixels, "SiglipImageProcessor", {"size": square, "resample": 2}),
    ):
        for backend, suffix in (("Pillow", "Pil"), ("torchvision", "")):
            made = getattr(transformers, kind + suffix)(**settings)
            document = settings | {"image_mean": made.image_mean, "image_std": made.image_std}
            pixels = hugging_face_config.read_pixels(document, usual, kind)

            def process(jpeg: bytes, made: Any = made) -> np.ndarray:
                with Image.open(io.BytesIO(jpeg)) as image:
                    found = made(images=image, return_tensors="np")["pixel_values"][0]
                return _levels(found, made.image_mean, made.image_std)

            yield Processor(family, f"transformers, {backend}", pixels, process)


def _of_open_clip(side: int) -> Iterator[Processor]:
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    for family, usual, name, tag in (
        ("CLIP", CLIP.pixels, "ViT-B-32", "openai"),
        ("PE-Core", PE_CORE.pixels, "PE-Core-B-16", "meta"),
        ("SigLIP", SIGLIP.pixels, "ViT-B-16-SigLIP", "webli"),
        ("SigLIP 2", SIGLIP.pixels, "ViT-B-16-SigLIP2", "webli"),
    ):
        known = open_clip.get_pretrained_cfg(name, tag)
        section = {key: known[key] for key in ("mean", "std", "interpolation", "resize_mode")
                   if key in known}  # fmt: skip
        transform = image_transform_v2(PreprocessCfg(size=side, **section), is_train=False)
        pixels = open_clip_config.pixels_of(section, usual, name)

        def process(jpeg: bytes, transform: Any = transform, pixels: Pixels = pixels) -> np.ndarray:
            with Image.open(io.BytesIO(jpeg)) as image:
                return _levels(transform(image).numpy(), pixels.mean, pixels.std)

        yield Processor(family, "open_clip", pixels, process)


def _levels(normalised: np.ndarray, mean: Any, std: Any) -> np.ndarray:
    return (normalised.transpose(1, 2, 0) * np.array(std) + np.array(mean)) * 255


def _big_vision(side: int, exact: bool) -> Callable[[bytes], np.ndarray]:
    """`decode|resize(SIDE)` there: TensorFlow's resize, not anti-aliased, and the fraction cut.

    exact: not by TensorFlow's faster and coarser default of decoding a JPEG.
    """
    import tensorflow as tf

    def process(jpeg: bytes) -> np.ndarray:
        transform = "INTEGER_ACCURATE" if exact else ""
        decoded = tf.io.decode_jpeg(jpeg, channels=3, dct_method=transform)
        return tf.cast(tf.image.resize(decoded, (side, side)), tf.uint8).numpy().astype(float)

    return process


def ours(jpeg: bytes, side: int, pixels: Pixels) -> np.ndarray:
    """uint8 [side, side, 3]."""
    return picture.fit(picture.pixels(jpeg), side, *settings(pixels))


def settings(pixels: Pixels) -> tuple[str, str, bool]:
    """What `picture.fit` is told of a family."""
    return pixels.resize, pixels.interpolation, pixels.antialias


def compare(pictures: dict[str, list[bytes]]) -> list[dict[str, Any]]:
    """A row a processor: by kind of picture the mean difference, that of the worst, the largest."""
    rows = []
    for one in (*processors(SIDE), *others(SIDE)):
        row: dict[str, Any] = {
            "family": one.family,
            "processor": one.name,
            "ours": f"{one.pixels.resize}, {one.pixels.interpolation}"
            + ("" if one.pixels.antialias else ", not anti-aliased"),
        }
        for kind, jpegs in pictures.items():
            apart = [np.abs(ours(jpeg, SIDE, one.pixels) - one.process(jpeg)) for jpeg in jpegs]
            means = [x.mean() for x in apart]
            row[f"{kind}: mean"] = round(float(np.mean(means)), 3)
            row[f"{kind}: worst picture"] = round(float(max(means)), 3)
            row[f"{kind}: largest"] = round(float(max(x.max() for x in apart)), 1)
        rows.append(row)
    return rows


def write_golden() -> None:
    """The pictures as JPEG, and what each processor makes of them, rounded to levels."""
    arrays: dict[str, Any] = {}
    for height, width in GOLDEN_SIZES:
        jpeg = reference.picture(height, width, seed=height)
        arrays[json.dumps([f"{height}x{width}"])] = np.frombuffer(jpeg, np.uint8)
        for one in processors(GOLDEN_SIDE):
            found = np.round(one.process(jpeg)).astype(np.uint8)
            name = json.dumps([f"{height}x{width}", one.family, one.name, *settings(one.pixels)])
            arrays[name] = found
    np.savez_compressed(GOLDEN, **arrays)


def main(argv: list[str] | None = None) -> int:
    """Prints the table, or writes the golden file."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="of real JPEGs, looked for below it")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    parser.add_argument("--every", type=int, default=1, help="take one of so many real ones")
    parser.add_argument("--golden", action="store_true", help="write the golden file instead")
    options = parser.parse_args(argv)
    if options.golden:
        write_golden()
        return 0
    pictures = {"drawn": [reference.picture(*size, seed=size[0]) for size in SIZES]}
    if options.folder:
        real = sorted(options.folder.rglob("*.jpg"))[:: options.every]
        pictures["real"] = [path.read_bytes() for path in real]
    print({name: metadata.version(name) for name in PACKAGES})
    print({kind: len(jpegs) for kind, jpegs in pictures.items()}, end="\n\n")
    rows = compare(pictures)
    print("| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
