"""Starting from another run, or from converted weights: what is taken, and what is said of it."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx, traverse_util

from animclip_jax import sharding
from animclip_jax.models import parameters
from animclip_jax.models.clip import Clip, ClipConfig
from animclip_jax.models.towers import PE_CORE
from animclip_jax.runs import run_config
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


def save_run(workdir: Path, params: dict, clip: ClipConfig = SMALL) -> None:
    """A run's newest checkpoint, and what it says of its model."""
    run_config.claim(workdir, {"model": json.loads(json.dumps(dataclasses.asdict(clip)))})
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(7, TrainState(np.int32(7), params, ()))


def flat(params: dict) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in traverse_util.flatten_dict(params, sep="/").items()}


def test_a_run_gives_all_that_fits(tmp_path, place):
    """Here to a model that has a temporal transformer besides."""
    given = drawn(CONFIG, 1, place)
    save_run(tmp_path, given)
    own = drawn(TEMPORAL, 2, place)
    params, report = init_from.take(own, tmp_path, place, SMALL)
    before, after, source = flat(own), flat(params), flat(given)
    assert after.keys() == before.keys()
    for name, value in after.items():
        np.testing.assert_array_equal(value, source.get(name, before[name]))
    assert f"took {len(source)} of {len(after)} arrays" in report
    assert "starts fresh: temporal/out/kernel (16, 16), not there" in report
    assert "not used" not in report


def test_a_run_that_validates_gives_its_best_step(tmp_path, place):
    """Also one that was killed before it saved another."""
    for params, run in ((drawn(CONFIG, 1, place), "run"), (drawn(CONFIG, 3, place), "run/best")):
        save_run(tmp_path / run, params)
    best = flat(params)
    for _ in range(2):
        taken, _ = init_from.take(drawn(CONFIG, 2, place), tmp_path / "run", place, SMALL)
        for name, value in flat(taken).items():
            np.testing.assert_array_equal(value, best[name])
        shutil.rmtree(tmp_path / "run" / "checkpoints", ignore_errors=True)


def test_other_shapes_begin_anew_and_are_named(tmp_path, place):
    given = drawn(CONFIG, 1, place)
    given["clip"]["text"]["position_embedding"] = np.zeros((5, 32), np.float32)
    given["extra"] = np.zeros(3, np.float32)
    save_run(tmp_path, given)
    own = drawn(CONFIG, 2, place)
    params, report = init_from.take(own, tmp_path, place, SMALL)
    kept = params["clip"]["text"]["position_embedding"]
    np.testing.assert_array_equal(kept, own["clip"]["text"]["position_embedding"])
    assert "starts fresh: clip/text/position_embedding (12, 32), (5, 32) there" in report
    assert "not used: extra (3,)" in report


@pytest.mark.parametrize("remote", [False, True])
def test_an_exported_model_gives_all_of_it(tmp_path, place, remote, monkeypatch):
    """Also one in a bucket, which a folder plays: it is read by a copy."""
    monkeypatch.setattr(init_from, "is_remote", lambda source: remote)
    given = flat(drawn(CONFIG, 1, place))
    folder.save(tmp_path / "exported", given, CONFIG)
    params, report = init_from.take(drawn(CONFIG, 2, place), tmp_path / "exported", place, SMALL)
    for name, value in flat(params).items():
        np.testing.assert_array_equal(value, given[name])
    assert "starts fresh" not in report and "not used" not in report


def test_converted_weights_give_the_towers(tmp_path, place):
    clip = saved_towers(tmp_path / "weights", seed=5)
    params, report = init_from.take(drawn(CONFIG, 2, place), tmp_path / "weights", place, SMALL)
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
    params, report = init_from.take(own, tmp_path / "weights", place, SMALL)
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


def test_a_reranker_of_all_the_towers_layers_shares_no_memory_with_them(tmp_path, place):
    """A step takes the memory of every array of its state: the same twice is an error."""
    saved_towers(tmp_path / "weights", seed=5)
    reranker = dataclasses.replace(AS_WIDE, layers=CONFIG.clip.text.layers)
    own = drawn(dataclasses.replace(CONFIG, reranker=reranker), 2, place)
    params, report = init_from.take(own, tmp_path / "weights", place, SMALL)
    assert "from the text tower: reranker/blocks/layers/mlp/up/kernel" in report
    after = flat(params)
    taken = jax.jit(lambda tree: tree, donate_argnums=0)(params)
    jax.tree.map(np.testing.assert_array_equal, flat(taken), after)


