"""LoRA: what adapters compute and learn, what they leave alone, and what becomes of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from animclip_jax import settings, sharding
from animclip_jax.models import parameters
from animclip_jax.planning import program
from animclip_jax.training import lora, step
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.lora import LoraConfig
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig, is_frozen, make_optimizer
from configs import common
from tests.sharded_step import CLIP, CONFIG, batch

ADAPTERS = LoraConfig(rank=2, targets="attention|mlp/up")
LEARNING = OptimizerConfig(1e-2, 0, 0.1, 0.9, 0.98, 1.0, frozen=lora.TOWERS)


def flat(tree: dict) -> dict[str, np.ndarray]:
    return {name: np.asarray(x) for name, x in traverse_util.flatten_dict(tree, sep="/").items()}


def begun() -> step.TrainState:
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    return step.init_state(mesh, CONFIG, make_optimizer(LEARNING, 100), 0, adapters=ADAPTERS)


@pytest.fixture(scope="module")
def learned() -> tuple[step.TrainState, step.TrainState]:
    """The state before and after two steps."""
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    before = begun()
    advance = step.compile_train_step(
        mesh,
        before,
        graphdef=parameters.graph_definition(CONFIG),
        optimizer=make_optimizer(LEARNING, 100),
        loss=LossConfig(1.0, 2),
        image_size=CLIP.image_size,
        seed=0,
        frozen=is_frozen(LEARNING, before.params),
    )
    fed, state = sharding.put_batch(mesh, batch()), jax.tree.map(jnp.copy, before)
    for _ in range(2):
        state, metrics = advance(state, fed)
    assert np.isfinite(metrics["loss"])
    return before, state


def test_without_a_rank_there_is_nothing_else() -> None:
    params = parameters.draw(CONFIG, 0)
    assert lora.draw(LoraConfig(), params, 0) is params and lora.merged(params) is params


def test_adapters_begin_as_nothing() -> None:
    params = begun().params
    found, drawn = flat(lora.merged(params)), flat(params.pop(lora.ADAPTERS))
    assert flat(params).keys() == found.keys() == parameters.shapes(CONFIG).keys()
    for name, value in flat(params).items():
        np.testing.assert_array_equal(found[name], value)
    # Two towers; query, key and value, out; A and B.
    assert len([name for name in drawn if "attention" in name]) == 2 * 3 * 2
    for name, value in drawn.items():
        assert value.shape[0] == 2, name  # layers are stacked
        assert (value == 0).all() == name.endswith("/b")
    a = drawn["clip/vision/transformer/blocks/layers/mlp/up/kernel/a"]
    assert a.shape == (2, 48, 2) and 0.5 < a.std() * 48**0.5 < 1.5


def test_gradients_are_those_of_the_sum() -> None:
    """dA = dW B^T and dB = A^T dW, layer by layer, where heads are an axis of their own, too."""
    params = begun().params
    params = jax.tree.map(lambda x: x + jnp.arange(x.size).reshape(x.shape) % 7, params)
    given = jax.tree.map(jnp.sin, lora.merged(params))

    def loss(params: dict) -> jax.Array:
        products = jax.tree.map(lambda x, y: (x * y).sum(), lora.merged(params), given)
        return jnp.sum(jnp.stack(jax.tree.leaves(products)))

    found = flat(jax.grad(loss)(params)[lora.ADAPTERS])
    adapters, weights = flat(params[lora.ADAPTERS]), flat(given)
    for name in {path.rpartition("/")[0] for path in adapters}:
        a, b = adapters[f"{name}/a"], adapters[f"{name}/b"]
        change = weights[name].reshape(len(a), a.shape[1], b.shape[2])
        for part, wanted in (("a", change @ b.swapaxes(1, 2)), ("b", a.swapaxes(1, 2) @ change)):
            np.testing.assert_allclose(found[f"{name}/{part}"], wanted, rtol=1e-4, atol=1e-4)


def test_towers_keep_their_values_and_have_no_moments(learned) -> None:
    before, after = learned
    old, new = flat(before.params), flat(after.params)
    for name, value in new.items():
        kept = name.startswith(("clip/vision/", "clip/text/"))
        assert (value == old[name]).all() == kept, name
    shapes = [x.shape for x in jax.tree.leaves(after.opt_state)]
    width, hidden = CLIP.vision.width, CLIP.vision.mlp_width
    # Two moments of each A: of query, key and value, out, and the MLP's first kernel.
    assert (2, width, hidden) not in shapes and shapes.count((2, width, 2)) == 2 * 4
    up = "clip/vision/transformer/blocks/layers/mlp/up/kernel"
    first, second = (flat(lora.merged(state.params))[up] for state in learned)
    assert not np.allclose(first, second)


def test_what_others_read_of_a_checkpoint_is_merged_and_a_run_goes_on_with_adapters(
    learned, tmp_path
) -> None:
    _, after = learned
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(2, after)
        again = checkpoints.restore(2, jax.tree.map(jnp.zeros_like, after))
        params = checkpoints.restore_params(2, lambda x: sharding.state_sharding(mesh, x))
    jax.tree.map(np.testing.assert_array_equal, again, after)
    jax.tree.map(np.testing.assert_array_equal, params, after.best_params)
    assert flat(params).keys() == parameters.shapes(CONFIG).keys()


def test_alpha_over_rank_on_b_alone_learns_as_on_the_product() -> None:
    """The paper's W + s A B by AdamW, and ours, W + A B where B learns s times as fast."""
    rng, s = np.random.default_rng(0), 8.0
    w, x, y = (rng.normal(size=shape) for shape in ((6, 5), (40, 6), (40, 5)))
    a = rng.normal(size=(6, 2)) / 6**0.5

    def run(papers: float, factor: float) -> np.ndarray:
        def loss(both: dict) -> jax.Array:
            return ((x @ (w + papers * both["a"] @ both["b"]) - y) ** 2).mean()

        config = OptimizerConfig(1e-3, 0, 0.0, 0.9, 0.98, 1e9, adapter_rate=factor)
        optimizer = make_optimizer(config, 40)
        both = {"a": jnp.asarray(a), "b": jnp.zeros((2, 5))}
        state = optimizer.init(both)
        for _ in range(20):
            updates, state = optimizer.update(jax.grad(loss)(both), state, both)
            both = optax.apply_updates(both, updates)
        return np.asarray(papers * both["a"] @ both["b"])

    ours = run(1.0, s)
    assert np.abs(ours).max() > 0.02
    np.testing.assert_allclose(ours, run(s, 1.0), atol=2e-5)


def test_targets_that_are_nothing_are_refused() -> None:
    nothing = dataclasses.replace(ADAPTERS, targets="atention")
    said = r"'atention' matches no kernel of a tower; they are called clip/text/.*, clip/vision/"
    with pytest.raises(ValueError, match=said):
        jax.eval_shape(functools.partial(lora.draw, nothing), parameters.draw(CONFIG, 0), 0)
    with pytest.raises(ValueError, match=r"lora.targets '\('"):
        LoraConfig(targets="(")
    with pytest.raises(ValueError, match="lora.rank -1: wanted 0"):
        LoraConfig(rank=-1)


def test_a_configuration_with_a_rank_freezes_the_towers_and_takes_less_memory() -> None:
    config = common.get_config("tiny")
    whole = settings.training(config)
    config.lora.rank, config.optimizer.frozen = 4, "position_embedding"
    run = settings.training(config)
    assert run.optimizer.adapter_rate == 4 and whole.optimizer.adapter_rate == 1
    assert run.optimizer.frozen == f"position_embedding|{lora.TOWERS}"
    assert program.state_bytes(run) < 0.6 * program.state_bytes(whole)
