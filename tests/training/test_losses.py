"""Losses on literal matrices, and what must not change them."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models.retriever import Retriever
from animclip_jax.models.towers import CLIP
from animclip_jax.training import hard_negatives, losses
from tests.small_model import CONFIG, RERANKER, captions, clips

NOTHING_SHARED = jnp.eye(2, dtype=bool)
KEY = jax.random.key(0)


def test_same_pair_finds_equal_captions_and_equal_items():
    tokens = jnp.array([[1, 2], [1, 3], [1, 2], [4, 4]])
    same = hard_negatives.same_pair(tokens, jnp.array([0, 1, 2, 1]))
    wanted = np.eye(4, dtype=bool)
    wanted[0, 2] = wanted[2, 0] = True  # the same caption
    wanted[1, 3] = wanted[3, 1] = True  # the same item
    np.testing.assert_array_equal(same, wanted)


def test_a_clip_backwards_is_a_negative_of_its_sibling_and_of_no_other_clip_of_its_item():
    tokens = jnp.arange(10).reshape(5, 2)
    index = jnp.array([3, -1 - 3, 7, 9, -1 - 9])
    wanted = np.eye(5, dtype=bool)
    np.testing.assert_array_equal(hard_negatives.same_pair(tokens, index), wanted)
    wanted = np.zeros((5, 5), bool)
    wanted[0, 1] = wanted[1, 0] = wanted[3, 4] = wanted[4, 3] = True
    np.testing.assert_array_equal(hard_negatives.siblings(index), wanted)
    twice = hard_negatives.same_pair(tokens, jnp.array([-1, -1, 2, 3, 4]))
    assert twice[0, 1] and twice[1, 0]


@pytest.mark.parametrize(
    ("index", "partners"),
    [
        # Where an epoch ends: a clip that is filmed apart, before and after the two.
        ([4, 2, 4, -1 - 4, 4, 3], [(2, 3)]),
        ([4, -1 - 4, 4, -1 - 4], [(0, 1), (2, 3)]),
        # Groups of two, of a source of one group.
        ([0, 1, -1, -2, 0, 1, 0, -2], [(0, 2), (1, 3), (5, 7)]),
    ],
)
def test_of_an_example_that_comes_again_only_the_clip_that_was_turned_is_a_sibling(index, partners):
    """The others are filmed apart: what a caption says of one may be true of them, too."""
    wanted = np.zeros((len(index), len(index)), bool)
    for one, other in partners:
        wanted[one, other] = wanted[other, one] = True
    sibling = hard_negatives.siblings(jnp.array(index))
    np.testing.assert_array_equal(sibling, wanted)
    item = np.array([i if i >= 0 else -1 - i for i in index])
    same = hard_negatives.same_pair(jnp.arange(len(index))[:, None], jnp.array(index))
    np.testing.assert_array_equal(same, (item[:, None] == item) & ~wanted)


def test_siblings_whose_captions_are_cut_off_before_they_differ_are_no_negatives():
    tokens, index = jnp.array([[1, 2], [1, 2], [3, 4]]), jnp.array([5, -6, 0])
    same, sibling = hard_negatives.same_pair(tokens, index), hard_negatives.siblings(index)
    assert same[0, 1] and same[1, 0]
    _, videos, _ = hard_negatives.pairs(jnp.zeros((3, 3)), same, KEY, 1, sibling)
    assert videos.reshape(3, 3)[0, 1] == 2


@pytest.mark.parametrize("count", [1, 3])
def test_a_sibling_is_always_among_the_hard_negatives(count):
    """Its logit is that of the right pair; 61 others together are far more probable."""
    index = jnp.arange(64).at[1].set(-1)
    sibling = hard_negatives.siblings(index)
    same = hard_negatives.same_pair(jnp.arange(64)[:, None], index)
    for seed in range(20):
        key = jax.random.key(seed)
        texts, videos, valid = hard_negatives.pairs(jnp.zeros((64, 64)), same, key, count, sibling)
        texts, videos = texts.reshape(64, -1), videos.reshape(64, -1)
        for row, other in ((0, 1), (1, 0)):
            assert other in videos[row, 1 : 1 + count] and other in texts[row, 1 + count :]
        assert all(of.all() for of in valid)
        assert (jnp.sort(videos[:, 1 : 1 + count]) != jnp.arange(64)[:, None]).all()


@pytest.fixture(scope="module")
def model() -> Retriever:
    return Retriever(CONFIG, rngs=nnx.Rngs(0))


def features(model: Retriever):
    text, video = model.encode_text(captions(4)), model.encode_video(clips(4))
    logits = model.clip.logit_scale * text.embedding @ video.embedding.T
    return text, video, logits


@pytest.fixture(scope="module")
def trained(model) -> Retriever:
    """A model whose score head is no longer zero."""
    other = nnx.clone(model)
    other.reranker.head_out.kernel[...] = jax.random.normal(jax.random.key(1), (24, 1))
    return other


def mined(hard_negatives: int, kind: str = "listwise") -> losses.LossConfig:
    return losses.LossConfig(1.0, hard_negatives, matching=kind)


def listwise_by_hand(fine: np.ndarray, negatives: dict[int, list[int]]) -> float:
    """Cross-entropy of the diagonal of fine scores [B, B] against each row's negatives."""
    terms = []
    for i, others in negatives.items():
        scores = np.array([fine[i, i], *(fine[i, j] for j in others)])
        terms.append(np.log(np.exp(scores - fine[i, i]).sum()))
    return float(np.mean(terms))


