"""The converted features beside open_clip's, as far as no torch is needed."""

import json
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx, traverse_util

from animclip_jax.models.clip import Clip
from animclip_jax.models.parameters import abstract
from animclip_jax.weights import folder
from benchmarks import open_clip
from tests import searchable


@pytest.fixture
def made(tmp_path):
    """What `make` writes, of a model in our own format: its features are ours."""
    config = searchable.CONFIG.clip
    tree = nnx.to_pure_dict(nnx.state(Clip(config, rngs=nnx.Rngs(0))))
    params = jax.device_get(traverse_util.flatten_dict(tree, sep="/"))
    folder.save(tmp_path / "some", params, config)
    random = np.random.default_rng(0)
    given: dict[str, Any] = {
        "frames": random.random((2, config.image_size, config.image_size, 3), np.float32),
        "tokens": np.full((2, config.context_length), 5, np.int32),
    }
    given["tokens"][:, -1] = config.vocab_size - 1
    model = nnx.merge(abstract(config)[0], tree)
    with jax.default_matmul_precision("highest"):
        found = {"image": model.vision(given["frames"])[0], "text": model.text(given["tokens"])[0]}
    unit: dict[str, Any] = {
        name: value / np.linalg.norm(value, axis=-1)[:, None] for name, value in found.items()
    }
    np.savez(tmp_path / "some.npz", **given, **unit)
    return tmp_path


def test_equal_features_differ_by_nothing_and_others_by_how_much(made, capsys):
    assert open_clip.main(["compare", str(made)]) == 0
    name, difference = capsys.readouterr().out.split()
    assert name == "some" and float(difference) < 1e-6
    with np.load(made / "some.npz") as arrays:
        changed = dict(arrays)
    largest = np.abs(changed["text"]).max()
    changed["text"][0, 0] += 0.1 * largest
    np.savez(made / "some.npz", **changed)
    (found,) = open_clip.compare(made / "some.npz").values()
    assert found["image"] < 1e-6 and found["text"] == pytest.approx(0.1, rel=0.15)


def test_a_small_architecture_has_few_layers_and_keeps_every_other_size():
    config: dict[str, Any] = {
        "embed_dim": 512,
        "vision_cfg": {"layers": 12, "width": 768, "image_size": 224},
        "text_cfg": {"layers": 12, "width": 512, "vocab_size": 49408, "context_length": 77},
    }
    before = json.dumps(config)
    small = open_clip.small(config)
    assert json.dumps(config) == before, "open_clip's own is as it was"
    assert small["vision_cfg"] == config["vision_cfg"] | {"layers": 2}
    assert small["text_cfg"] == config["text_cfg"] | {"layers": 2, "vocab_size": 1000}
    assert small["embed_dim"] == 512


def test_the_list_of_architectures_is_there():
    listed = json.loads(open_clip.MODELS.read_text())["models"]
    assert any(model["converts"] for model in listed.values())
