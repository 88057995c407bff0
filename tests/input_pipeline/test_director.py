"""Tests of input_pipeline.director."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import ml_collections
import numpy as np
import pytest
import tensorflow as tf

from animclip_jax.animation.config import PRESETS, AnimationConfig, Cut, Framing, Pan, Tilt, Zoom
from input_pipeline import director

CLIPS = 1000


def sizes(count: int, seed: int = 0) -> np.ndarray:
    """(height, width) with aspect ratios from 1:4 to 4:1 and short sides from 64 pixels on."""
    random = np.random.default_rng(seed)
    short = np.where(random.random(count) < 0.3, 64, random.integers(64, 3000, count))
    ratio = np.where(random.random(count) < 0.3, 4.0, random.uniform(1, 4, count))
    long = np.round(short * ratio).astype(int)
    flip = random.random(count) < 0.5
    return np.stack([np.where(flip, short, long), np.where(flip, long, short)], 1).astype(np.int32)


@functools.cache
def _draws(count: int, seed: int, components: tuple[str, ...]) -> np.ndarray:
    dataset = tf.data.Dataset.range(count).map(lambda n: director.noise(seed, n)).batch(count)
    return next(dataset.as_numpy_iterator())


def draws(count: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(_draws(count, seed, director.COMPONENTS))


def eagerly(noise: tf.Tensor, size: np.ndarray, config: AnimationConfig) -> np.ndarray:
    return director.direct(noise, tf.constant(size), config).numpy()


def in_dataset(noise: tf.Tensor, size: np.ndarray, config: AnimationConfig) -> np.ndarray:
    dataset = tf.data.Dataset.from_tensor_slices((noise, size)).batch(300)
    dataset = dataset.map(lambda n, s: director.direct(n, s, config), num_parallel_calls=2)
    return np.concatenate(list(dataset.as_numpy_iterator()))


def sides(windows: np.ndarray) -> np.ndarray:
    return windows[..., 2] - windows[..., 0]


def centres(windows: np.ndarray) -> np.ndarray:
    return (windows[..., :2] + windows[..., 2:]) / 2


def film(config: AnimationConfig, size: tuple[int, int], count: int = CLIPS) -> np.ndarray:
    return eagerly(draws(count), np.tile(np.int32(size), (count, 1)), config)


@pytest.mark.parametrize("make", [eagerly, in_dataset])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("wild", [False, True])
def test_windows_are_square_and_inside_the_picture(make: Callable, preset: str, wild: bool) -> None:
    config = AnimationConfig(preset, num_frames=9)
    if wild:
        moves = {"pan": Pan(1.0, (0.0, 9.0)), "tilt": Tilt(1.0, (0.0, 9.0))}
        framing, zoom = Framing(0.9, (0.1, 1.0)), Zoom(1.0, (1.0, 8.0))
        config = dataclasses.replace(config, framing=framing, zoom=zoom, **moves)
    size = sizes(CLIPS)
    windows = make(draws(CLIPS), size, config)
    assert windows.shape == (CLIPS, 9, 4) and windows.dtype == np.float32
    limits = np.concatenate([size, size], axis=1)[:, None, :]
    assert (windows >= 0).all() and (windows <= limits).all()
    # Square: so nothing was cut off to make them fit.
    height, width = windows[..., 2] - windows[..., 0], windows[..., 3] - windows[..., 1]
    np.testing.assert_allclose(height, width, rtol=0, atol=4e-3)
    assert height.min() >= (0.1 * 64 / 8 if wild else 0.55 * 64 / 1.6) * 0.999
    assert (height <= size.min(axis=1)[:, None] + 1e-3).all()


def test_eager_and_dataset_agree() -> None:
    config, size, noise = AnimationConfig(), sizes(CLIPS), draws(CLIPS)
    np.testing.assert_allclose(
        eagerly(noise, size, config), in_dataset(noise, size, config), rtol=1e-6, atol=1e-3
    )


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_the_shortest_clips(num_frames: int) -> None:
    config = AnimationConfig(num_frames=num_frames, cut=Cut(1.0, (0.0, 1.0)))
    windows = film(config, (100, 150))
    assert windows.shape == (CLIPS, num_frames, 4) and np.isfinite(windows).all()
    assert (sides(windows) > 1).all()


def test_repeat_is_the_largest_centred_square() -> None:
    windows = film(AnimationConfig("repeat", num_frames=3), (100, 160), 2)
    np.testing.assert_allclose(windows, np.tile(np.float32([0, 30, 100, 130]), (2, 3, 1)))


def test_still_holds_one_window_of_its_range() -> None:
    config = AnimationConfig("still", framing=Framing(1.0, (0.4, 0.6)))
    windows = film(config, (200, 300))
    assert (windows == windows[:, :1]).all()
    side = sides(windows)[:, 0]
    assert 80 <= side.min() < 85 and 115 < side.max() <= 120.001
    # It starts anywhere in the room.
    share = windows[:, 0, 1] / (300 - side)
    assert share.min() < 0.02 and share.max() > 0.98 and 0.45 < share.mean() < 0.55


def test_framing_starts_where_it_is_told() -> None:
    config = AnimationConfig("still", framing=Framing(1.0, (0.5, 0.5), (0.5, 0.5)))
    windows = film(config, (100, 200), 5)
    np.testing.assert_allclose(windows[:, 0], np.tile(np.float32([25, 75, 75, 125]), (5, 1)))


def test_zoom_is_monotone_by_its_ratio_about_one_point() -> None:
    config = AnimationConfig("zoom", zoom=Zoom(1.0, (1.5, 2.0)))
    windows = film(config, (300, 400))
    side = sides(windows)
    ratio = side[:, -1] / side[:, 0]
    zooms_in = ratio < 1
    assert 0.4 < zooms_in.mean() < 0.6
    size = np.maximum(ratio, 1 / ratio)
    assert 1.499 < size.min() < 1.55 and 1.95 < size.max() < 2.001
    change = np.diff(side, axis=1)
    assert (np.where(zooms_in[:, None], -change, change) > 0).all()
    moved = centres(windows) - centres(windows)[:, :1]
    np.testing.assert_allclose(moved, 0, atol=1e-2)


@pytest.mark.parametrize("axis", [0, 1])
def test_pan_and_tilt_travel_shares_of_the_frame(axis: int) -> None:
    move = {"pan": Pan(1.0, (0.2, 0.4))} if axis else {"tilt": Tilt(1.0, (0.2, 0.4))}
    still = {"pan": Pan(0.0), "tilt": Tilt(0.0), "zoom": Zoom(0.0)}
    framing = Framing(1.0, (0.5, 0.5))
    config = AnimationConfig("camera", framing=framing, **(still | move))
    windows = film(config, (400, 400))
    path = centres(windows)
    travel = (path[:, -1] - path[:, 0]) / 200
    np.testing.assert_allclose(travel[:, 1 - axis], 0, atol=1e-4)
    length = np.abs(travel[:, axis])
    assert 0.199 < length.min() < 0.21 and 0.39 < length.max() < 0.401
    assert 0.4 < (travel[:, axis] > 0).mean() < 0.6
    steps = np.diff(path[..., axis], axis=1) * np.sign(travel[:, axis : axis + 1])
    assert (steps > 0).all()
    # Steady shots have equal steps, eased ones are slow at both ends.
    steady = np.ptp(steps, axis=1) < 0.01
    assert 0.4 < steady.mean() < 0.6
    eased = steps[~steady]
    assert (eased[:, 0] < 0.5 * eased[:, 5]).all() and (eased[:, -1] < 0.5 * eased[:, 5]).all()


def test_travel_shrinks_to_the_room_and_starts_are_not_clamped() -> None:
    wide = AnimationConfig(
        "camera", framing=Framing(1.0, (0.8, 0.8)), pan=Pan(1.0, (5.0, 5.0)), zoom=Zoom(0.0)
    )
    windows = film(wide, (100, 150))
    travel = np.abs(np.diff(centres(windows)[..., 1][:, [0, -1]]))
    np.testing.assert_allclose(travel, 150 - 80, atol=1e-2)
    some = dataclasses.replace(wide, pan=Pan(1.0, (0.3, 0.3)), framing=Framing(1.0, (0.5, 0.5)))
    windows = film(some, (100, 100))
    ends = windows[:, [0, -1]]
    at_an_edge = (ends[..., 1] < 0.1) | (ends[..., 3] > 99.9)
    assert at_an_edge.mean() < 0.05


def test_shots_are_two_held_windows() -> None:
    config = AnimationConfig("shots", num_frames=12, cut=Cut(1.0, (0.25, 0.75)))
    windows = film(config, (300, 400))
    changes = (np.diff(windows, axis=1) != 0).any(axis=-1)
    assert (changes.sum(axis=1) == 1).all()
    first_of_second = changes.argmax(axis=1) + 1
    assert first_of_second.min() == 3 and first_of_second.max() == 8
    assert set(first_of_second) == set(range(3, 9))


def test_a_cut_keeps_the_speed_of_a_whole_clip() -> None:
    framing, pan, zoom = Framing(1.0, (0.2, 0.2)), Pan(1.0, (0.3, 0.3)), Zoom(1.0, (1.6, 1.6))
    config = AnimationConfig("full", 13, framing=framing, pan=pan, zoom=zoom, cut=Cut(1.0))
    windows = film(config, (500, 2000))
    noise = draws(CLIPS)[:, director.COMPONENTS.index("cut")]
    for clip, second in zip(windows, director.cut(noise, config.cut, 13).numpy(), strict=True):
        for shot in (clip[:second], clip[second:]):
            share = (len(shot) - 1) / 12
            x, side = centres(shot)[:, 1], sides(shot)
            assert abs(abs(x[-1] - x[0]) - 0.3 * 100 * share) < 0.01
            assert abs(side.max() / side.min() - (1 + 0.6 * share)) < 1e-3


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_components_are_on_as_often_as_told(probability: float) -> None:
    config = AnimationConfig(
        "full",
        framing=Framing(probability, (0.5, 0.7)),
        pan=Pan(probability),
        tilt=Tilt(probability),
        zoom=Zoom(probability, (1.5, 2.0)),
        cut=Cut(0.0),
    )
    windows = film(config, (500, 1000), 3000)
    moved = np.abs(centres(windows)[:, -1] - centres(windows)[:, 0]) > 0.5
    zoomed = np.abs(sides(windows)[:, -1] - sides(windows)[:, 0]) > 0.5
    framed = sides(windows).max(axis=1) < 400
    for on in (moved[:, 1], zoomed, framed):
        assert abs(on.mean() - probability) < 0.04


def test_noise_is_stateless_uniform_and_of_its_seed_and_position() -> None:
    noise = draws(2000).numpy()
    assert noise.dtype == np.float32 and (noise >= 0).all() and (noise < 1).all()
    assert abs(noise.mean() - 0.5) < 0.01 and abs(noise.std() - 12**-0.5) < 0.01
    assert len(np.unique(noise[:, 0, 0, 0])) > 1990
    assert np.abs(np.corrcoef(noise.reshape(2000, -1).T) - np.eye(noise[0].size)).max() < 0.1
    at = tf.constant(10**12, tf.int64)
    assert (director.noise(3, at).numpy() == director.noise(3, at).numpy()).all()
    assert (director.noise(3, at).numpy() != director.noise(4, at).numpy()).all()
    for n in (0, 7, 1999):
        assert (director.noise(0, tf.constant(n, tf.int64)).numpy() == noise[n]).all()


def test_a_component_more_leaves_the_others_draws_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    config, size, before = AnimationConfig(), sizes(50), draws(50)
    windows = eagerly(before, size, config)
    monkeypatch.setattr(director, "COMPONENTS", ("roll", *reversed(director.COMPONENTS)))
    after = draws(50)
    assert after.shape[1] == before.shape[1] + 1
    assert (eagerly(after, size, config) == windows).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnimationConfig("wild"), "animation.preset: found 'wild', wanted one of repeat"),
        (lambda: AnimationConfig(num_frames=0), "animation.num_frames: found 0"),
        (lambda: AnimationConfig(image_size=1.5), "animation.image_size: found 1.5"),
        (lambda: Framing(shot_size=(0.0, 1.0)), "animation.framing.shot_size: .* 0.0 < from"),
        (lambda: Framing(shot_size=(0.5, 1.1)), "animation.framing.shot_size: .* to <= 1.0"),
        (lambda: Framing(start=(-0.1, 1.0)), "animation.framing.start"),
        (lambda: Framing(probability=1.5), "animation.framing.probability: found 1.5"),
        (lambda: Pan(travel=(0.5, 0.1)), "animation.pan.travel: found .0.5, 0.1., wanted a pair"),
        (lambda: Tilt(travel=(0.1,)), "animation.tilt.travel"),
        (lambda: Zoom(ratio=(0.5, 2.0)), "animation.zoom.ratio: .* 1.0 <= from <= to$"),
        (lambda: Zoom(ratio=(1.0, float("nan"))), "animation.zoom.ratio"),
        (lambda: Cut(when=(0.5, "0.7")), "animation.cut.when"),
    ],
)
def test_what_cannot_be_filmed_is_refused(make: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("mapping", [dict, ml_collections.ConfigDict])
def test_from_dict(mapping: type) -> None:
    values = {"preset": "zoom", "num_frames": 4, "zoom": {"ratio": [1.2, 1.3]}}
    config = AnimationConfig.from_dict(mapping(values))
    assert config == AnimationConfig("zoom", 4, zoom=Zoom(ratio=(1.2, 1.3)))
    whole = dataclasses.asdict(config)
    assert AnimationConfig.from_dict(mapping(whole)) == config


def test_from_dict_refuses_names_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="animation.num_frame: .* did you mean num_frames"):
        AnimationConfig.from_dict({"num_frame": 4})
    with pytest.raises(ValueError, match="animation.zoom.ratios: .* did you mean ratio"):
        AnimationConfig.from_dict({"zoom": {"ratios": (1, 2)}})


def test_a_plan_does_not_depend_on_the_rest_of_the_batch() -> None:
    noise, size, config = draws(CLIPS), sizes(CLIPS), AnimationConfig()
    whole = eagerly(noise, size, config)
    for start, stop in ((0, 1), (5, 8), (100, 117), (3, 1000)):
        part = eagerly(noise[start:stop], size[start:stop], config)
        assert part.tobytes() == whole[start:stop].tobytes()
