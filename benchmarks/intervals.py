"""How often 95 % intervals hold the true number, and how often two equal runs are called different.

    python -m benchmarks.intervals

Ranks are drawn from a population that is known: captions share their video's difficulty, and a few
ranks are great, as in real results. Nothing but the library's own functions is asked.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from animclip_jax.evaluation import metrics

NAMES = ("R@1", "R@10", "MdR", "MnR")


class Setting(NamedTuple):
    """A test of so many videos, each with so many captions, and a model of so many logs of ranks.

    middle, spread: of the logarithm of a rank. sets: how many tests are drawn.
    """

    what: str
    videos: int
    captions: int
    middle: float
    spread: float
    sets: int


SETTINGS = tuple(
    Setting(what, videos, captions, middle, spread, sets)
    for what, middle, spread in (("strong", -0.5, 2.2), ("weak", 2.5, 1.8))
    for videos, captions, sets in ((100, 1, 600), (300, 1, 300), (100, 20, 300))
)


def drawn(random: np.random.Generator, setting: Setting, alike: float, runs: int) -> np.ndarray:
    """Ranks int [runs, videos * captions] of runs whose queries are as hard for one another."""
    shape = setting.videos, setting.captions

    def difficulty(*size: int) -> np.ndarray:
        video, caption = (
            random.normal(size=(*size, shape[0], 1)),
            random.normal(size=(*size, *shape)),
        )
        return (video + caption) / np.sqrt(2)

    both = np.sqrt(alike) * difficulty() + np.sqrt(1 - alike) * difficulty(runs)
    ranks = 1 + np.exp(setting.middle + setting.spread * both)
    return np.minimum(ranks, setting.videos).astype(int).reshape(runs, -1)


def covered(random: np.random.Generator, setting: Setting) -> dict[str, float]:
    """How many percent of the intervals hold the number that very many queries have."""
    gallery = setting.videos
    many = [drawn(random, setting, 0.5, 1)[0] for _ in range(400_000 // gallery)]
    truth = metrics.summary(np.concatenate(many))
    cluster = np.repeat(np.arange(gallery), setting.captions)
    held = dict.fromkeys(NAMES, 0)
    for _ in range(setting.sets):
        found = metrics.intervals(drawn(random, setting, 0.5, 1)[0], cluster)
        for name in NAMES:
            held[name] += found[name][0] <= truth[name] <= found[name][1]
    return {name: 100 * count / setting.sets for name, count in held.items()}


def called_different(random: np.random.Generator, setting: Setting) -> dict[str, float]:
    """How many percent of pairs of equal runs, whose queries are alike, are called different."""
    cluster = np.repeat(np.arange(setting.videos), setting.captions)
    called = dict.fromkeys(NAMES, 0)
    for _ in range(setting.sets):
        ours, theirs = drawn(random, setting, 0.8, 2)
        found = metrics.differences(ours, theirs, cluster)
        for name in NAMES:
            called[name] += found[name]["lower"] > 0 or found[name]["upper"] < 0
    return {name: 100 * count / setting.sets for name, count in called.items()}


def lines(settings: tuple[Setting, ...] = SETTINGS) -> Iterator[str]:
    """The table in Markdown."""
    both = [f"{name} {what}" for what in ("holds", "false") for name in NAMES]
    yield f"| model | videos | captions a video | {' | '.join(both)} |"
    yield "|" + " --- |" * (3 + len(both))
    for setting in settings:
        random = np.random.default_rng(1)
        found = covered(random, setting), called_different(random, setting)
        cells = [f"{one[name]:.1f}" for one in found for name in NAMES]
        yield f"| {setting.what} | {setting.videos} | {setting.captions} | {' | '.join(cells)} |"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
