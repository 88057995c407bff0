"""LoRA: what adapters compute and learn, what they leave alone, and what becomes of them."""

import dataclasses
import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from animclip_jax import settings, sharding
from animclip_jax.models import parameters
from animclip_jax.planning import estimate, program
from animclip_jax.training import ema, lora, step
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.lora import LoraConfig
from animclip_jax.training.losses import LossConfig
from animclip_jax.training.optimizer import OptimizerConfig, is_frozen, make_optimizer
from configs import common
from tests.programs import small_family
from tests.sharded_step import CLIP, CONFIG, batch

ADAPTERS = LoraConfig(rank=2, targets="attention|mlp/up")
DECAY = 0.15
LEARNING = OptimizerConfig(1e-2, 0, 0.1, 0.9, 0.98, 1.0, frozen=lora.TOWERS, average_decay=DECAY)


def flat(tree: dict) -> dict[str, np.ndarray]:
    return {name: np.asarray(x) for name, x in traverse_util.flatten_dict(tree, sep="/").items()}


def begun() -> step.TrainState:
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    return step.init_state(
        mesh, CONFIG, make_optimizer(LEARNING, 100), 0, average_of_what_learns, ADAPTERS
    )


def average_of_what_learns(params: dict) -> dict:
    return ema.begin(params, is_frozen(LEARNING, params))


@pytest.fixture(scope="module")
def states() -> list[step.TrainState]:
    """The state before and after each of two steps."""
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
        average_decay=DECAY,
    )
    fed, found = sharding.put_batch(mesh, batch()), [before]
    for _ in range(2):
        state, metrics = advance(jax.tree.map(jnp.copy, found[-1]), fed)
        found.append(state)
    assert np.isfinite(metrics["loss"])
    return found


@pytest.fixture
def learned(states) -> tuple[step.TrainState, step.TrainState]:
    """The state before and after all steps."""
    return states[0], states[-1]


