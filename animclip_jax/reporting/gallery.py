"""The pictures of a report: clips the model was trained on, queries with what was found."""

from collections.abc import Iterator

import numpy as np

from animclip_jax.evaluation.rankings import group_queries
from animclip_jax.reporting.arms import Arm, Query, Rankings, Sample
from animclip_jax.reporting.charts import key
from animclip_jax.reporting.html import Html, element, join
from animclip_jax.reporting.pictures import Picture, Wanted
from animclip_jax.reporting.words import differences

MAIN_SAMPLES, CONTROL_SAMPLES = 6, 2
QUERIES_PER_GROUP = 4
CLIP_ASPECT, RESULT_ASPECT = 3.0, 1.4  # of a sheet of frames: wide ones, and five in a row
GROUPS = {
    "helped": ("Re-ranking helped", "The right video stands higher than before."),
    "hurt": ("Re-ranking hurt", "The right video stands lower than before."),
    "right": ("Right both times", "The right video stood first, and still does."),
    "missed": ("Missed both times", "The right video is not first, and stands where it stood."),
}
# What the director does, by the value of animation.preset, where a name alone tells too little.
PRESETS = {
    "repeat": "the whole picture, the same in every frame",
    "still": "one window of the picture, chosen by the director and held for every frame",
}
Pictures = dict[Wanted, Picture]


def chosen_samples(arms: list[Arm]) -> dict[str, list[Sample]]:
    """The first few clips of each arm."""
    counts = [MAIN_SAMPLES] + [CONTROL_SAMPLES] * (len(arms) - 1)
    return {arm.name: arm.samples[:count] for arm, count in zip(arms, counts, strict=True)}


def chosen_queries(rankings: Rankings) -> dict[str, list[Query]]:
    """The first queries of each group of GROUPS, in the order of rankings.json."""
    before = np.array([query.coarse_rank for query in rankings.queries], int)
    after = np.array([query.reranked_rank for query in rankings.queries], int)
    return {
        group: [rankings.queries[i] for i in members[:QUERIES_PER_GROUP]]
        for group, members in group_queries(before, after).items()
    }


def wanted_pictures(arms: list[Arm]) -> Iterator[Wanted]:
    """Every picture that the sections below show, as often as they may show it."""
    for samples in chosen_samples(arms).values():
        for sample in samples:
            yield _source(sample)
            yield _clip(sample)
    rankings = arms[0].rankings
    if rankings is not None:
        for queries in chosen_queries(rankings).values():
            for query in queries:
                for video in [query.target, *_found(query)]:
                    if video in rankings.strips:
                        yield _strip(rankings, video)


def _source(sample: Sample) -> Wanted:
    return Wanted(sample.picture, 0)


def _clip(sample: Sample) -> Wanted:
    return Wanted(sample.strip, CLIP_ASPECT)


def _strip(rankings: Rankings, video: str) -> Wanted:
    return Wanted(rankings.strips[video], RESULT_ASPECT)


def _found(query: Query) -> list[str]:
    return [video for video, _ in query.coarse + query.reranked]


def samples_section(arms: list[Arm], pictures: Pictures) -> Html:
    """Each arm's clips: source picture, frames, caption."""
    parts = []
    for number, (arm, samples) in enumerate(zip(arms, chosen_samples(arms).values(), strict=True)):
        if not samples:
            continue
        cards = [
            element(
                "figure",
                element(
                    "div",
                    _image(pictures[_source(sample)], f"Source picture: {sample.caption}"),
                    element("span", "→", class_="arrow", aria_hidden="true"),
                    _image(pictures[_clip(sample)], f"Frames of its clip: {sample.caption}"),
                    class_="clip",
                ),
                element("figcaption", sample.caption, class_="caption"),
                class_="card",
            )
            for sample in samples
        ]
        if len(arms) > 1:
            parts.append(element("h3", key(number), arm.name))
            parts.append(element("p", _meaning(arms[0], arm), class_="muted"))
        parts.append(element("div", *cards, class_="clips"))
    if not parts:
        parts = [element("p", "The run kept no samples.", class_="muted")]
    return join(*parts)


def _meaning(main: Arm, arm: Arm) -> str:
    preset = arm.settings.get("animation.preset")
    words = f"{PRESETS[preset].capitalize()}. " if preset in PRESETS else ""
    if arm is main:
        return words + "The main arm; its settings stand at the end of this page."
    changed = differences(main, arm)
    if not changed:
        return words + "No setting differs from the main arm's."
    rest = f", and {len(changed) - 4} more" if len(changed) > 4 else ""
    return f"{words}Differs from the main arm in {', '.join(changed[:4])}{rest}."


