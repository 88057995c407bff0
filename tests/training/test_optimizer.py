"""The schedule's corners, and which parameters decay."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import Retriever, RetrieverConfig
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.training import optimizer
from tests import small_model

CONFIG = optimizer.OptimizerConfig(
    learning_rate=0.1, warmup_steps=10, weight_decay=0.5, b1=0.9, b2=0.98, clip_norm=1.0
)


def test_learning_rate_rises_and_falls():
    rate = optimizer.learning_rate(CONFIG, 110)
    np.testing.assert_allclose([rate(0), rate(5), rate(10)], [0, 0.05, 0.1], rtol=1e-6)
    np.testing.assert_allclose([rate(60), rate(110)], [0.05, 0], atol=1e-6)
    assert rate(35) == pytest.approx(0.05 * (1 + np.cos(np.pi / 4))), "a cosine, no line"


@pytest.mark.parametrize("algorithm", optimizer.ALGORITHMS)
def test_only_kernels_and_tables_decay(algorithm):
    params = {
        "a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "scale": jnp.ones(2)},
        "b": {"embedding": jnp.ones((3, 2)), "position_embedding": jnp.ones((3, 2))},
    }
    config = changed(algorithm=algorithm, matrix_rate=1.0)
    transformation = optimizer.make_optimizer(config, 110)
    state = transformation.init(params)
    zeros = {part: {k: 0 * v for k, v in leaves.items()} for part, leaves in params.items()}
    for _ in range(2):  # the first step's learning rate is zero
        updates, state = transformation.update(zeros, state, params)
    np.testing.assert_allclose(updates["a"]["kernel"], -0.5 * 0.01, rtol=1e-5)
    np.testing.assert_allclose(updates["b"]["embedding"], -0.5 * 0.01, rtol=1e-5)
    for part, name in (("a", "bias"), ("a", "scale"), ("b", "position_embedding")):
        assert np.abs(updates[part][name]).max() == 0


def tower(layers: int = 3) -> dict:
    """A model's parameters in small: of both towers, and of what stands on them."""
    one = {
        "position_embedding": jnp.ones((2, 2)),
        "transformer": {"blocks": {"layers": {"kernel": jnp.ones((layers, 2))}}},
        "projection": {"kernel": jnp.ones((2, 2))},
    }
    return {"clip": {"vision": one, "text": one}, "head": {"kernel": jnp.ones((2, 2))}}


def changed(**settings) -> optimizer.OptimizerConfig:
    return dataclasses.replace(CONFIG, **settings)


def test_towers_and_layers_learn_at_their_own_rates():
    factors = optimizer.rate_factors(
        changed(vision_rate=0.1, text_rate=0.2, layer_decay=0.5), tower()
    )
    vision, text = factors["clip"]["vision"], factors["clip"]["text"]
    np.testing.assert_allclose(vision["projection"]["kernel"], 0.1)
    layers = vision["transformer"]["blocks"]["layers"]["kernel"]
    np.testing.assert_allclose(layers, [[0.025], [0.05], [0.1]])
    np.testing.assert_allclose(vision["position_embedding"], 0.0125)
    np.testing.assert_allclose(text["position_embedding"], 0.025)
    np.testing.assert_allclose(factors["head"]["kernel"], 1.0)


def test_layers_of_later_stacks_follow_those_of_the_first():
    """VideoPrism's video tower has three stacks."""
    stacks = {"transformer": 3, "temporal": 2, "auxiliary": 1}
    vision: dict = {
        name: {"blocks": {"layers": {"kernel": jnp.ones((layers, 2))}}}
        for name, layers in stacks.items()
    }
    vision["time_embedding"] = jnp.ones((2, 2))
    factors = optimizer.rate_factors(changed(layer_decay=0.5), {"clip": {"vision": vision}})
    found = factors["clip"]["vision"]
    rates = [found[name]["blocks"]["layers"]["kernel"].ravel() for name in stacks]
    np.testing.assert_allclose(np.concatenate(rates), 0.5 ** np.arange(5, -1, -1))
    np.testing.assert_allclose(found["time_embedding"], 0.5**6)


def step_of(config: optimizer.OptimizerConfig) -> tuple[dict, tuple]:
    """The second step's updates, for gradients of one; the first one's learning rate is zero."""
    params = tower()
    transformation = optimizer.make_optimizer(config, 110)
    state = transformation.init(params)
    for _ in range(2):
        updates, state = transformation.update(params, state, params)
    return updates, state


def test_a_rate_scales_the_step_and_its_decay():
    slow, plain = step_of(changed(vision_rate=0.25))[0], step_of(CONFIG)[0]
    for name, factor in (("vision", 0.25), ("text", 1.0)):
        np.testing.assert_allclose(
            slow["clip"][name]["projection"]["kernel"],
            factor * plain["clip"][name]["projection"]["kernel"],
            rtol=1e-6,
        )


