"""Losses on literal matrices, and what must not change them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax import losses
from animclip_jax.models.retriever import Retriever
from tests.models.test_retriever import CONFIG, captions, clips

NOTHING_SHARED = jnp.eye(2, dtype=bool)


def test_contrastive_of_a_literal_matrix():
    logits = jnp.array([[2.0, 0.0], [1.0, 3.0]])
    rows = [np.exp(2) / (np.exp(2) + 1), np.exp(3) / (np.exp(1) + np.exp(3))]
    columns = [np.exp(2) / (np.exp(2) + np.exp(1)), np.exp(3) / (1 + np.exp(3))]
    wanted = -np.mean(np.log(rows + columns))
    assert losses.contrastive(logits, NOTHING_SHARED) == pytest.approx(wanted, rel=1e-6)


def test_equal_embeddings_cost_the_log_of_the_batch():
    assert losses.contrastive(jnp.zeros((8, 8)), jnp.eye(8, dtype=bool)) == pytest.approx(
        np.log(8), rel=1e-6
    )


def test_false_negatives_are_left_out():
    logits = jnp.array([[2.0, 9.0, 0.0], [9.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    same = np.eye(3, dtype=bool)
    same[0, 1] = same[1, 0] = True
    smaller = logits[jnp.array([0, 2])][:, jnp.array([0, 2])]
    with_mask = losses.contrastive(logits, jnp.asarray(same))
    assert with_mask < losses.contrastive(logits, jnp.eye(3, dtype=bool))
    # Each of the twins sees the third item only, as in the batch without its twin.
    np.testing.assert_allclose(
        3 * with_mask,
        2 * losses.contrastive(smaller, NOTHING_SHARED) + _twin(logits),
        rtol=1e-6,
    )


def _twin(logits: jax.Array) -> float:
    """What one twin and the third item's second wrong answer add: log-softmaxes by hand."""
    own = -np.log(np.exp(2) / (np.exp(2) + 1))
    third = -np.log(np.exp(2) / (np.exp(2) + 2)) + np.log(np.exp(2) / (np.exp(2) + 1))
    return float(own + third)


def test_same_pair_finds_equal_captions_and_equal_items():
    tokens = jnp.array([[1, 2], [1, 3], [1, 2], [4, 4]])
    same = losses.same_pair(tokens, jnp.array([0, 1, 2, 1]))
    wanted = np.eye(4, dtype=bool)
    wanted[0, 2] = wanted[2, 0] = True  # the same caption
    wanted[1, 3] = wanted[3, 1] = True  # the same item
    np.testing.assert_array_equal(same, wanted)


@pytest.fixture(scope="module")
def model() -> Retriever:
    return Retriever(CONFIG, rngs=nnx.Rngs(0))


def features(model: Retriever):
    text, video = model.encode_text(captions(4)), model.encode_video(clips(4))
    logits = model.clip.logit_scale * text.embedding @ video.embedding.T
    return text, video, logits


def test_matching_at_the_start_is_the_coarse_softmax_over_the_hard_negatives(model):
    text, video, logits = features(model)
    found = losses.matching(model, text, video, logits, jnp.eye(4, dtype=bool), 3)
    # Three negatives of a batch of four are all there are, and fused = coarse at the start.
    assert found == pytest.approx(
        float(losses.contrastive(logits, jnp.eye(4, dtype=bool))), rel=1e-5
    )


def test_matching_takes_the_hardest_negatives(model):
    text, video, logits = features(model)
    found = losses.matching(model, text, video, logits, jnp.eye(4, dtype=bool), 1)
    wanted = 0.0
    for scores in (np.asarray(logits), np.asarray(logits).T):
        for i in range(4):
            hardest = max(scores[i, j] for j in range(4) if j != i)
            wanted += np.log1p(np.exp(hardest - scores[i, i])) / 8
    assert found == pytest.approx(wanted, rel=1e-5)


def test_matching_ignores_false_negatives(model):
    text, video, logits = features(model)
    same = np.eye(4, dtype=bool)
    same[0, 1:] = same[1:, 0] = True
    three = losses.matching(model, text, video, logits, jnp.asarray(same), 3)
    few = jax.tree.map(lambda x: x[1:], (text, video))
    alone = losses.matching(model, *few, logits[1:, 1:], jnp.eye(3, dtype=bool), 2)
    # The first pair has no negatives left and costs nothing.
    assert 4 * three == pytest.approx(3 * float(alone), rel=1e-5)


def test_matching_leaves_the_embeddings_alone(model):
    text, video, logits = features(model)

    def loss(embedding: jax.Array) -> jax.Array:
        changed = video._replace(embedding=embedding)
        return losses.matching(model, text, changed, logits, jnp.eye(4, dtype=bool), 2)

    assert np.abs(jax.grad(loss)(video.embedding)).max() == 0


def test_retrieval_loss_is_the_weighted_sum_of_its_terms(model):
    index = jnp.arange(4)
    loss, terms = losses.retrieval_loss(
        model, clips(4), captions(4), index, matching_weight=0.3, hard_negatives=2
    )
    assert loss == pytest.approx(float(terms["contrastive"] + 0.3 * terms["matching"]), rel=1e-6)
