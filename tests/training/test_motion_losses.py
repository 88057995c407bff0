"""Losses of a model with an eye for motion: what each teaches, and what it must not teach."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax import settings, sharding
from animclip_jax.models import parameters
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.retriever import Retriever
from animclip_jax.training import hard_negatives, losses, step
from configs.experiments import motion
from tests import sharded_step
from tests.small_model import CONFIG, captions, clips

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def model() -> Retriever:
    return Retriever(CONFIG, rngs=nnx.Rngs(0))


def features(model: Retriever) -> tuple[Any, Any, jax.Array]:
    """Of four captions and clips, as search has them, and their logits."""
    text, video = model.encode_text(captions(4)), model.encode_video(clips(4))
    return text, video, model.clip.logit_scale * text.embedding @ video.embedding.T


@pytest.fixture
def with_eye() -> Retriever:
    """It sees and reads something, and both count."""
    config = dataclasses.replace(CONFIG, motion=MotionConfig(features=8, side=32))
    model = Retriever(config, rngs=nnx.Rngs(0))
    assert model.motion is not None
    kernel = model.motion.read.clues.kernel
    kernel[...] = jax.random.normal(jax.random.key(0), kernel[...].shape)
    model.motion.of_video.kernel[...] = model.motion.of_text.kernel[...]
    return model


def still_loss(
    model: Retriever,
    config: losses.LossConfig,
    sibling: jax.Array | None = None,
    apart: jax.Array | None = None,
) -> tuple[jax.Array, dict]:
    text, video = model.still_text(captions(4)), model.still_video(clips(4))
    same = hard_negatives.same_pair(captions(4), jnp.arange(4))
    return losses.feature_loss(model, text, video, same, KEY, config, sibling=sibling, apart=apart)


def test_motion_teaches_towers_and_re_ranker_nothing(with_eye):
    graphdef, state = nnx.split(with_eye)

    def loss(params: dict, weight: float) -> tuple[jax.Array, dict]:
        return still_loss(
            nnx.merge(graphdef, params), losses.LossConfig(1.0, 2, "softmax", motion_weight=weight)
        )

    params = nnx.to_pure_dict(state)
    (without, _), (gradient, terms) = (
        jax.grad(loss, has_aux=True)(params, weight) for weight in (0.0, 1.0)
    )
    for name in ("of_video", "of_text"):
        assert np.any(gradient["motion"][name]["kernel"])
        assert not np.any(without["motion"][name]["kernel"])
    assert np.any(gradient["motion"]["worth"]) and not np.any(without["motion"]["worth"])
    assert np.any(gradient["clip"]["vision"]["patch_embedding"]["kernel"])
    for part in (("clip", "vision"), ("clip", "text"), ("reranker",), ("coder",)):
        found, wanted = gradient, without
        for name in part:
            found, wanted = found[name], wanted[name]
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), found, wanted)
    total = terms["contrastive"] + terms["matching"] + terms["moving"] + terms["agreeing"]
    assert terms["loss"] == pytest.approx(float(total), rel=1e-6)


def test_motion_is_compared_in_embeddings_and_with_agreement(with_eye):
    """By the scores that search has, of all pairs; the re-ranker is zero at the start."""
    _, terms = still_loss(with_eye, losses.LossConfig(0.0, 2))
    text, video, logits = features(with_eye)
    same = hard_negatives.same_pair(captions(4), jnp.arange(4))
    assert terms["moving"] == pytest.approx(float(losses.contrastive(logits, same)), rel=1e-4)
    rows, columns = (part.ravel() for part in np.indices((4, 4)))
    fused = with_eye.fused_scores(
        jax.tree.map(lambda x: x[rows], text), jax.tree.map(lambda x: x[columns], video)
    ).reshape(4, 4)
    wanted = losses.contrastive(fused, same)
    assert terms["agreeing"] == pytest.approx(float(wanted), rel=1e-4)
    found = [float(terms[name]) for name in ("contrastive", "moving", "agreeing")]
    assert np.diff(sorted(found)).min() > 1e-3


def test_without_fusion_agreement_is_weighed_beside_what_the_re_ranker_knows(with_eye):
    """It learns to know the logits of still embeddings, for those with motion do not rank."""
    with_eye.fusion = False
    _, terms = still_loss(with_eye, losses.LossConfig(0.0, 2))
    text, video = with_eye.still_text(captions(4)), with_eye.still_video(clips(4))
    still = with_eye.clip.logit_scale * text.embedding @ video.embedding.T
    same = hard_negatives.same_pair(captions(4), jnp.arange(4))
    wanted = losses.contrastive(still + with_eye.agreements(text, video), same)
    assert terms["agreeing"] == pytest.approx(float(wanted), rel=1e-4)


def test_motion_is_compared_with_the_bias_of_sigmoids(with_eye):
    with_eye.clip.logit_bias = nnx.data(nnx.Param(jnp.float32(-3.0)))
    _, terms = still_loss(with_eye, losses.LossConfig(0.0, 2, contrastive="sigmoid"))
    _, _, logits = features(with_eye)
    same = hard_negatives.same_pair(captions(4), jnp.arange(4))
    wanted = losses.sigmoid_contrastive(logits - 3.0, same)
    assert terms["moving"] == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize("has_eye", [True, False])
def test_with_an_eye_siblings_are_no_negatives_of_content(model, with_eye, monkeypatch, has_eye):
    drawn = []

    def matching(_: Retriever, text: Any, video: Any, logits: Any, same: Any, *more: Any) -> float:
        drawn.append((logits, same, more[-1]))
        return 0.0

    monkeypatch.setattr(losses, "matching", matching)
    apart, alike = jnp.zeros((2, 4, 4), bool)
    apart, alike = apart.at[0, 1].set(True).at[1, 0].set(True), alike.at[2, 3].set(True)
    chosen = with_eye if has_eye else model
    config = losses.LossConfig(1.0, 2)
    _, terms = still_loss(chosen, config, sibling=apart | alike, apart=apart)
    [(logits, same, left)] = drawn
    pairs = hard_negatives.same_pair(captions(4), jnp.arange(4))
    assert not (pairs & (apart | alike)).any()
    wanted = pairs | apart if has_eye else pairs
    assert terms["contrastive"] == pytest.approx(
        float(losses.contrastive(logits, wanted)), rel=1e-5
    )
    np.testing.assert_array_equal(same, wanted)
    # An order is nothing that an eye sees: the re-ranker learns it.
    np.testing.assert_array_equal(left, alike if has_eye else apart | alike)
    # Content alone, though the scores of search have motion, too.
    text, video = chosen.still_text(captions(4)), chosen.still_video(clips(4))
    scale = chosen.clip.logit_scale
    np.testing.assert_allclose(logits, scale * text.embedding @ video.embedding.T, rtol=1e-4)
    if has_eye:
        _, without = still_loss(chosen, config)
        for name in ("moving", "agreeing"):
            assert terms[name] == pytest.approx(float(without[name]), rel=1e-6)


def test_reading_is_how_far_off_and_following_how_unlikely():
    told = jnp.array([[1.0, 0, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 0, 0]])
    asked = told.at[0, 0].set(0.5).at[1, 3].set(2.0)
    terms = losses.motion_loss(asked, told, jnp.array([3.0, 5.0]))
    np.testing.assert_allclose([terms["reading"], terms["following"]], [(0.25 + 4) / 2, 4.0])
    # Clips without a plan on the device.
    assert set(losses.motion_loss(asked, told, None)) == {"reading"}


def test_where_nobody_knows_what_captions_say_nothing_learns_to_read_them():
    """Zeros in place of what is not known taught that no caption names a motion."""
    asked, unlikely = jnp.ones((4, 7)), jnp.full(4, 0.5)
    known = losses.motion_loss(asked, jnp.zeros((4, 7)), unlikely)
    assert known.keys() == {"reading", "following"} and known["reading"] == 7.0
    assert losses.motion_loss(asked, None, unlikely).keys() == {"following"}
    assert losses.motion_loss(asked, None, None) == {}


@pytest.mark.parametrize(
    ("changes", "tells"),
    [
        ({}, True),
        ({"animation.told.probability": 0.0}, False),
        ({"data.footage": True, "animation.preset": "still"}, False),
    ],
)
def test_it_is_known_of_animated_pictures_whose_captions_name_their_motion(changes, tells):
    config = settings.training(settings.changed(motion.get_config(), changes))
    params = nnx.to_pure_dict(parameters.abstract(config.model)[1])
    assert config.step_arguments(params)["tells_motion"] is tells


@pytest.mark.parametrize("tells", [True, False])
def test_a_step_learns_to_read_motion_only_where_it_is_known(tells):
    config, optimizer = sharded_step.CONFIG, sharded_step.keep_gradients()
    advance = functools.partial(
        step.train_step,
        mesh=sharding.make_mesh(sharding.MeshConfig(1, 1), jax.devices()[:1]),
        graphdef=parameters.graph_definition(config),
        optimizer=optimizer,
        loss=losses.LossConfig(1.0, 2),
        image_size=config.clip.image_size,
        seed=0,
        tells_motion=tells,
    )
    state = step.state_shapes(config, optimizer)
    _, metrics = jax.eval_shape(advance, state, sharded_step.batch())
    assert ("reading" in metrics) is tells
    assert metrics.keys() >= {"following", "moving", "agreeing"}
