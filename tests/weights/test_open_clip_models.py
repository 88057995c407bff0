"""The list of open_clip's architectures that convert, held where open_clip is not installed."""

import json
from pathlib import Path

import numpy as np
import pytest

from animclip_jax.weights import open_clip_config
from tests.weights.open_clip_models import LIST

MODELS = json.loads(LIST.read_text())["models"]
PAGE = (Path(__file__).resolve().parents[2] / "docs/weights.md").read_text()


def test_the_page_names_every_architecture_that_converts():
    names = [name for name, model in MODELS.items() if model["converts"]]
    assert len(MODELS) == 144 and len(names) == 63
    assert all(f"`{name}`" in PAGE for name in names)


@pytest.mark.parametrize("name", MODELS)
def test_settings_beyond_plain_clip_are_named_and_others_are_read(name):
    resnet = {"visual.layer1.0.conv1.weight": np.zeros(1)} if name.startswith("RN") else {}
    with pytest.raises(ValueError) as error:
        open_clip_config.read(resnet, {"model_cfg": MODELS[name]["config"]}, name)
    refused = "not plain CLIP" in str(error.value) or "is a ResNet" in str(error.value)
    assert refused != MODELS[name]["converts"], "no tensor is there; that is asked last"
