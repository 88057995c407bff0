"""Tests of models.motion: what is seen of motion, what is read of it, and the two together."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from animclip_jax.animation.flow import flow, places
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from animclip_jax.animation.told import AXES
from animclip_jax.models.motion import (
    CLUES,
    QUICK,
    SHOWN,
    SIGNS,
    VIDEO_GAIN,
    Motion,
    MotionConfig,
    Reader,
)
from animclip_jax.models.retriever import Retriever
from tests.plans import upright
from tests.small_model import CONFIG, SMALL, captions, clips

WITH_MOTION = dataclasses.replace(CONFIG, motion=MotionConfig(features=8, side=32))


@pytest.fixture(scope="module")
def eye() -> Motion:
    return Motion(SMALL, MotionConfig(features=16), rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def model() -> Retriever:
    return Retriever(WITH_MOTION, rngs=nnx.Rngs(0))


def texture(seed: int = 0) -> np.ndarray:
    """uint8 [1, 192, 192, 3]: no two places alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))[None]


def windows(
    right: float = 0.0, down: float = 0.0, zoom: float = 1.0, turn: float = 0.0
) -> ShotPlan:
    """Four frames of a camera that moves so much in all: sides of the canvas, and how often larger.

    turn: by how many radians the picture turns clockwise in the frame.
    """
    share = np.linspace(-0.5, 0.5, 4)
    middle = 0.5 + share[:, None] * np.array([down, right])
    half = 0.3 * zoom ** -share[:, None]
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    lean = np.stack([-share, share], axis=1) * turn * 0.6
    plan = upright(boxes[None].astype(np.float32))
    return plan._replace(shear=lean[None].astype(np.float32))


@pytest.mark.parametrize(
    ("axis", "moves"),
    [
        ("camera right", {"right": 0.2}),
        ("camera down", {"down": 0.2}),
        ("camera in", {"zoom": 1.5}),
    ],
)
def test_untrained_filters_see_which_way_the_camera_goes(
    eye: Motion, axis: str, moves: dict[str, float]
) -> None:
    """A picture that is filmed with random filters: the sign that SIGNS gives the axis."""
    ((shown, sign),) = SIGNS[axis].items()
    backwards = {name: 1 / x if name == "zoom" else -x for name, x in moves.items()}
    for wanted, amounts in ((sign, moves), (-sign, backwards)):
        frames = render(texture(), windows(**amounts), 64)
        seen = dict(zip(SHOWN, np.asarray(eye.see(eye.compare(frames)))[0], strict=True))
        assert seen[shown] * wanted > 0.2


def test_a_picture_that_turns_is_seen_to_turn(eye: Motion) -> None:
    for turn in (-0.5, 0.5):
        plan = windows(turn=turn)
        # Clockwise: what is on the right of the frame goes down.
        way = np.asarray(flow(plan, 16))[0, 0] - places(16)
        right = np.abs(places(16) - [0.0, 0.4]).max(axis=1) < 0.1
        assert np.sign(way[right, 0].mean()) == np.sign(turn)
        seen = eye.see(eye.compare(render(texture(), plan, 64)))[0, SHOWN.index("clockwise")]
        assert float(seen) * np.sign(turn) > 0.2


def test_backwards_the_opposite_is_seen(eye: Motion) -> None:
    frames = render(texture(), windows(right=0.1, zoom=1.3, turn=0.2), 64)
    forwards, backwards = (
        np.asarray(eye.see(eye.compare(way))) for way in (frames, frames[:, ::-1])
    )
    assert np.abs(forwards).max() > 0.1
    np.testing.assert_allclose(backwards, -forwards, atol=1e-5)


def test_frames_of_another_size_are_shrunk(eye: Motion) -> None:
    large, small = (render(texture(), windows(right=0.2), size) for size in (128, 64))
    seen = [np.asarray(eye.see(eye.compare(frames)))[0, 0] for frames in (large, small)]
    assert abs(seen[0] - seen[1]) < 0.2 and seen[0] < -0.2


