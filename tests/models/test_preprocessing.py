"""A JPEG through our preprocessing and the model's normalisation, against transformers'."""

import io

import numpy as np
import pytest
from PIL import Image

from animclip_jax.models.towers import CLIP
from input_pipeline.media.picture import fit
from tests.weights import reference


def ours(jpeg: bytes, size: int) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as image:
        frame = fit(np.asarray(image.convert("RGB")), size)
    return (frame / np.float32(255) - np.array(CLIP.pixels.mean, np.float32)) / np.array(
        CLIP.pixels.std, np.float32
    )


def grey_levels(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The difference of normalised pixels in levels of 0 to 255."""
    assert found.shape == wanted.shape
    return np.abs(found - wanted) * np.array(CLIP.pixels.std, np.float32) * 255


def test_a_golden_picture():
    wanted = np.load(reference.GOLDEN / "picture.npy").astype(np.float32)
    jpeg = (reference.GOLDEN / "picture.jpg").read_bytes()
    difference = grey_levels(ours(jpeg, 48), wanted)
    assert difference.mean() <= 1 and difference.max() <= 3
    shifted = grey_levels(np.roll(ours(jpeg, 48), 1, axis=0), wanted)
    assert shifted.mean() > 3, "a picture that shows a shift of one pixel"


# OpenAI crops where torchvision does; transformers rounds an odd margin down instead, so these
# sizes leave an even margin: 224 x 298, 298 x 224, 224 x 224, 224 x 336.
@pytest.mark.parametrize("height, width", [(375, 500), (500, 375), (600, 600), (150, 100)])
def test_pictures_of_all_shapes(height, width):
    pytest.importorskip("transformers", reason="needs the extra `parity`")
    pytest.importorskip("torch", reason="needs the extra `parity`")
    jpeg = reference.picture(height, width, seed=height)
    difference = grey_levels(ours(jpeg, 224), reference.processed(jpeg, 224))
    assert difference.mean() <= 1


def test_real_pictures(shared_data):
    pytest.importorskip("transformers", reason="needs the extra `parity`")
    pytest.importorskip("torch", reason="needs the extra `parity`")
    paths = sorted(shared_data.rglob("*.jpg"))[:40]
    even = 0
    for path in paths:
        jpeg = path.read_bytes()
        with Image.open(path) as image:
            short, long = sorted(image.size)
        if int(224 * long / short) % 2 == 0:
            even += 1
            difference = grey_levels(ours(jpeg, 224), reference.processed(jpeg, 224))
            assert difference.mean() <= 1, path.name
    assert even, "no picture whose margin is even"