def all_fine_scores(model: Retriever, text, video) -> np.ndarray:
    rows, columns = (x.ravel() for x in np.mgrid[:4, :4])
    pairs = jax.tree.map(lambda x: x[rows], text), jax.tree.map(lambda x: x[columns], video)
    return np.asarray(model.fine_scores(*pairs)).reshape(4, 4)


def test_matching_knows_nothing_at_the_start(model):
    text, video, logits = features(model)
    found = losses.matching(model, text, video, logits, jnp.eye(4, dtype=bool), KEY, mined(2))
    assert found == pytest.approx(np.log(3), rel=1e-6)


def test_matching_over_all_negatives_is_the_softmax_of_the_fine_scores(trained):
    text, video, logits = features(trained)
    found = losses.matching(trained, text, video, logits, jnp.eye(4, dtype=bool), KEY, mined(3))
    fine = all_fine_scores(trained, text, video)
    everyone = {i: [j for j in range(4) if j != i] for i in range(4)}
    wanted = (listwise_by_hand(fine, everyone) + listwise_by_hand(fine.T, everyone)) / 2
    assert found == pytest.approx(wanted, rel=1e-4)


def test_matching_draws_what_the_coarse_logits_find_probable(trained):
    text, video, _ = features(trained)
    # Differences of thousands: the noise of the draw changes nothing.
    logits = 1e4 * jnp.array([[0, 3, 2, 1], [1, 0, 2, 3], [3, 1, 0, 2], [1, 2, 3, 0.0]])
    found = losses.matching(trained, text, video, logits, jnp.eye(4, dtype=bool), KEY, mined(1))
    fine = all_fine_scores(trained, text, video)
    by_text, by_video = {0: [1], 1: [3], 2: [0], 3: [2]}, {0: [2], 1: [0], 2: [3], 3: [1]}
    wanted = (listwise_by_hand(fine, by_text) + listwise_by_hand(fine.T, by_video)) / 2
    assert found == pytest.approx(wanted, rel=1e-4)


def test_matching_draws_other_negatives_by_another_key(trained):
    text, video, _ = features(trained)
    same = jnp.eye(4, dtype=bool)
    found = [
        float(losses.matching(trained, text, video, jnp.zeros((4, 4)), same, key, mined(1)))
        for key in (KEY, KEY, jax.random.key(7))
    ]
    assert found[0] == found[1] != found[2]


def test_matching_ignores_false_negatives(trained):
    text, video, logits = features(trained)
    same = np.eye(4, dtype=bool)
    same[0, 1:] = same[1:, 0] = True
    found = losses.matching(trained, text, video, logits, jnp.asarray(same), KEY, mined(3))
    fine = all_fine_scores(trained, text, video)
    # The first pair has no negatives left and costs nothing.
    left = {0: [], 1: [2, 3], 2: [1, 3], 3: [1, 2]}
    wanted = (listwise_by_hand(fine, left) + listwise_by_hand(fine.T, left)) / 2
    assert found == pytest.approx(wanted, rel=1e-4)


def test_matching_leaves_the_embeddings_alone(trained):
    text, video, _ = features(trained)

    def loss(embedding: jax.Array) -> jax.Array:
        changed = video._replace(embedding=embedding)
        logits = 10 * text.embedding @ embedding.T
        same = jnp.eye(4, dtype=bool)
        return losses.matching(trained, text, changed, logits, same, KEY, mined(2))

    assert np.abs(jax.grad(loss)(video.embedding)).max() == 0


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_sigmoid_contrastive_by_hand():
    logits = np.random.default_rng(0).normal(size=(4, 4)) * 3
    same = np.eye(4, dtype=bool)
    same[0, 2] = same[2, 0] = same[1, 3] = True
    total = 0.0
    for i in range(4):
        for j in range(4):
            if i == j:
                total -= np.log(sigmoid(logits[i, j]))
            elif not same[i, j]:
                total -= np.log(1 - sigmoid(logits[i, j]))
    found = losses.sigmoid_contrastive(jnp.asarray(logits, jnp.float32), jnp.asarray(same))
    assert found == pytest.approx(total / 4, rel=1e-5)


def test_softmax_contrastive_by_hand():
    logits = np.random.default_rng(1).normal(size=(5, 5)) * 3
    same = np.eye(5, dtype=bool)
    same[0, 2] = same[2, 0] = same[1, 3] = True
    total = 0.0
    for scores, false in ((logits, same), (logits.T, same.T)):
        for i in range(5):
            kept = [np.exp(scores[i, j]) for j in range(5) if j == i or not false[i, j]]
            total -= np.log(np.exp(scores[i, i]) / sum(kept))
    found = losses.contrastive(jnp.asarray(logits, jnp.float32), jnp.asarray(same))
    assert found == pytest.approx(total / 10, rel=1e-5)


