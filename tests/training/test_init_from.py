"""Starting from another run, or from converted weights: what is taken, and what is said of it."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax import nnx, traverse_util

from animclip_jax import sharding
from animclip_jax.models import parameters
from animclip_jax.models.clip import Clip
from animclip_jax.training import init_from
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.step import TrainState
from animclip_jax.weights import folder
from tests.small_model import CONFIG, SMALL, TEMPORAL


@pytest.fixture(scope="module")
def place():
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    return functools.partial(sharding.state_sharding, mesh)


def drawn(config, seed: int, place) -> dict:
    params = parameters.draw(config, seed)
    return jax.device_put(params, place(params))


def flat(params: dict) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in traverse_util.flatten_dict(params, sep="/").items()}


def test_a_run_gives_all_that_fits(tmp_path, place):
    """Here to a model that has a temporal transformer besides."""
    given = drawn(CONFIG, 1, place)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, TrainState(np.int32(7), given, ()))
    own = drawn(TEMPORAL, 2, place)
    params, report = init_from.take(own, tmp_path, place)
    before, after, source = flat(own), flat(params), flat(given)
    assert after.keys() == before.keys()
    for name, value in after.items():
        np.testing.assert_array_equal(value, source.get(name, before[name]))
    assert f"took {len(source)} of {len(after)} arrays" in report
    assert "starts fresh: temporal/out/kernel (16, 16), not there" in report
    assert "left behind" not in report


def test_other_shapes_begin_anew_and_are_named(tmp_path, place):
    given = drawn(CONFIG, 1, place)
    given["clip"]["text"]["position_embedding"] = np.zeros((5, 32), np.float32)
    given["extra"] = np.zeros(3, np.float32)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, TrainState(np.int32(7), given, ()))
    own = drawn(CONFIG, 2, place)
    params, report = init_from.take(own, tmp_path, place)
    kept = params["clip"]["text"]["position_embedding"]
    np.testing.assert_array_equal(kept, own["clip"]["text"]["position_embedding"])
    assert "starts fresh: clip/text/position_embedding (12, 32), (5, 32) there" in report
    assert "left behind: extra (3,)" in report


@pytest.mark.parametrize("remote", [False, True])
def test_an_exported_model_gives_all_of_it(tmp_path, place, remote, monkeypatch):
    """Also one in a bucket, which a folder plays: it is read by a copy."""
    monkeypatch.setattr(init_from, "is_remote", lambda source: remote)
    given = flat(drawn(CONFIG, 1, place))
    folder.save(tmp_path / "exported", given, CONFIG)
    params, report = init_from.take(drawn(CONFIG, 2, place), tmp_path / "exported", place)
    for name, value in flat(params).items():
        np.testing.assert_array_equal(value, given[name])
    assert "starts fresh" not in report and "left behind" not in report


def test_converted_weights_give_the_towers(tmp_path, place):
    clip = saved_towers(tmp_path / "weights", seed=5)
    params, report = init_from.take(drawn(CONFIG, 2, place), tmp_path / "weights", place)
    found = flat(params)
    for name, value in clip.items():
        np.testing.assert_array_equal(found[f"clip/{name}"], value)
    assert f"took {len(clip)} of {len(found)} arrays" in report
    assert "starts fresh: reranker/head/kernel" in report


def saved_towers(directory, seed: int) -> dict[str, np.ndarray]:
    """Both towers of CONFIG, freshly drawn and written as animclip convert does."""
    clip = flat(nnx.to_pure_dict(nnx.state(Clip(SMALL, rngs=nnx.Rngs(seed)))))
    folder.save(directory, clip, SMALL)
    return clip


AS_WIDE = dataclasses.replace(CONFIG.reranker, layers=1, width=32, heads=2, mlp_width=64)


def test_a_reranker_of_the_text_towers_sizes_begins_as_its_last_layers(tmp_path, place):
    clip = saved_towers(tmp_path / "weights", seed=5)
    own = drawn(dataclasses.replace(CONFIG, reranker=AS_WIDE), 2, place)
    params, report = init_from.take(own, tmp_path / "weights", place)
    before, after = flat(own), flat(params)
    tower, layer = "text/transformer/blocks/layers", "reranker/blocks/layers"
    for part, source in (("self_attention/query", "attention/query"), ("mlp/up", "mlp/up")):
        last = clip[f"{tower}/{source}/kernel"][-1:]
        np.testing.assert_array_equal(after[f"{layer}/{part}/kernel"], last)
        assert f"from the text tower: {layer}/{part}/kernel" in report
        assert f"starts fresh: {layer}/{part}/kernel" not in report
    np.testing.assert_array_equal(after["reranker/text_projection/kernel"], np.eye(32))
    kept = f"{layer}/cross_attention/query/kernel"
    np.testing.assert_array_equal(after[kept], before[kept])
    assert all(
        x.sharding == y.sharding
        for x, y in zip(jax.tree.leaves(params), jax.tree.leaves(own), strict=True)
    )


def test_a_reranker_that_the_source_has_is_not_begun_anew(tmp_path, place):
    config = dataclasses.replace(CONFIG, reranker=AS_WIDE)
    given = drawn(config, 1, place)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, TrainState(np.int32(7), given, ()))
    params, report = init_from.take(drawn(config, 2, place), tmp_path, place)
    jax.tree.map(np.testing.assert_array_equal, params, given)
    assert "from the text tower" not in report


def test_a_folder_of_something_else_is_refused(tmp_path, place):
    own = drawn(CONFIG, 2, place)
    with pytest.raises(FileNotFoundError, match="wanted the folder of a run, or one written by"):
        init_from.take(own, tmp_path, place)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, TrainState(np.int32(7), {"other": np.zeros(3)}, ()))
    with pytest.raises(ValueError, match="nothing of it fits"):
        init_from.take(own, tmp_path, place)