def test_what_is_frozen_stays_and_has_no_moments():
    updates, state = step_of(changed(frozen="clip/text", layer_decay=0.5))
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(updates["clip"]["text"]))
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(updates["clip"]["vision"]))
    sizes = [leaf.size for leaf in jax.tree.leaves(state)]
    learning = sum(
        leaf.size for leaf in jax.tree.leaves([tower()["clip"]["vision"], tower()["head"]])
    )
    assert 2 * learning <= sum(sizes) <= 2 * learning + 4


@pytest.mark.parametrize(
    ("pattern", "said"), [("clip/txt", "matches no"), ("", None), (".", "all")]
)
def test_a_pattern_must_freeze_something_and_not_all(pattern, said):
    if said is None:
        assert not any(jax.tree.leaves(optimizer.is_frozen(changed(frozen=pattern), tower())))
        return
    with pytest.raises(ValueError, match=said):
        optimizer.is_frozen(changed(frozen=pattern), tower())


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"optimizer.frozen '\('"):
        changed(frozen="(")
    with pytest.raises(ValueError, match="average_decay"):
        changed(average_decay=1.0)


def test_muon_takes_what_has_two_sides():
    sizes = TransformerConfig(width=8, layers=2, heads=2, mlp_width=16)
    clip = ClipConfig(16, 8, vision=sizes, text=sizes, vocab_size=50, context_length=8, embed_dim=4)
    model = RetrieverConfig(clip, RerankerConfig(width=8, code_width=8), num_frames=2)
    params = nnx.to_pure_dict(nnx.state(nnx.eval_shape(lambda: Retriever(model, rngs=nnx.Rngs(0)))))
    sides = optimizer.matrices(params)
    attention = sides["clip"]["text"]["transformer"]["blocks"]["layers"]["attention"]
    assert attention["query"]["kernel"][:2] == ((1,), (2, 3))
    assert attention["key_value"]["kernel"][:2] == ((1,), (2, 3, 4))
    assert attention["out"]["kernel"][:2] == ((1, 2), (3,))
    assert attention["query"]["bias"] is None
    assert sides["clip"]["vision"]["patch_embedding"]["kernel"][:2] == ((0,), (1,))
    assert sides["reranker"]["evidence"]["out"]["kernel"][:2] == ((0, 1), (2,))
    assert sides["reranker"]["head_out"]["kernel"] is None
    assert sides["clip"]["text"]["token_embedding"]["embedding"] is None


def test_what_reads_motion_in_captions_learns_by_adamw():
    model = dataclasses.replace(small_model.CONFIG, motion=MotionConfig(features=8, side=32))
    sides = optimizer.matrices(nnx.to_pure_dict(parameters.abstract(model)[1]))
    assert not any(jax.tree.leaves(sides["motion"]["read"]))
    assert sides["motion"]["of_video"]["kernel"] is not None


def test_muon_moves_all_directions_of_a_matrix_alike():
    """Whatever their parts in the gradient are."""
    gradient = np.zeros((4, 4), np.float32)
    gradient[0, 0], gradient[1, 1] = 1.0, 0.01
    params = {"a": {"kernel": jnp.zeros((4, 4)), "bias": jnp.zeros(4)}}
    given = {"a": {"kernel": jnp.asarray(gradient), "bias": jnp.ones(4)}}

    def second_update(**settings) -> dict:
        transformation = optimizer.make_optimizer(changed(weight_decay=0.0, **settings), 110)
        state = transformation.init(params)
        for _ in range(2):  # the first step's learning rate is zero
            updates, state = transformation.update(given, state, params)
        return updates["a"]

    muon, faster = (
        second_update(algorithm="muon", matrix_rate=rate, clip_norm=1e9) for rate in (1.0, 2.0)
    )
    first, second = -muon["kernel"][0, 0], -muon["kernel"][1, 1]
    assert 0.5 < second / first < 2.0
    np.testing.assert_allclose(faster["kernel"], 2 * muon["kernel"], rtol=1e-5)
    np.testing.assert_allclose(faster["bias"], muon["bias"])
    assert np.abs(muon["bias"]).min() > 0


def test_an_algorithm_that_is_none_is_refused():
    with pytest.raises(ValueError, match="optimizer.algorithm 'lion': wanted one of adamw, muon"):
        changed(algorithm="lion")


def test_without_a_norm_to_clip_to_gradients_stay_as_they_are():
    def updated(**changes) -> np.ndarray:
        transformation = optimizer.make_optimizer(changed(**changes), 110)
        params = {"bias": jnp.ones(3)}
        state = transformation.init(params)
        for size in (1e3, 1.0):  # clipped, both would be alike to the moments
            updates, state = transformation.update({"bias": size * jnp.ones(3)}, state, params)
        return np.asarray(updates["bias"])

    np.testing.assert_array_equal(updated(clip_norm=0.0), updated(clip_norm=1e9))
    assert (updated(clip_norm=0.0) != updated(clip_norm=1.0)).all()


@pytest.mark.parametrize("norm", [-1.0, float("inf"), float("nan")])
def test_a_norm_to_clip_to_is_a_number_from_0_on(norm):
    with pytest.raises(ValueError, match=f"optimizer.clip_norm {norm}: wanted"):
        changed(clip_norm=norm)
