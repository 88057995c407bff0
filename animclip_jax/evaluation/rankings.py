"""A fair sample of queries, with what was found before and after re-ranking, to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animclip_jax import files
from animclip_jax.animation.contact_sheet import strip, write_picture
from animclip_jax.runs import layout

if TYPE_CHECKING:
    from animclip_jax.evaluation.siblings import Measured
    from animclip_jax.evaluation.two_stage import Ranked

SAMPLES_PER_GROUP = 4
SHOWN = 5
SAMPLE_PAIRS = 4


def group_queries(coarse: np.ndarray, reranked: np.ndarray) -> dict[str, np.ndarray]:
    """Query numbers by what re-ranking did to the rank of the right video."""
    same = coarse == reranked
    return {
        "helped": np.flatnonzero(reranked < coarse),
        "hurt": np.flatnonzero(reranked > coarse),
        "right": np.flatnonzero(same & (coarse == 1)),
        "missed": np.flatnonzero(same & (coarse > 1)),
    }


def sample_queries(
    ranked: "Ranked", ids: Sequence[str], captions: Sequence[Sequence[str]], seed: int
) -> tuple[dict, set[int]]:
    """Draws the same number of captions from each group of `group_queries`, by the seed alone.

    Args:
      ranked: captions looking for videos, in the order of `captions`.
      ids: each video's. captions: each video's.

    Returns:
      the contents of rankings.json but for its strips, and the videos it names.
    """
    texts = [caption for item in captions for caption in item]
    owner = np.repeat(np.arange(len(ids)), [len(item) for item in captions])
    random = np.random.default_rng(seed)
    groups = group_queries(ranked.coarse_ranks, ranked.reranked_ranks)
    queries: list[dict] = []
    shown: set[int] = set()
    for name, members in groups.items():
        for q in np.sort(random.permutation(members)[:SAMPLES_PER_GROUP]):
            query = {
                "caption": texts[q],
                "target": ids[owner[q]],
                "group": name,
                "coarse_rank": int(ranked.coarse_ranks[q]),
                "reranked_rank": int(ranked.reranked_ranks[q]),
            }
            shown.add(int(owner[q]))
            for stage, scores in (("coarse", ranked.scores[q]), ("reranked", ranked.fused[q])):
                best = np.argsort(-scores, kind="stable")[:SHOWN]
                items = ranked.candidates[q, best].tolist()
                shown.update(items)
                query[stage] = [
                    {"id": ids[item], "score": float(score)}
                    for item, score in zip(items, scores[best], strict=True)
                ]
            queries.append(query)
    counts = {name: len(members) for name, members in groups.items()}
    return {"queries": queries, "counts": counts}, shown


def sample_pairs(
    apart: "Measured", ids: Sequence[str], captions: Sequence[str], seed: int
) -> tuple[list[dict], set[int]]:
    """Draws pairs of siblings that both have a caption which is false of the other one.

    Args:
      ids: of the videos. captions: all of them.

    Returns:
      pairs that differ in different things, in a motion first: two videos, and of each a caption
      with its scores for the two; and the numbers of all these videos.
    """
    found = apart.siblings
    chosen: dict[str, tuple[int, int]] = {}
    for row in np.random.default_rng(seed).permutation(len(found.caption)).tolist():
        back = np.flatnonzero((found.own == found.other[row]) & (found.other == found.own[row]))
        if len(back):
            chosen.setdefault(str(found.differs[row]), (row, int(back[0])))
    drawn = sorted(chosen.items(), key=lambda one: not found.motion[one[1][0]])[:SAMPLE_PAIRS]
    pairs = []
    for differs, (row, other) in drawn:
        said = [
            {
                "caption": captions[found.caption[one]],
                # In the order of the two videos.
                **{name: of[one, ::way].tolist() for name, of in apart.scores.items()},
            }
            for one, way in ((row, 1), (other, -1))
        ]
        videos = [ids[found.own[one]] for one in (row, other)]
        pairs.append({"differs": differs, "videos": videos, "captions": said})
    return pairs, {int(found.own[one]) for _, both in drawn for one in both}


def write_rankings(workdir: Path, listing: dict, frames: dict[str, np.ndarray]) -> None:
    """Writes WORKDIR/rankings/: rankings.json and a strip of frames a video.

    The listing says of each strip its file, how many frames it has, and how high they are.

    Args:
      listing: from `sample_queries`, with the `pairs` of `sample_pairs`. frames: uint8
        [T, H, W, 3] of each video that it names.
    """
    directory = workdir / layout.RANKINGS
    directory.mkdir(parents=True, exist_ok=True)
    strips = {}
    for number, (video, pictures) in enumerate(frames.items()):
        name, (count, side) = f"{number}.jpg", pictures.shape[:2]
        write_picture(directory / name, strip(pictures))
        strips[video] = {"file": name, "frames": count, "side": side}
    files.write_json(workdir / layout.RANKINGS_LIST, listing | {"strips": strips}, indent=1)
