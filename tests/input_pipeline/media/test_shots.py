"""Tests of input_pipeline.media.shots: which changes are found, at which frame, and how soon."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from input_pipeline.media.shots import Shots
from tests.textures import HEIGHT, WIDTH, dissolved, faded, still, texture

RATE = 24


def changes(frames: np.ndarray, rate: float = RATE, format: str = "rgb24") -> list[int]:
    """The changes in frames uint8 [T, H, W, 3]."""
    shots = Shots(rate)
    for frame in frames:
        one = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        shots.look(one.reformat(format=format))
    shots.finish()
    return shots.changes


def pan(step: int, count: int) -> np.ndarray:
    """A camera that moves over a wide texture."""
    wide = np.concatenate([texture(seed) for seed in range(20, 30)], axis=1)
    return np.stack([wide[:, step * n : step * n + WIDTH] for n in range(count)])


@pytest.mark.parametrize("rate", [5, 12, 24, 60])
def test_a_cut_is_found_to_the_frame_at_any_rate(rate: int) -> None:
    shots = [still(seed, round(seconds * rate)) for seed, seconds in ((0, 2), (1, 1.6), (2, 3))]
    wanted = np.cumsum([len(shot) for shot in shots])[:-1].tolist()
    assert changes(np.concatenate(shots), rate) == wanted


def test_shots_of_the_same_colours_are_told_apart() -> None:
    before = still(0, 48)
    assert changes(np.concatenate([before, before[:, ::-1, ::-1]])) == [48]


@pytest.mark.parametrize("count", [8, 12, 24, 36])
def test_a_change_is_found_in_a_dissolve(count: int) -> None:
    film = dissolved(still(0, 80), still(1, 80), count)
    (found,) = changes(film)
    assert 80 - count < found < 80


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("count, held", [(6, 0), (10, 5), (18, 3)])
def test_one_change_is_found_in_a_fade_to_a_colour_and_back(
    count: int, held: int, colour: int
) -> None:
    film = faded(still(0, 80), still(1, 80), count, colour, held + 1)
    (found,) = changes(film)
    assert 80 - count < found <= 80 + held + 1 + count


def test_a_picture_that_comes_back_after_long_black_begins_a_shot() -> None:
    black = np.zeros((96, HEIGHT, WIDTH, 3), np.uint8)
    found = changes(np.concatenate([still(0, 48), black, still(1, 48)]))
    assert found[-1] == 144
    assert changes(np.concatenate([black, still(0, 48)])) == [96]
    assert changes(np.concatenate([still(0, 48), black])) == [48]


def test_a_picture_may_turn_into_its_negative() -> None:
    film = dissolved(still(0, 60), 255 - still(0, 60), 12)
    assert all(48 < change < 60 for change in changes(film))


def test_a_flash_is_no_cut() -> None:
    film = still(0, 96)
    film[40:43] = 255
    film[70] = texture(9)
    assert changes(film) == []


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_camera_that_moves_makes_no_change(step: int) -> None:
    assert changes(pan(step, 96)) == []


def test_a_picture_that_grows_darker_stays_the_same_shot() -> None:
    light = np.concatenate([np.ones(24), np.linspace(1, 0.4, 24), np.full(48, 0.4)])
    assert changes((still(0, 96) * light[:, None, None, None]).astype(np.uint8)) == []


def test_pictures_that_stand_for_several_frames_are_no_cuts() -> None:
    assert changes(pan(10, 24).repeat(6, axis=0)) == []


@pytest.mark.parametrize("format", ["gray", "yuv420p", "yuv422p10le", "rgb8", "rgba", "nv12"])
def test_any_kind_of_pixels_is_read(format: str) -> None:
    assert changes(np.concatenate([still(0, 48), still(1, 48)]), format=format) == [48]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 300), (300, 1)])
def test_the_smallest_pictures_are_read(size: tuple[int, int]) -> None:
    dark, bright = np.zeros((48, *size, 3), np.uint8), np.full((48, *size, 3), 255, np.uint8)
    assert changes(np.concatenate([dark, bright])) == [48]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_film_of_few_frames_is_one_shot_or_has_its_cuts(count: int) -> None:
    assert changes(still(0, count)) == []
    assert changes(still(0, count), 0.2) == []


def test_what_is_settled_stays_so_and_is_soon() -> None:
    random = np.random.default_rng(0)
    black = np.zeros((20 * RATE, HEIGHT, WIDTH, 3), np.uint8)
    film = np.concatenate([still(0, 60), black, still(1, 40)])
    for seed in range(2, 7):
        film = dissolved(film, still(seed, 70), int(random.integers(8, 34)))
    shots, settled = Shots(RATE), 0
    known: list[int] = []
    for number, picture in enumerate(film):
        shots.look(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        assert shots.settled >= settled and [c for c in shots.changes if c < settled] == known
        settled = shots.settled
        known = [change for change in shots.changes if change < settled]
        assert number - settled <= 5 * RATE
    shots.finish()
    assert shots.settled == len(film) and [c for c in shots.changes if c < settled] == known
    assert len(shots.changes) >= 6 and shots.changes == sorted(shots.changes)


def test_the_rate_may_be_any_number() -> None:
    for rate in (Fraction(30000, 1001), 0.01, 1000.0):
        assert changes(still(0, 30), float(rate)) == []
