"""Films of known truth: shots of other videos, joined by cuts, dissolves and fades."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from input_pipeline.drawn.raster import still
from input_pipeline.drawn.scene import scene
from input_pipeline.media.container import decode, opened
from input_pipeline.media.video import write_video

WIDTH, HEIGHT, FPS = 384, 216, 24
# Seconds of a shot, of a dissolve, of each half of a fade, and of the black between.
SHOT, DISSOLVE, FADE, BLACK = (2.0, 5.0), (0.3, 1.5), (0.25, 0.8), (0.0, 0.3)
SHOTS = 10
KINDS = ("cut", "dissolve", "fade")
DRAWN_SPLIT, DRAWN_SIDE, DRAWN_SECONDS = "val", 480, 5


class Change(NamedTuple):
    """Where a shot gives way to the next.

    first: the first frame that is not of the one alone. last: the first that is of the next alone;
    of a cut they are the same.
    """

    kind: str
    first: int
    last: int


def read_clip(path: Path) -> np.ndarray:
    """A video at our size and rate, uint8 [T, HEIGHT, WIDTH, 3]."""
    times, pictures = [], []
    with opened(path) as film:
        for frame in decode(film):
            times.append(len(times) / FPS if frame.time is None else frame.time)
            pictures.append(frame.to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT))
    at = times[0] + np.arange(0, times[-1] - times[0], 1 / FPS)
    return np.stack([pictures[n] for n in np.searchsorted(times, at, "right") - 1])


def drawn_clip(number: int) -> np.ndarray:
    """A camera that moves over a drawn scene for DRAWN_SECONDS, uint8 [T, HEIGHT, WIDTH, 3].

    Drawn videos themselves have 4 pictures a second, and most of the view may change between two.
    """
    large = Image.fromarray(still(scene(DRAWN_SPLIT, number))).resize((DRAWN_SIDE, DRAWN_SIDE))
    random = np.random.default_rng(number)
    room = DRAWN_SIDE - np.array([WIDTH, HEIGHT])
    begin, end = random.uniform(0, 1, (2, 2)) * room
    count = DRAWN_SECONDS * FPS
    corners = begin + np.linspace(0, 1, count)[:, None] * (end - begin)
    boxes = [(x, y, x + WIDTH, y + HEIGHT) for x, y in corners.tolist()]
    return np.stack([np.asarray(large.resize((WIDTH, HEIGHT), box=box)) for box in boxes])


def film(
    clips: Sequence[np.ndarray], kind: str, random: np.random.Generator
) -> tuple[np.ndarray, list[Change]]:
    """Shots of as many clips joined in their order: uint8 [T, HEIGHT, WIDTH, 3], and the truth."""
    shots = [_part(clip, random) for clip in clips]
    parts, changes, length = [shots[0]], [], len(shots[0])
    for shot in shots[1:]:
        before = parts.pop()
        length -= len(before)
        joined, first, last = _joined(before, shot, kind, random)
        changes.append(Change(kind, length + first, length + last))
        # What is mixed is done with; the next change is made of the rest.
        parts += [joined[:last], joined[last:]]
        length += len(joined)
    return np.concatenate(parts), changes


def _part(clip: np.ndarray, random: np.random.Generator) -> np.ndarray:
    length = min(len(clip), round(random.uniform(*SHOT) * FPS))
    start = int(random.integers(len(clip) - length + 1))
    return clip[start : start + length]


def _frames(
    seconds: tuple[float, float], shots: Sequence[np.ndarray], random: np.random.Generator
) -> int:
    """So many frames, half of the shorter shot at most."""
    return min(round(random.uniform(*seconds) * FPS), *(len(one) // 2 for one in shots))


def _joined(
    before: np.ndarray, after: np.ndarray, kind: str, random: np.random.Generator
) -> tuple[np.ndarray, int, int]:
    """Two shots joined, and the first and the last frame of the change."""
    if kind == "cut":
        return np.concatenate([before, after]), len(before), len(before)
    both = before, after
    if kind == "dissolve":
        count = max(2, _frames(DISSOLVE, both, random))
        share = (np.arange(1, count + 1) / (count + 1))[:, None, None, None]
        mixed = np.rint((1 - share) * before[-count:] + share * after[:count]).astype(np.uint8)
        first = len(before) - count
        return np.concatenate([before[:first], mixed, after[count:]]), first, len(before)
    out, back = max(2, _frames(FADE, both, random)), max(2, _frames(FADE, both, random))
    black = round(random.uniform(*BLACK) * FPS)
    down = (1 - np.arange(1, out + 1) / (out + 1))[:, None, None, None]
    up = (np.arange(1, back + 1) / (back + 1))[:, None, None, None]
    parts = [
        before[:-out],
        np.rint(before[-out:] * down).astype(np.uint8),
        np.zeros((black, *before.shape[1:]), np.uint8),
        np.rint(after[:back] * up).astype(np.uint8),
        after[back:],
    ]
    first = len(before) - out
    return np.concatenate(parts), first, first + out + black + back


def write_films(
    directory: Path, clips: Sequence[np.ndarray], count: int, seed: int
) -> dict[str, list[Change]]:
    """Writes `count` films of each kind; what changes in each, by its name."""
    truth = {}
    for number, kind in enumerate(KINDS):
        for one in range(count):
            random = np.random.default_rng([seed, number, one])
            chosen = random.choice(len(clips), min(SHOTS, len(clips)), replace=False)
            pictures, changes = film([clips[n] for n in chosen], kind, random)
            name = f"{kind}-{one:02}.mp4"
            write_video(directory / name, pictures, FPS)
            truth[name] = changes
    return truth
