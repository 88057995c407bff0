"""The pictures of a report: clips that the model was trained on, and videos that queries found."""

from collections.abc import Iterator

import numpy as np

from animclip_jax.evaluation.rankings import group_queries
from animclip_jax.reporting.arms import Arm, Query, Rankings, Sample
from animclip_jax.reporting.pictures import Wanted
from animclip_jax.reporting.words import differences

MAIN_SAMPLES, CONTROL_SAMPLES = 6, 2
QUERIES_PER_GROUP = 4
# Of a sheet of frames: wide ones, five in a row, and all frames in one row.
CLIP_ASPECT, RESULT_ASPECT, PAIR_ASPECT = 3.0, 1.4, 100.0
GROUPS = {
    "helped": ("Re-ranking helped", "The right video ranks higher than before."),
    "hurt": ("Re-ranking hurt", "The right video ranks lower than before."),
    "right": ("Right both times", "The right video ranked first, and still does."),
    "missed": (
        "Missed both times",
        "The right video does not rank first, and its rank is the same.",
    ),
}
# What the director does, by the value of animation.preset, where a name alone tells too little.
PRESETS = {
    "repeat": "the whole picture, the same in every frame",
    "still": "one window of the picture, chosen by the director and held for every frame",
}


def chosen_samples(arms: list[Arm]) -> list[tuple[int, Arm, list[Sample]]]:
    """Each arm that kept clips, with its number and its first few clips."""
    counts = [MAIN_SAMPLES] + [CONTROL_SAMPLES] * (len(arms) - 1)
    chosen = zip(range(len(arms)), arms, counts, strict=True)
    return [(n, arm, arm.samples[:count]) for n, arm, count in chosen if arm.samples]


def chosen_queries(rankings: Rankings) -> dict[str, list[Query]]:
    """The first queries of each group of GROUPS, in the order of rankings.json."""
    before = np.array([query.coarse_rank for query in rankings.queries], int)
    after = np.array([query.reranked_rank for query in rankings.queries], int)
    return {
        group: [rankings.queries[i] for i in members[:QUERIES_PER_GROUP]]
        for group, members in group_queries(before, after).items()
    }


def wanted_pictures(arms: list[Arm]) -> Iterator[Wanted]:
    """Every picture that the page shows, as often as it may show it."""
    for _, _, samples in chosen_samples(arms):
        for sample in samples:
            yield source(sample)
            yield clip_sheet(sample)
    rankings = arms[0].rankings
    if rankings is not None:
        for queries in chosen_queries(rankings).values():
            for query in queries:
                for video in [query.target, *query.found]:
                    if video in rankings.strips:
                        yield result_sheet(rankings, video)
        for pair in rankings.pairs:
            for video in pair.videos:
                yield pair_strip(rankings, video)


def source(sample: Sample) -> Wanted:
    """The picture that a clip is made of."""
    return Wanted(sample.picture)


def clip_sheet(sample: Sample) -> Wanted:
    """The frames of a clip."""
    return Wanted(*sample.strip, CLIP_ASPECT)


def result_sheet(rankings: Rankings, video: str) -> Wanted:
    """The frames of a video that was found."""
    return Wanted(*rankings.strips[video], RESULT_ASPECT)


def pair_strip(rankings: Rankings, video: str) -> Wanted:
    """The frames of one of two siblings, in a row."""
    return Wanted(*rankings.strips[video], PAIR_ASPECT)


def meaning(main: Arm, arm: Arm) -> str:
    """What an arm does, in words."""
    preset = arm.settings.get("animation.preset")
    words = f"{PRESETS[preset].capitalize()}. " if preset in PRESETS else ""
    if arm is main:
        return words + "The main arm; its settings are at the end of this page."
    changed = differences(main, arm)
    if not changed:
        return words + "No setting differs from the main arm's."
    rest = f", and {len(changed) - 4} more" if len(changed) > 4 else ""
    return f"{words}Differs from the main arm in {', '.join(changed[:4])}{rest}."