def queries_section(arm: Arm, pictures: Pictures) -> Html:
    """The main arm's queries, before and after re-ranking, by what re-ranking did to them."""
    rankings = arm.rankings
    if rankings is None or not rankings.queries:
        return element("p", "The run kept no queries.", class_="muted")
    total = arm.results["num_queries"]
    rule = (
        f"Shown are the first {QUERIES_PER_GROUP} of each group, in the order of the evaluation’s "
        f"rankings.json ({len(rankings.queries)} of {total:,} queries, drawn by the run’s seed "
        "alone), whatever they look like. A video is shown by its frames, in reading order. A "
        "green border with ✓ marks the right one."
    )
    parts = [element("p", rule, class_="muted")]
    if rankings.counts:
        parts.append(_tiles(rankings.counts, total))
    for group, queries in chosen_queries(rankings).items():
        if not queries:
            continue
        title, words = GROUPS[group]
        share = (
            f" {rankings.counts[group]:,} of {total:,} queries." if group in rankings.counts else ""
        )
        parts.append(element("h3", title))
        parts.append(element("p", words + share, class_="muted"))
        parts += [_query(query, rankings, pictures) for query in queries]
    return join(*parts)


def _tiles(counts: dict[str, int], total: int) -> Html:
    tiles = []
    for group in ("helped", "right", "unchanged", "missed", "hurt"):
        if group in counts:
            name = GROUPS[group][0] if group in GROUPS else "Unchanged by re-ranking"
            share = f"{100 * counts[group] / total:.0f}% of the queries"
            number = element("span", f"{counts[group]:,}", class_="number")
            words = (element("span", name), element("span", share, class_="muted"))
            tiles.append(element("li", number, *words, class_=f"tile {group}"))
    return element("ul", *tiles, class_="tiles")


def _query(query: Query, rankings: Rankings, pictures: Pictures) -> Html:
    ranks = f"rank {query.coarse_rank} → {query.reranked_rank}"
    target, strong = element("code", query.target), element("strong", ranks)
    words = element("p", "Right video ", target, ": ", strong, class_="ranks")
    head = [element("div", element("h4", query.caption, class_="caption"), words)]
    if query.target not in _found(query) and query.target in rankings.strips:
        sought = _result(query.target, None, query, rankings, pictures, "in neither list")
        head.append(element("div", sought, class_="sought"))
    rows = [
        _row("Before re-ranking", query.coarse_rank, query.coarse, query, rankings, pictures),
        _row("After re-ranking", query.reranked_rank, query.reranked, query, rankings, pictures),
    ]
    return element("article", element("header", *head), *rows, class_="card query")


def _row(
    title: str,
    rank: int,
    found: list[tuple[str, float]],
    query: Query,
    rankings: Rankings,
    pictures: Pictures,
) -> Html:
    items = [
        element(
            "li",
            _result(video, score, query, rankings, pictures, f"{place}"),
            class_="right" if video == query.target else "",
        )
        for place, (video, score) in enumerate(found, 1)
    ]
    where = element("span", f"right video at rank {rank}", class_="muted")
    return join(
        element("p", element("strong", title), " ", where, class_="stage"),
        element("ol", *items, class_="results"),
    )


def _result(
    video: str,
    score: float | None,
    query: Query,
    rankings: Rankings,
    pictures: Pictures,
    place: str,
) -> Html:
    """A video that was found, or sought; `score` is None for one that is in no list."""
    right = video == query.target
    if video in rankings.strips:
        words = f"Frames of video {video}, place {place}" + (", the right one" if right else "")
        picture: Html = _image(pictures[_strip(rankings, video)], words)
    else:
        picture = element("span", "no frames kept", class_="none")
    marks = [element("span", "✓ right", class_="tick")] if right else []
    label = element("span", place, class_="place")
    text = element("span", video, class_="id")
    number = [] if score is None else [element("span", f"{score:.3f}", class_="score")]
    return element(
        "figure", picture, element("figcaption", label, *marks, text, *number), class_="found"
    )


def _image(picture: Picture, alt: str) -> Html:
    return element(
        "img", src=picture.uri, alt=alt, width=str(picture.width), height=str(picture.height)
    )