def test_binary_matching_by_hand(trained):
    text, video, logits = features(trained)
    same = np.eye(4, dtype=bool)
    same[0, 1] = same[1, 0] = True
    found = losses.matching(
        trained, text, video, logits, jnp.asarray(same), KEY, mined(3, "binary")
    )
    fine = all_fine_scores(trained, text, video)
    right = np.mean([np.log(sigmoid(fine[i, i])) for i in range(4)])
    wrong = [np.log(1 - sigmoid(fine[i, j])) for i, j in zip(*np.nonzero(~same), strict=True)]
    assert found == pytest.approx(-(right + np.mean(wrong)) / 2, rel=1e-4)


def test_without_negatives_binary_matching_costs_what_its_positives_do():
    positive = jnp.array([0.3, -2.0])
    found = losses.binary(positive, jnp.zeros((2, 1)), jnp.zeros((2, 1), bool))
    wanted = -np.mean(np.log(sigmoid(np.asarray(positive)))) / 2
    assert found == pytest.approx(wanted, rel=1e-5)


def test_without_fusion_what_the_score_adds_to_the_coarse_is_compared():
    config = dataclasses.replace(CONFIG, reranker=dataclasses.replace(RERANKER, fusion=False))
    model = Retriever(config, rngs=nnx.Rngs(0))
    text, video, logits = features(model)
    found = losses.matching(model, text, video, logits, jnp.eye(4, dtype=bool), KEY, mined(3))
    everyone = {i: [j for j in range(4) if j != i] for i in range(4)}
    less = -np.asarray(logits)  # the fine scores are zero at the start
    wanted = (listwise_by_hand(less, everyone) + listwise_by_hand(less.T, everyone)) / 2
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("hard_negatives", [0, 4])
def test_more_negatives_than_a_batch_has_are_refused(model, hard_negatives):
    text, video, logits = features(model)
    with pytest.raises(ValueError, match=f"hard_negatives is {hard_negatives}: wanted 1 to 3"):
        same = jnp.eye(4, dtype=bool)
        losses.matching(model, text, video, logits, same, KEY, mined(hard_negatives))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"contrastive": "hinge"}, "loss.contrastive 'hinge': wanted one of softmax, sigmoid"),
        ({"matching": "pairs"}, "loss.matching 'pairs': wanted one of listwise, binary"),
    ],
)
def test_losses_that_are_none_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        losses.LossConfig(1.0, 2, **changes)


def loss_of(model, config):
    """The loss of four clips and their captions, and its terms."""
    text, video = model.encode_text(captions(4)), model.encode_video(clips(4))
    same = hard_negatives.same_pair(captions(4), jnp.arange(4))
    return losses.feature_loss(model, text, video, same, KEY, config)


def test_without_a_matching_weight_the_reranker_is_not_computed(model, monkeypatch):
    monkeypatch.setattr(losses, "matching", None)
    loss, terms = loss_of(model, losses.LossConfig(0.0, 2))
    assert loss == terms["contrastive"] and "matching" not in terms


def test_the_sigmoid_loss_learns_its_bias_and_no_score_has_it():
    towers = dataclasses.replace(CLIP, logit_bias=True)
    clip = dataclasses.replace(CONFIG.clip, towers=towers)
    model = Retriever(dataclasses.replace(CONFIG, clip=clip), rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(model)
    config = losses.LossConfig(0.5, 2, contrastive="sigmoid")

    def loss(params: dict) -> tuple[jax.Array, dict]:
        return loss_of(nnx.merge(graphdef, params), config)

    gradient, terms = jax.grad(loss, has_aux=True)(nnx.to_pure_dict(state))
    assert np.abs(gradient["clip"]["logit_bias"]) > 1e-3
    text, video, logits = features(model)
    wanted = losses.sigmoid_contrastive(
        logits - 10, hard_negatives.same_pair(captions(4), jnp.arange(4))
    )
    assert terms["contrastive"] == pytest.approx(float(wanted), rel=1e-4)
    np.testing.assert_allclose(model.fused_scores(text, video), jnp.diagonal(logits), rtol=1e-4)


def test_the_loss_is_the_weighted_sum_of_its_terms(model):
    loss, terms = loss_of(model, losses.LossConfig(0.3, 2))
    assert loss == pytest.approx(float(terms["contrastive"] + 0.3 * terms["matching"]), rel=1e-6)


@pytest.mark.parametrize(
    ("log", "most", "then"),
    [
        (math.log(100) + 1e-3, 100.0, math.log(100)),
        (math.log(99), 100.0, math.log(99)),
        (7.0, 0.0, 7.0),
    ],
)
def test_after_a_step_the_temperature_gives_the_most_at_most(log, most, then):
    other = jnp.ones(3)
    given = {"clip": {"log_logit_scale": jnp.float32(log), "text": other}, "reranker": other}
    cut = losses.cut_scale(given, most)
    np.testing.assert_allclose(cut["clip"]["log_logit_scale"], then, rtol=1e-6)
    assert cut["clip"]["text"] is other and cut["reranker"] is other
