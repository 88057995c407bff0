"""Which of two does a caption describe: its own video, or one that differs in one thing?

The two are siblings, and the caption is false of the other one. Whoever can't see that thing is
right half of the time. So equal scores, as a mean over the same frames in another order gives them,
count as half: against us, as ranks count them, they would look worse than chance.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from animclip_jax.evaluation import metrics
from animclip_jax.evaluation.two_stage import Search
from input_pipeline.examples import Told

# What is reported of all captions with a sibling, beside each thing that siblings differ in.
MOTION, OTHERS = "motion", "others"
# Scores are equal within this share of them, and this much.
ROUNDING = 1e-5, 1e-6


class Siblings(NamedTuple):
    """M captions whose video has a sibling that is searched, too.

    caption, own, other: int [M], numbers of the caption, of its video and of the sibling. motion:
    bool [M], whether the caption names a motion. differs: what the two differ in.
    """

    caption: np.ndarray
    own: np.ndarray
    other: np.ndarray
    motion: np.ndarray
    differs: np.ndarray

    @property
    def pair(self) -> np.ndarray:
        """A number for each pair of videos: int [M]."""
        both = np.sort(np.stack([self.own, self.other], axis=1), axis=1)
        return np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)

    @property
    def group(self) -> np.ndarray:
        """The first video of each caption's pair and of those that share videos: int [M]."""
        first = np.arange(1 + max(self.own.max(), self.other.max()))
        while True:
            least = np.minimum(first[self.own], first[self.other])
            if np.array_equal(first[self.own], least) and np.array_equal(first[self.other], least):
                return least
            np.minimum.at(first, self.own, least)
            np.minimum.at(first, self.other, least)
            first = first[first]


class Measured(NamedTuple):
    """What an evaluation finds of motion and siblings: nothing where its source tells nothing.

    scores: float [M, 2] by stage, of a caption with its own video and with the sibling. report: the
    fields of results.json. arrays: those of ranks.npz (docs/results.md).
    """

    siblings: Siblings
    scores: dict[str, np.ndarray]
    report: dict[str, Any]
    arrays: dict[str, np.ndarray]


def measure(
    search: Search, told: Sequence[Sequence[Told]], ranks: dict[str, np.ndarray]
) -> Measured:
    """How well captions that name a motion find their video, and which siblings are told apart.

    Args:
      told: of each caption of each video. ranks: int [Q] by stage, of captions looking for videos.

    Raises:
      ValueError: a score is not finite; names the pair.
    """
    known = [one for some in told for one in some]
    owner = search.gallery.owner
    siblings = find(known, owner, search.gallery.ids)
    report: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    scores: dict[str, np.ndarray] = {}
    motion = np.array([one.motion for one in known], bool)
    if motion.any():
        arrays["motion"] = motion
        report["by_motion"] = by_motion(ranks, motion, owner)
    if len(siblings.caption):
        scores = _scores(search, siblings)
        arrays |= {f"siblings/{stage}": _above(some) for stage, some in scores.items()}
        arrays |= {"siblings/pair": siblings.group, "siblings/motion": siblings.motion}
        report["siblings"] = told_apart(siblings, scores)
    return Measured(siblings, scores, report, arrays)


def find(told: Sequence[Told], owner: np.ndarray, ids: Sequence[str]) -> Siblings:
    """The captions that are false of a video that is searched.

    Args:
      told: of each caption. owner: int [Q], its video. ids: of the videos.
    """
    number = {name: index for index, name in enumerate(ids)}
    found = [index for index, one in enumerate(told) if one.sibling in number]
    some = [told[index] for index in found]
    return Siblings(
        np.array(found, int),
        owner[found],
        np.array([number[one.sibling] for one in some], int),
        np.array([one.motion for one in some], bool),
        np.array([one.differs for one in some], str),
    )


def told_apart(siblings: Siblings, scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """How often the own video is above, in percent, by what the siblings differ in.

    Args:
      scores: float [M, 2] by stage, as `Measured` has them.
    """
    pairs, together = siblings.pair, siblings.group
    groups = {MOTION: siblings.motion, OTHERS: ~siblings.motion}
    for name in sorted(set(siblings.differs.tolist()) - set(groups)):
        groups[name] = siblings.differs == name
    found: dict[str, Any] = {}
    for name, chosen in groups.items():
        if not chosen.any():
            continue
        pair, cluster = pairs[chosen], together[chosen]
        found[name] = {"captions": int(chosen.sum()), "pairs": len(np.unique(pair))}
        if len(np.unique(cluster)) == 1:
            cluster = pair  # one cluster has no spread, and its interval no width
        for stage, some in scores.items():
            above = _above(some[chosen])
            interval = metrics.share_interval(above, cluster)
            found[name][stage] = {"above": 100 * float(above.mean()), "interval": interval}
    return found


def by_motion(
    ranks: dict[str, np.ndarray], motion: np.ndarray, owner: np.ndarray
) -> dict[str, Any]:
    """Scores of the captions that name a motion, and of the others, by stage.

    Args:
      ranks: int [Q] by stage. motion: bool [Q]. owner: int [Q], each caption's video.
    """
    return {
        name: {
            "captions": int(chosen.sum()),
            **{stage: metrics.scores(some[chosen], owner[chosen]) for stage, some in ranks.items()},
        }
        for name, chosen in ((MOTION, motion), (OTHERS, ~motion))
        if chosen.any()
    }


def _scores(search: Search, siblings: Siblings) -> dict[str, np.ndarray]:
    """Of the dual encoders, and re-ranked, both without a normalization: float [M, 2]."""
    text, video = search.text_embedding[siblings.caption], search.video_embedding
    both = np.stack([siblings.own, siblings.other], axis=1)
    rows = np.broadcast_to(siblings.caption[:, None], both.shape)
    coarse = np.einsum("me,mne->mn", text, video[both])
    return {"coarse": coarse, "reranked": search.fused(rows, both)}


def _above(scores: np.ndarray) -> np.ndarray:
    """1 where the own video is above its sibling, 0 where it is below, 0.5 where both are equal.

    What differs by rounding alone is equal: sums of the same frames in another order do.
    """
    own, other = scores.T
    return np.where(np.isclose(own, other, *ROUNDING), 0.5, own > other)