def test_a_reranker_that_the_source_has_is_not_begun_anew(tmp_path, place):
    config = dataclasses.replace(CONFIG, reranker=AS_WIDE)
    given = drawn(config, 1, place)
    save_run(tmp_path, given)
    params, report = init_from.take(drawn(config, 2, place), tmp_path, place, SMALL)
    jax.tree.map(np.testing.assert_array_equal, params, given)
    assert "from the text tower" not in report


def test_a_folder_of_something_else_is_refused(tmp_path, place):
    own = drawn(CONFIG, 2, place)
    with pytest.raises(FileNotFoundError, match="wanted the folder of a run, or one written by"):
        init_from.take(own, tmp_path, place, SMALL)
    save_run(tmp_path, {"other": np.zeros(3)})
    with pytest.raises(ValueError, match="none of its arrays fits"):
        init_from.take(own, tmp_path, place, SMALL)


def with_family(clip: ClipConfig) -> ClipConfig:
    """Its sizes, as PE-Core has towers: most kernels have the same shapes."""
    vision = dataclasses.replace(PE_CORE.vision, pool_heads=2)
    return dataclasses.replace(
        clip, activation="gelu", towers=dataclasses.replace(PE_CORE, vision=vision)
    )


OTHER = with_family(SMALL)


@pytest.mark.parametrize("is_run", [True, False])
def test_towers_of_another_family_are_not_taken_for_ones_own(tmp_path, place, is_run):
    given = drawn(CONFIG, 1, place)
    if is_run:
        save_run(tmp_path, given)
    else:
        folder.save(tmp_path / "weights", flat(given), CONFIG)
    source = tmp_path if is_run else tmp_path / "weights"
    own = drawn(dataclasses.replace(CONFIG, clip=OTHER), 2, place)
    with pytest.raises(ValueError, match="its towers are not those of this config") as raised:
        init_from.take(own, source, place, OTHER)
    said = str(raised.value).splitlines()
    assert "  model.activation: there 'quick_gelu', here 'gelu'" in said
    assert "  model.towers.vision.rotary: there False, here True" in said
    assert "--config.init_towers_from" in said[-1]


@pytest.mark.parametrize("reranker", [CONFIG.reranker, AS_WIDE])
def test_a_reranker_is_kept_and_its_towers_are_exchanged(tmp_path, place, reranker):
    """Also one of the text tower's sizes, which without another would begin as its last layers."""
    before = dataclasses.replace(CONFIG, reranker=reranker)
    config = dataclasses.replace(before, clip=OTHER)
    given, towers = drawn(before, 1, place), drawn(config, 3, place)
    save_run(tmp_path / "run", given)
    folder.save(tmp_path / "weights", flat(towers["clip"]), OTHER)
    own = drawn(config, 2, place)
    places = str(tmp_path / "run"), str(tmp_path / "weights")
    params, report = init_from.begin(own, OTHER, *places, place)
    for name, value in flat(params).items():
        wanted = flat(towers) if name.startswith("clip/") else flat(given)
        np.testing.assert_array_equal(value, wanted[name])
    first, second = report.split("init_from=")[1:]
    assert first.startswith(places[0]) and "starts fresh: clip/vision" in first
    assert second.startswith(places[1])


def test_without_anything_to_begin_with_nothing_is_taken(place):
    own = drawn(CONFIG, 2, place)
    assert init_from.begin(own, SMALL, "", "", place) == (own, "")


def test_a_sigmoid_loss_begins_with_the_temperature_and_bias_of_the_weights(tmp_path, place):
    siglip = dataclasses.replace(SMALL, towers=dataclasses.replace(SMALL.towers, logit_bias=True))
    config = dataclasses.replace(CONFIG, clip=siglip)
    given = drawn(config, 3, place)["clip"] | {
        "logit_bias": np.float32(-12.9),
        "log_logit_scale": np.float32(4.7),
    }
    folder.save(tmp_path / "weights", flat(given), siglip)
    own = drawn(config, 2, place)
    params, _ = init_from.begin(own, siglip, str(tmp_path / "weights"), "", place)
    assert params["clip"]["logit_bias"] == np.float32(-12.9)
    assert params["clip"]["log_logit_scale"] == np.float32(4.7)
