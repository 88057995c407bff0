"""JPEGs through our preprocessing, against what each family's own processors make of them."""

import json

import numpy as np
import pytest

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import CLIP, PE_CORE, SIGLIP, Pixels
from input_pipeline.media import picture
from tests.models import processors
from tests.small_model import SMALL
from tests.weights import reference

# Grey levels of 255: between Pillow's resize and torchvision's, the rounding.
MEAN, LARGEST = 0.02, 1


with np.load(processors.GOLDEN) as arrays:
    NAMED = {tuple(json.loads(name)): array for name, array in arrays.items()}
JPEGS = {name[0]: array.tobytes() for name, array in NAMED.items() if len(name) == 1}
# By size, family and processor, and what `picture.fit` is told: the processor's pixels.
MADE = {name: array for name, array in NAMED.items() if len(name) > 1}


@pytest.mark.parametrize("name", MADE, ids=lambda name: ", ".join(name[:3]))
def test_pictures_are_those_of_a_familys_own_processor(name):
    shown, wanted = picture.pixels(JPEGS[name[0]]), MADE[name]
    found = picture.fit(shown, len(wanted), *name[3:]).astype(int)
    assert np.abs(found - wanted).mean() <= MEAN and np.abs(found - wanted).max() <= LARGEST
    shifted = np.abs(np.roll(found, 1, axis=1) - wanted)
    assert shifted.mean() > 2, "a picture that shows a shift of one pixel"


def test_the_golden_pictures_are_of_every_setting_that_a_family_has():
    """A family's weights may name other settings; without these it has those of its towers."""
    assert len(JPEGS) == 3
    seen = {(name[1], *name[3:]) for name in MADE}
    for family, pixels in (
        ("CLIP", CLIP.pixels),
        ("PE-Core", PE_CORE.pixels),
        ("SigLIP 2", SIGLIP.pixels),
        ("SigLIP", processors.BIG_VISION),
    ):
        assert (family, *processors.settings(pixels)) in seen


@pytest.mark.parametrize("change", [("squash", "bilinear", True), ("squash", "bilinear", False)])
def test_settings_show(change):
    """Cropping, a filter and anti-aliasing each change pixels by more than the tolerance."""
    shown = picture.pixels(JPEGS["83x60"])
    for other in {name[3:] for name in MADE} - {change}:
        apart = picture.fit(shown, 32, *change).astype(int) - picture.fit(shown, 32, *other)
        assert np.abs(apart).mean() > 50 * MEAN, other


def test_only_what_big_vision_does_is_not_anti_aliased():
    assert Pixels(resize="squash", interpolation="bilinear", antialias=False).antialias is False
    for resize, interpolation in (("shortest", "bicubic"), ("squash", "bicubic")):
        with pytest.raises(ValueError, match="antialias False with .*: wanted squash, bilinear"):
            Pixels(resize=resize, interpolation=interpolation, antialias=False)


@pytest.mark.parametrize("given", [None, 0.5, "abc", [0.5, 0.5], [0.5, 0.5, "x"], [0.5, 0.5, 0.0]])
def test_statistics_of_pixels_are_three_numbers(given):
    with pytest.raises(ValueError, match="std .*: wanted three numbers above 0"):
        Pixels(std=given)
    if given == [0.5, 0.5, 0.0]:
        assert Pixels(mean=given).mean == tuple(given)
    else:
        with pytest.raises(ValueError, match="mean .*: wanted three numbers"):
            Pixels(mean=given)


@pytest.mark.parametrize("pixels", [CLIP.pixels, PE_CORE.pixels, processors.BIG_VISION])
def test_a_models_configuration_says_how_pictures_are_fitted(pixels):
    document = {"towers": {"pixels": {name: getattr(pixels, name) for name in Pixels().__dict__}}}
    fields = {name: getattr(SMALL, name) for name in ("image_size", "patch_size")}
    towers = {name: getattr(SMALL, name).__dict__ for name in ("vision", "text")}
    config = ClipConfig.from_dict(fields | towers | json.loads(json.dumps(document)))
    assert config.fitted == (SMALL.image_size, *processors.settings(pixels))


@pytest.mark.parametrize("where", ["drawn", "real"])
def test_the_processors_that_are_installed(where, request):
    for name in ("torch", "transformers", "open_clip"):
        pytest.importorskip(name, reason="needs what tests.models.processors names")
    if where == "drawn":
        jpegs = [reference.picture(*size, seed=size[0]) for size in processors.SIZES]
    else:
        paths = sorted(request.getfixturevalue("shared_data").rglob("*.jpg"))[:40]
        jpegs = [path.read_bytes() for path in paths]
    for jpeg in jpegs:
        for one in processors.processors(processors.SIDE):
            # Where an odd margin is left out, transformers crops one pixel beside OpenAI.
            if one.family == "CLIP" and "transformers" in one.name and where == "real":
                continue
            found = processors.ours(jpeg, processors.SIDE, one.pixels)
            assert np.abs(found - one.process(jpeg)).mean() <= 1, one