def summed(kernel: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """W + A B, layer by layer."""
    products = [one @ other for one, other in zip(*matrices(a, b), strict=True)]
    return kernel + np.stack(products).reshape(kernel.shape)


def matrices(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[layers, inputs, rank] and [layers, rank, outputs], whatever axes the kernel has."""
    return a.reshape(len(a), -1, a.shape[-1]), b.reshape(*b.shape[:2], -1)


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


def test_kernels_are_merged_in_one_order_in_every_process() -> None:
    """By the order of a set, which no two processes share, each compiled a program of its own."""
    sizes = {f"layer {number}": 3 + number for number in range(12)}
    kernels = {name: {"kernel": jnp.zeros((2, size))} for name, size in sizes.items()}
    adapters = {
        name: {"kernel": {"a": jnp.zeros((2, 1)), "b": jnp.zeros((1, size))}}
        for name, size in sizes.items()
    }
    traced = jax.make_jaxpr(lora.merged)(kernels | {lora.ADAPTERS: adapters})
    products = [eqn for eqn in traced.eqns if eqn.primitive.name == "dot_general"]
    assert [eqn.outvars[0].aval.shape[1] for eqn in products] == [
        sizes[name] for name in sorted(sizes)
    ]


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
        a, b = matrices(adapters[f"{name}/a"], adapters[f"{name}/b"])
        change = weights[name].reshape(len(a), a.shape[1], b.shape[2])
        wanted = change @ b.swapaxes(1, 2), a.swapaxes(1, 2) @ change
        both = matrices(found[f"{name}/a"], found[f"{name}/b"])
        for part, right in zip(both, wanted, strict=True):
            np.testing.assert_allclose(part, right, rtol=1e-4, atol=1e-4, err_msg=name)


def test_towers_keep_their_values_and_have_no_moments(learned) -> None:
    before, after = learned
    old, new = flat(before.params), flat(after.params)
    for name, value in new.items():
        kept = name.startswith(("clip/vision/", "clip/text/"))
        assert (value == old[name]).all() == kept, name
    shapes = [x.shape for x in jax.tree.leaves(after.opt_state)]
    width, hidden = CLIP.vision.width, CLIP.vision.mlp_width
    # Two moments of each A: of query, key and value, and the MLP's first kernel; and out.
    assert (2, width, hidden) not in shapes and shapes.count((2, width, 2)) == 2 * 3
    heads = CLIP.vision.heads
    assert shapes.count((2, heads, width // heads, 2)) == 2
    up = "clip/vision/transformer/blocks/layers/mlp/up/kernel"
    first, second = (flat(lora.merged(state.params))[up] for state in learned)
    assert not np.allclose(first, second)


def test_only_what_learns_is_averaged_step_by_step(states) -> None:
    averages = [flat(state.average) for state in states]
    towers = ("clip/vision/", "clip/text/")
    learning = {name for name in flat(states[0].params) if not name.startswith(towers)}
    assert set(averages[0]) == set(averages[2]) == learning
    assert any(name.startswith("lora/clip/text/") for name in learning)
    kept = (0.1, DECAY)  # early on less than it is told
    for number, share in enumerate(kept):
        params = flat(states[number + 1].params)
        for name, before in averages[number].items():
            wanted = share * before + (1 - share) * params[name]
            np.testing.assert_allclose(averages[number + 1][name], wanted, rtol=1e-5, atol=1e-7)


def test_what_is_searched_with_is_the_average_added_to_the_towers(learned) -> None:
    _, after = learned
    found, params, average = flat(after.best_params), flat(after.params), flat(after.average)
    assert found.keys() == parameters.shapes(CONFIG).keys()
    moved = 0
    for name, value in found.items():
        if (a := average.get(f"lora/{name}/a")) is not None:
            wanted = summed(params[name], a, average[f"lora/{name}/b"])
            last = summed(params[name], params[f"lora/{name}/a"], params[f"lora/{name}/b"])
            moved += np.abs(value - last).max() > 1e-5
        else:
            wanted = average.get(name, params[name])
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-6, err_msg=name)
    assert moved == len([name for name in average if name.endswith("/a")])


def test_a_plan_counts_towers_once_and_what_learns_four_times() -> None:
    """As parameters, as their average and as two moments of AdamW."""
    config = small_family.get_config("clip")
    config.optimizer.algorithm = "adamw"
    config.lora.rank, config.optimizer.average_decay = 3, 0.99
    run = settings.training(config)
    sizes = {name: math.prod(shape) for name, shape in parameters.shapes(run.model).items()}
    towers = sum(size for name, size in sizes.items() if re.search(lora.TOWERS, name))
    width, layers = 32, 2
    # Per tower and layer: query, key and value, out; with key and value in one kernel.
    adapters = 2 * layers * 3 * (2 * width + 3 * width + 2 * width)
    learning = sum(sizes.values()) - towers + adapters
    found = estimate.plan(run, jax.devices()[:1]).hbm_gib_by_kind
    assert found is not None
    found_bytes = {name: size * estimate.GIB for name, size in found.items()}
    assert found_bytes["parameters"] == 4 * (towers + 2 * learning)
    counters = 2 * 4  # of AdamW, and of its schedule
    assert found_bytes["optimizer"] == 4 * 2 * learning + counters
    # A step drops what it does not read: without an eye for motion, what captions tell of motion.
    given = jax.tree.leaves(program.batch_shapes(run.batches)._replace(told=None))
    step_counter = 4
    assert found_bytes["batch"] == step_counter + sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in given
    )


def test_what_others_read_of_a_checkpoint_is_merged_and_a_run_goes_on_with_adapters(
    learned, tmp_path
) -> None:
    _, after = learned
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(2, after)
        again = checkpoints.restore(2, jax.tree.map(jnp.zeros_like, after))
        checkpoints.require_model(2, CONFIG, tmp_path / "config.json")
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
