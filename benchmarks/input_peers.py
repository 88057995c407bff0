"""How others make a clip of a picture: decode it, then cut and resize each frame."""

import importlib.util
import io
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image

# What each way needs, by the name it is imported by.
NEEDS = {
    "OpenCV warpAffine": "cv2",
    "OpenCV INTER_AREA": "cv2",
    "PIL resize": "PIL",
    "kornia warp_affine": "kornia",
    "albumentations": "albumentations",
    "tf crop_and_resize": "tensorflow",
}
ANTI_ALIASED = ("OpenCV INTER_AREA", "PIL resize")


def missing() -> list[str]:
    """The ways that can't be measured here, with what they need."""
    return [f"{name} ({needs})" for name, needs in NEEDS.items() if not _there(needs)]


def sample_photo(name: str) -> Image.Image:
    """One of scikit-image's sample photos, RGB."""
    import skimage.data

    folder = os.path.dirname(skimage.data.__file__)
    (path,) = (f"{folder}/{name}{end}" for end in (".png", ".jpg")
               if os.path.exists(f"{folder}/{name}{end}"))  # fmt: skip
    with Image.open(path) as image:
        return image.convert("RGB")


def peers(num_frames: int, size: int) -> dict[str, Callable[[bytes], object]]:
    """The ways that can be measured here, each from an encoded picture to its clip."""
    ways = {
        "OpenCV warpAffine": lambda encoded: _opencv_warp(encoded, num_frames, size),
        "OpenCV INTER_AREA": lambda encoded: _opencv_area(encoded, num_frames, size),
        "PIL resize": lambda encoded: _pil(encoded, num_frames, size),
        "kornia warp_affine": lambda encoded: _kornia(encoded, num_frames, size),
        "albumentations": lambda encoded: _albumentations(encoded, num_frames, size),
        "tf crop_and_resize": lambda encoded: _tensorflow(encoded, num_frames, size),
    }
    return {name: way for name, way in ways.items() if _there(NEEDS[name])}


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _windows(shape: tuple[int, ...], num_frames: int) -> list[tuple[float, float, float]]:
    """(y, x, side) of a slow zoom with a pan, from 0.95 to 0.65 of the short side."""
    height, width = shape[:2]
    short = min(height, width)
    shares = np.linspace(0, 1, num_frames)
    return [
        ((height - side) / 2, share * (width - side), side)
        for share in shares
        for side in [short * (0.95 - 0.3 * share)]
    ]


def _opencv(encoded: bytes) -> np.ndarray:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels


def _opencv_warp(encoded: bytes, num_frames: int, size: int) -> object:
    import cv2

    picture = _opencv(encoded)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return [
        cv2.warpAffine(
            picture,
            np.array([[side / size, 0, x], [0, side / size, y]], np.float32),
            (size, size),
            flags=flags,
        )
        for y, x, side in _windows(picture.shape, num_frames)
    ]


def _opencv_area(encoded: bytes, num_frames: int, size: int) -> object:
    import cv2

    picture = _opencv(encoded)
    return [
        cv2.resize(
            picture[round(y) : round(y + side), round(x) : round(x + side)],
            (size, size),
            interpolation=cv2.INTER_AREA,
        )
        for y, x, side in _windows(picture.shape, num_frames)
    ]


def _pil(encoded: bytes, num_frames: int, size: int) -> object:
    with Image.open(io.BytesIO(encoded)) as image:
        picture = image.convert("RGB")
    return [
        picture.resize((size, size), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
        for y, x, side in _windows((picture.height, picture.width), num_frames)
    ]


def _kornia(encoded: bytes, num_frames: int, size: int) -> object:
    import kornia
    import torch

    with Image.open(io.BytesIO(encoded)) as image:
        pixels = np.asarray(image.convert("RGB"))
    windows = _windows(pixels.shape, num_frames)
    matrices = [[[size / side, 0, -x * size / side], [0, size / side, -y * size / side]]
                for y, x, side in windows]  # fmt: skip
    picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    many = picture.expand(num_frames, -1, -1, -1)
    return kornia.geometry.warp_affine(
        many, torch.tensor(matrices, dtype=torch.float32), (size, size)
    )


def _albumentations(encoded: bytes, num_frames: int, size: int) -> object:
    import albumentations

    picture = _opencv(encoded)
    frames = []
    for y, x, side in _windows(picture.shape, num_frames):
        top, left = round(y), round(x)
        end = (min(left + round(side), picture.shape[1]), min(top + round(side), picture.shape[0]))
        steps = [albumentations.Crop(left, top, *end), albumentations.Resize(size, size)]
        frames.append(albumentations.Compose(steps)(image=picture)["image"])
    return frames


def _tensorflow(encoded: bytes, num_frames: int, size: int) -> object:
    picture = tf.image.decode_jpeg(encoded, channels=3)
    height, width = picture.shape[:2]
    boxes = [
        (y / height, x / width, (y + side) / height, (x + side) / width)
        for y, x, side in _windows((height, width), num_frames)
    ]
    return tf.image.crop_and_resize(picture[None], boxes, [0] * num_frames, [size, size])
