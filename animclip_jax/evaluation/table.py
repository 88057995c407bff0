"""Results as a table for a terminal, and what a reader must know before comparing them."""

from collections.abc import Iterator
from typing import Any

from animclip_jax.evaluation.results import DIRECTIONS, MEASURES, RECALLS, STAGES
from animclip_jax.evaluation.sweep import arms_of
from animclip_jax.words import count

NORMALIZATIONS = {"none": "", "dsl": "DSL", "qb_norm": "QB-Norm"}

_ARM_WIDTH = 12
# Captions by whether they name a motion or an order.
BY_MOTION = {"motion": "captions that name a motion", "others": "the other captions"}
DIFFERS = {"motion": "a motion or an order", "others": "something else"}


def best_scores(results: dict[str, Any], direction: str) -> dict[str, float]:
    """The best of each measure over arms, coarse and re-ranked; the ceiling is no result."""
    best = {}
    for measure in MEASURES:
        column = [
            run[direction][stage][measure]
            for run in arms_of(results).values()
            for stage in ("coarse", "reranked")
        ]
        best[measure] = max(column) if measure in RECALLS else min(column)
    return best


def number(value: float) -> str:
    """To a tenth, what is smaller than that to two digits."""
    return f"{value:.1f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def table(results: dict[str, Any]) -> str:
    """Stages and arms by direction in plain ASCII, at most 100 columns; * marks a column's best."""
    arms = arms_of(results)
    several = len(arms) > 1
    normalized = NORMALIZATIONS[results["normalization"]]
    titles = [f"{measure} " for measure in MEASURES] * len(DIRECTIONS)
    rows = [["arm", "stage", *titles]]
    for arm, run in arms.items():
        for stage, name in STAGES.items():
            name += f" ({run['rerank_k']})" if stage == "reranked" else ""
            name += f" {normalized}" if normalized else ""
            first = _ascii(arm, _ARM_WIDTH) if stage == "coarse" else ""
            rows.append([first, name, *_cells(results, run, stage)])
    chance = [
        f"{number(results['chance'][direction][measure])} " if measure in RECALLS else "- "
        for direction in DIRECTIONS
        for measure in MEASURES
    ]
    rows.append(["chance", "", *chance] if several else ["", "chance", *chance])
    rows = rows if several else [row[1:] for row in rows]
    left = 2 if several else 1
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[left + len(MEASURES)] += 2  # a wider gap between the directions
    lines = _aligned(rows, widths, left)
    half = len(MEASURES)
    above = " " * (sum(widths[:left]) + left)
    for title, start in zip(DIRECTIONS.values(), (left, left + half), strict=True):
        above += f"{title:^{sum(widths[start : start + half]) + half}}"
    rule = "-" * max(map(len, lines))
    facts = (
        f"{_ascii(results['dataset'], 40)}: "
        f"{count(results['num_queries'], 'query')}, "
        f"{count(results['num_videos'], 'video')}, seed {results['seed']}, "
        f"{count(results['steps'], 'step')}"
    )
    note = "* best in its column. The ceiling is what a perfect re-ranker would reach."
    heading = [facts, *caveats(results), "", above.rstrip(), lines[0], rule]
    return "\n".join([*heading, *lines[1:], "", note, *_motion(arms)])


def _aligned(rows: list[list[str]], widths: list[int], left: int) -> list[str]:
    """Lines of cells, the first `left` of each at the left."""
    return [
        " ".join(
            f"{cell:<{width}}" if column < left else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _motion(arms: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Captions that name a motion, and siblings, where the source tells of them."""
    found = [["", "text -> video", "captions", "R@1", "re-ranked", "R@10", "re-ranked"]]
    apart = [["", "own video above its sibling", "captions", "coarse, %", "re-ranked, %"]]
    for arm, run in arms.items():
        name = _ascii(arm, _ARM_WIDTH)
        for group, some in run.get("by_motion", {}).items():
            of = [f"{some[s][m]:.1f}" for m in ("R@1", "R@10") for s in ("coarse", "reranked")]
            found.append([name, BY_MOTION[group], f"{some['captions']:,}", *of])
        for group, some in run.get("siblings", {}).items():
            of = [above(some[stage]) for stage in ("coarse", "reranked")]
            apart.append([name, _ascii(group, 20), f"{some['captions']:,}", *of])
    for rows in (found, apart):
        if len(rows) > 1:
            yield ""
            rows = rows if len(arms) > 1 else [row[1:] for row in rows]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            yield from _aligned(rows, widths, 2 if len(arms) > 1 else 1)


def above(found: dict[str, Any]) -> str:
    """How many captions of a hundred score their own video above its sibling; 50 by chance."""
    lower, upper = found["interval"]
    return f"{found['above']:.1f} [{lower:.1f}, {upper:.1f}]"


def caveats(results: dict[str, Any]) -> list[str]:
    """What a reader must know before comparing the numbers with others', a line each."""
    said = []
    wanted, found = results["coverage"]["wanted"], results["coverage"]["found"]
    if found < wanted:
        said.append(
            f"PART OF THE SET: {found:,} of {count(wanted, 'video')} ({found / wanted:.1%}), not "
            "comparable to published numbers"
        )
    shared = results.get("shared_captions", {"captions": 0})
    if shared["captions"]:
        said.append(
            f"SHARED CAPTIONS: {shared['captions']:,} of "
            f"{count(results['num_queries'], 'caption')} are another video's too: text -> video, "
            f"R@1 can't pass {shared['greatest_R@1']:.1f}"
        )
    if results["normalization"] == "dsl":
        said.append("DSL uses all test queries at once, which a search engine cannot")
    if results["normalization"] == "qb_norm":
        said.append("QB-Norm: text-to-video scores also use a bank of training captions")
    return said


def _ascii(text: str, width: int) -> str:
    """Fit for a terminal of any encoding, and no wider than `width`."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return plain if len(plain) <= width else plain[: width - 2] + ".."


def _cells(results: dict[str, Any], run: dict[str, Any], stage: str) -> Iterator[str]:
    for direction in DIRECTIONS:
        best = best_scores(results, direction)
        for measure in MEASURES:
            value = run[direction][stage][measure]
            mark = "*" if stage != "ceiling" and value == best[measure] else " "
            yield (f"{value:.1f}" if value < 10_000 else f"{value:.0f}") + mark