def test_filters_learn_to_follow_the_flow() -> None:
    """The matches become more likely, and the opposite flow stays less likely than the true one."""
    eye = Motion(SMALL, MotionConfig(features=8), rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(eye)
    plans = [windows(right=0.25), windows(down=-0.25), windows(zoom=1.4)]
    clips = [(render(texture(n), plan, 64), flow(plan, eye.grid)) for n, plan in enumerate(plans)]

    def cost(state: nnx.State) -> jax.Array:
        eye = nnx.merge(graphdef, state)
        return jnp.mean(
            jnp.stack([eye.unlikely(eye.compare(frames), way)[0] for frames, way in clips])
        )

    optimizer = optax.adam(1e-2)
    step = jax.jit(jax.value_and_grad(cost))
    moments, costs = optimizer.init(state), []
    for _ in range(20):
        found, gradient = step(state)
        costs.append(float(found))
        updates, moments = optimizer.update(gradient, moments)
        state = optax.apply_updates(state, updates)
    assert costs[-1] < costs[0] - 0.5
    trained = nnx.merge(graphdef, state)
    likely = trained.compare(clips[0][0])
    opposite = flow(windows(right=-0.25), eye.grid)
    assert trained.unlikely(likely, clips[0][1])[0] < trained.unlikely(likely, opposite)[0] - 1


def test_a_code_has_one_token_more_and_re_ranking_begins_as_before(model: Retriever) -> None:
    plain = Retriever(CONFIG, rngs=nnx.Rngs(0))
    video, text = model.encode_video(clips(2)), model.encode_text(captions(2))
    code = np.asarray(video.code)
    assert code.shape[1] == WITH_MOTION.code_tokens == CONFIG.code_tokens + 1
    np.testing.assert_array_equal(code[:, :-1], plain.encode_video(clips(2)).code)
    assert float(jnp.abs(model.fine_scores(text, video)).max()) == 0.0


def test_the_score_is_what_is_asked_times_what_is_seen(model: Retriever) -> None:
    taught = nnx.clone(model)
    assert taught.motion is not None
    taught.motion.read.clues.bias = nnx.Param(jnp.arange(1.0, 1.0 + len(AXES)) / QUICK)
    taught.motion.worth[...] = jnp.asarray(0.5)
    video, text = taught.encode_video(clips(3)), taught.encode_text(captions(3))
    right, down, outwards, clockwise, apart = np.asarray(video.code)[:, -1, : len(SHOWN)].T
    wanted = 0.5 * (
        -1 * right - 2 * down + 3 * apart + 4 * right + 5 * down + 6 * outwards + 7 * clockwise
    )
    np.testing.assert_allclose(taught.fine_scores(text, video), wanted, rtol=1e-4)
    # One caption for all videos, and codes as an index stores them.
    shared = jax.tree.map(lambda part: part[:1], text)
    np.testing.assert_allclose(taught.fine_scores(shared, video), wanted, rtol=1e-4)
    stored = taught.fine_scores(text, taught.stored(video))
    np.testing.assert_allclose(stored, wanted, atol=0.5 * 28 / 127)


def test_what_is_read_does_not_depend_on_padding() -> None:
    reader = Reader(24, rngs=nnx.Rngs(0))
    of_kernel, of_words = jax.random.split(jax.random.key(0))
    reader.clues.kernel[...] = jax.random.normal(of_kernel, (CLUES, len(AXES)))
    words, length = jax.random.normal(of_words, (2, 12, 24)), jnp.array([[12], [7]])
    mask = jnp.arange(12) < length
    found = np.asarray(reader(words, mask))
    assert np.abs(found[0] - found[1]).max() > 0.1
    other = jnp.where(mask[..., None], words, 100.0)
    np.testing.assert_allclose(reader(other, mask), found, atol=1e-5)
    np.testing.assert_allclose(reader(words[1:, :7], mask[1:, :7]), found[1:], atol=1e-4)


def test_words_are_read_as_they_enter_the_tower(model: Retriever) -> None:
    """What the tower makes of them may change as it learns, and nothing else is read."""
    taught, tokens = nnx.clone(model), captions(3)
    assert taught.motion is not None
    kernel = jax.random.normal(jax.random.key(0), (CLUES, len(AXES)))
    taught.motion.read.clues.kernel[...] = kernel
    before = np.asarray(taught.encode_text(tokens).asked)
    assert np.abs(before[0] - before[1]).max() > 0.1
    taught.clip.text.norm_final.bias[...] += jnp.linspace(0.0, 9.0, 32)
    np.testing.assert_array_equal(taught.encode_text(tokens).asked, before)
    taught.clip.text.token_embedding.embedding[...] *= jnp.linspace(0.5, 2.0, 32)
    assert np.abs(np.asarray(taught.encode_text(tokens).asked) - before).max() > 0.1


def test_a_run_of_tokens_means_the_same_wherever_it_stands() -> None:
    """Tokens that are all alike except for one run: its place says nothing, its order does."""
    reader = Reader(24, rngs=nnx.Rngs(0))
    reader.clues.kernel[...] = jax.random.normal(jax.random.key(0), (CLUES, len(AXES)))
    alike, run = jax.random.normal(jax.random.key(1), (2, 1, 5, 24))
    alike = jnp.tile(alike[:, :1], (1, 20, 1))
    places = [
        jnp.concatenate([alike[:, :n], order, alike[:, n:]], axis=1)
        for n, order in ((4, run), (9, run), (15, run), (15, run[:, ::-1]))
    ]
    found = [np.asarray(reader(some, jnp.ones(some.shape[:2], bool))) for some in (alike, *places)]
    assert np.abs(found[1] - found[0]).max() > 0.1
    np.testing.assert_allclose(found[2], found[1], atol=1e-5)
    np.testing.assert_allclose(found[3], found[1], atol=1e-5)
    assert np.abs(found[4] - found[1]).max() > 0.1


def test_embeddings_begin_as_without_an_eye(model: Retriever) -> None:
    plain = Retriever(CONFIG, rngs=nnx.Rngs(0))
    for encode, given in (("encode_text", captions(2)), ("encode_video", clips(2))):
        found, wanted = (getattr(some, encode)(given).embedding for some in (model, plain))
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_embeddings_have_what_is_asked_and_what_is_seen(model: Retriever) -> None:
    """A clip and the clip backwards differ, and by as much as what is seen of them does."""
    taught, plain = nnx.clone(model), Retriever(CONFIG, rngs=nnx.Rngs(0))
    assert taught.motion is not None
    taught.motion.read.clues.bias = nnx.Param(jnp.arange(1.0, 1.0 + len(AXES)) / QUICK)
    taught.motion.of_video.kernel[...] = 0.5 / VIDEO_GAIN * taught.motion.of_text.kernel[...]
    text, frames = taught.encode_text(captions(1)), clips(1)
    way, back = (taught.encode_video(some) for some in (frames, frames[:, ::-1]))
    into = np.asarray(taught.motion.of_text.kernel[...])
    # Camera right 1, down 2, in 3; thing right 4, down 5, grows 6, clockwise 7.
    asked = np.array([4.0 - 1.0, 5.0 - 2.0, 6.0, 7.0, 3.0]) @ into
    wanted = np.asarray(plain.encode_text(captions(1)).embedding) + asked
    np.testing.assert_allclose(
        text.embedding, wanted / np.linalg.norm(wanted), rtol=1e-4, atol=1e-5
    )
    of_frames = np.asarray(plain.encode_video(frames).embedding)
    seen = np.asarray(way.code)[:, -1, : len(SHOWN)]
    assert np.abs(seen).max() > 0.01
    for video, sign in ((way, 1), (back, -1)):
        wanted = of_frames + sign * 0.5 * seen @ into
        np.testing.assert_allclose(
            video.embedding, wanted / np.linalg.norm(wanted), rtol=1e-4, atol=1e-5
        )


def test_eye_and_reader_do_not_learn_from_scores(model: Retriever) -> None:
    graphdef, state = nnx.split(model)

    def cost(state: nnx.State) -> jax.Array:
        model = nnx.merge(graphdef, state)
        assert model.motion is not None
        model.motion.read.clues.bias = nnx.Param(jnp.ones(len(AXES)))
        model.motion.of_video.kernel[...] += 1.0
        text, video = model.encode_text(captions(2)), model.encode_video(clips(2))
        return jnp.sum(model.fused_scores(text, video) ** 2)

    gradient = nnx.to_pure_dict(jax.grad(cost)(state))["motion"]
    assert not np.any(gradient["filters"]) and not np.any(gradient["sharpness"])
    assert not any(map(np.any, jax.tree.leaves(gradient["read"])))
    assert np.any(gradient["worth"])
    assert np.any(gradient["of_text"]["kernel"]) and np.any(gradient["of_video"]["kernel"])


@pytest.mark.parametrize("side", [30, 24])
def test_frames_that_are_too_small_are_an_error(side: int) -> None:
    with pytest.raises(ValueError, match=f"motion.side {side}: wanted a multiple of 4, at least"):
        MotionConfig(features=4, side=side)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": -1}, "motion.features -1: wanted a whole number from 0 to"),
        ({"features": 4, "side": 64.0}, "motion.side 64.0: wanted a whole number from 1 to"),
        ({"reach": -1}, "motion.reach -1: wanted a whole number from 0 to"),
    ],
)
def test_sizes_that_are_none_are_an_error(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MotionConfig(**changes)


def test_one_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"motion\.features: wanted 0"):
        dataclasses.replace(WITH_MOTION, num_frames=1)


def test_a_code_that_is_too_narrow_is_an_error() -> None:
    narrow = dataclasses.replace(CONFIG.reranker, code_width=4)
    with pytest.raises(ValueError, match=r"reranker\.code_width 4: wanted at least 5"):
        dataclasses.replace(WITH_MOTION, reranker=narrow)


def test_every_axis_has_a_sign() -> None:
    assert set(SIGNS) == set(AXES)
    assert {shown for signs in SIGNS.values() for shown in signs} == set(SHOWN)
