"""The charts of a report, as inline SVG whose colours the page's style sheet gives."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup

from animclip_jax import words
from animclip_jax.evaluation.results import STAGES
from animclip_jax.evaluation.sweep import arms_of
from animclip_jax.reporting.arms import Arm
from animclip_jax.reporting.svg import element
from animclip_jax.reporting.words import percent

BARS_WIDTH, CURVES_WIDTH = 440, 370  # in units of which a letter is 13 high
# Arms beyond these share colours and dashes with the first ones.
NUM_STYLES = 6
_POINTS = 300  # of a curve as logged, at most
_LETTER = 7.0  # how wide a digit of a label is


def style(number: int) -> str:
    """The class that gives an arm its colour and its dashes."""
    return f"arm{number % NUM_STYLES}"


def bars(results: dict[str, Any], direction: str) -> Markup:
    """R@1 of each arm, coarse and re-ranked: bars with 95 % intervals, ceilings, chance."""
    arms = arms_of(results)
    chance = results["chance"][direction]["R@1"]
    shown = ("coarse", "reranked")
    highest = max(
        run[direction][stage]["intervals"]["R@1"][1] for run in arms.values() for stage in shown
    )
    ticks = _ticks(0, max(highest, chance), 5)
    left, right, top = 84, BARS_WIDTH - 46, 26
    block, bar = 66, 15

    def x(value: float) -> float:
        return left + (right - left) * value / ticks[-1]

    bottom = top + block * len(arms)
    parts = [element("g", *_grid_x(ticks, x, top, bottom, "%"), class_="grid")]
    words = []
    for number, (name, run) in enumerate(arms.items()):
        y = top + block * number + 4
        ceiling = run[direction]["ceiling"]["R@1"]
        head = [
            element("text", f"ceiling {percent(ceiling)}", x=BARS_WIDTH, y=y + 12, class_="end")
        ]
        if name:
            head.append(element("text", _cut(name, 24), x=0, y=y + 12, class_="name"))
        group = list(head)
        for row, stage in enumerate(shown):
            value = run[direction][stage]["R@1"]
            words.append(f"{name} {STAGES[stage]} {percent(value)}".strip())
            reached = run[direction][stage]["intervals"]["R@1"]
            group += _bar(y + 19 + row * (bar + 4), bar, stage, value, reached, x)
        if ceiling <= ticks[-1]:
            reach = {"x1": x(ceiling), "x2": x(ceiling), "y1": y + 17, "y2": y + 2 * bar + 25}
            group.append(element("line", class_="ceiling", **reach))
        parts.append(element("g", *group, class_=style(number)))
    parts += [
        element("line", x1=x(chance), x2=x(chance), y1=top - 8, y2=bottom, class_="chance"),
        element("text", f"chance {percent(chance)}", x=x(chance) + 5, y=top - 9, class_="small"),
    ]
    alt = f"R@1: {', '.join(words)}; chance {percent(chance)}"
    return _svg(alt, BARS_WIDTH, bottom + 24, parts)


def _bar(
    y: float,
    height: float,
    stage: str,
    value: float,
    reach: Sequence[float],
    x: Callable[[float], float],
) -> list[Markup]:
    middle = y + height / 2
    return [
        element("text", STAGES[stage], x=x(0) - 6, y=y + height - 3, class_="small end"),
        element("rect", x=x(0), y=y, width=x(value) - x(0), height=height, rx=2, class_=stage),
        element("line", x1=x(reach[0]), x2=x(reach[1]), y1=middle, y2=middle, class_="whisker"),
        element("text", f"{value:.1f}", x=x(reach[1]) + 5, y=y + height - 3, class_="value"),
    ]


def k_sweep(results: dict[str, Any], direction: str) -> Markup:
    """R@1 after re-ranking K candidates, with the time a query takes, and what K could reach."""
    sweep = results[direction]["k_sweep"]
    coarse = results[direction]["coarse"]["R@1"]
    ticks = _ticks(0, max(coarse, *(max(one["R@1"], one["ceiling"]) for one in sweep)), 5)
    left, right, top, bottom = 44, BARS_WIDTH - 20, 26, 190
    columns = [left + (right - left) * (2 * i + 1) / (2 * len(sweep)) for i in range(len(sweep))]

    def y(value: float) -> float:
        return bottom - (bottom - top) * value / ticks[-1]

    grid = []
    for tick in ticks:
        grid.append(element("line", x1=left, x2=right, y1=y(tick), y2=y(tick)))
        label = _short(tick) + "%"
        grid.append(element("text", label, x=left - 6, y=y(tick) + 4, class_="small end"))
    parts = [element("g", *grid, class_="grid")]
    parts.append(element("line", x1=left, x2=right, y1=y(coarse), y2=y(coarse), class_="before"))
    for key, class_ in (("ceiling", "limit"), ("R@1", "smooth arm0")):
        values = [one[key] for one in sweep]
        places = list(zip(columns, values, strict=True))
        parts.append(_line(places, lambda x: x, y, class_))
        for x, value in places:
            label = f"{value:.1f}"
            parts.append(element("text", label, x=x, y=y(value) - 7, class_="small middle"))
    words = []
    for x, one in zip(columns, sweep, strict=True):
        spent = f"{one['milliseconds']:.3g} ms"
        words.append(f"K = {one['k']}: {percent(one['R@1'])} in {spent}")
        parts.append(element("text", f"K = {one['k']}", x=x, y=bottom + 18, class_="middle"))
        parts.append(element("text", spent, x=x, y=bottom + 35, class_="small middle"))
    alt = f"R@1 after re-ranking; {', '.join(words)}; before it {percent(coarse)}"
    return _svg(alt, BARS_WIDTH, bottom + 42, parts)


# Upper ends of the bins of ranks; the last one is open.
_BINS = (1, 2, 5, 10, 20, 50, 100)


def rank_changes(coarse: np.ndarray, reranked: np.ndarray) -> Markup:
    """How many queries had the right item at which rank before (across) and after (down)."""
    bins = [f"{low + 1}–{high}" if low + 1 < high else f"{high}" for low, high in pairwise(_BINS)]
    bins = ["1", *bins, f">{_BINS[-1]}"]
    size, left, top = 48, 64, 44
    counts = np.zeros((len(bins), len(bins)), int)
    where = np.searchsorted(_BINS, reranked), np.searchsorted(_BINS, coarse)
    np.add.at(counts, where, 1)
    parts = [
        element("text", "rank before re-ranking", x=left, y=15, class_="name"),
        element("text", "after", x=0, y=top - 8, class_="name"),
    ]
    for number, name in enumerate(bins):
        x, y = left + number * size + size / 2, top + number * size + size / 2
        parts.append(element("text", name, x=x, y=top - 8, class_="small middle"))
        parts.append(element("text", name, x=left - 8, y=y + 4, class_="small end"))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            class_ = "same" if row == column else "better" if row < column else "worse"
            x, y = left + column * size, top + row * size
            strength = 0.12 + 0.6 * math.sqrt(count / counts.max())
            box = {"x": x + 1, "y": y + 1, "width": size - 2, "height": size - 2, "rx": 3}
            parts.append(element("rect", class_=class_, fill_opacity=strength, **box))
            middle = {"x": x + size / 2, "y": y + size / 2 + 4}
            parts.append(element("text", _short(int(count)), class_="middle", **middle))
    better, worse = int((reranked < coarse).sum()), int((reranked > coarse).sum())
    alt = (
        f"Ranks before and after re-ranking: {words.count(better, 'query')} better, {worse:,} worse"
    )
    extent = len(bins) * size
    return _svg(alt, left + extent, top + extent + 4, parts)


def curves(arms: Sequence[Arm], metric: str) -> Markup:
    """A metric over the steps: as logged (faint) and smoothed, an arm a line."""
    series = {}
    for number, arm in enumerate(arms):
        logged = arm.curves.get(metric, [])
        points = [(step, value) for step, value in logged if value is not None]
        if points:
            series[number] = points
    values = [value for points in series.values() for _, value in points]
    steps = [step for points in series.values() for step, _ in points]
    low, high = min(values), max(values)
    if low == high:
        # In the middle of a range that can be read, not at the edge of one of a thousandth.
        low, high = low - (abs(low) / 10 or 0.5), high + (abs(high) / 10 or 0.5)
    logarithmic = low > 0 and high / low >= 8
    ticks = _log_ticks(low, high) if logarithmic else _ticks(low, high, 5)
    across = _ticks(0, max(1, *steps), 5)
    right, top, bottom = CURVES_WIDTH - 6, 30, 234
    left = max(40, 10 + _LETTER * max(len(_short(tick)) for tick in ticks))

    def x(step: float) -> float:
        return left + (right - left) * step / across[-1]

    def y(value: float) -> float:
        scale = math.log if logarithmic else float
        low, high = scale(ticks[0]), scale(ticks[-1])
        return bottom - (bottom - top) * (scale(value) - low) / (high - low)

    grid = _grid_x(across, x, top, bottom, "")
    for tick in ticks:
        grid.append(element("line", x1=left, x2=right, y1=y(tick), y2=y(tick)))
        grid.append(element("text", _short(tick), x=left - 6, y=y(tick) + 4, class_="small end"))
    faint, smooth = [], []
    for number, points in series.items():
        if len(points) == 1:
            ((step, value),) = points
            dot = {"cx": x(step), "cy": y(value), "r": 3}
            smooth.append(element("circle", class_=f"dot {style(number)}", **dot))
            if len(series) == 1:
                place = {"x": x(step) - 7, "y": y(value) - 6}
                smooth.append(element("text", f"{value:.4g}", class_="value end", **place))
            continue
        every = -(-len(points) // _POINTS)
        faint.append(_line(points[::every], x, y, f"raw {style(number)}"))
        smooth.append(_line(smoothed(points)[::every], x, y, f"smooth {style(number)}"))
    scale = "log scale" if logarithmic else "linear scale"
    labels = [
        element("text", metric, x=0, y=15, class_="name"),
        element("text", scale, x=right, y=15, class_="small end"),
        element("text", "step", x=(left + right) / 2, y=bottom + 35, class_="small middle"),
    ]
    ends = ", ".join(f"{arms[n].name} {smoothed(p)[-1][1]:.3g}".strip() for n, p in series.items())
    alt = f"{metric} over {words.count(max(steps), 'step')}; at the end: {ends}"
    parts = [element("g", *grid, class_="grid"), *faint, *smooth, *labels]
    return _svg(alt, CURVES_WIDTH, bottom + 40, parts)


def smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The mean over a window about each point, a tenth of the curve wide, half that at its ends."""
    reach = len(points) // 20
    means = []
    for i, (step, _) in enumerate(points):
        window = points[max(0, i - reach) : i + reach + 1]
        means.append((step, sum(value for _, value in window) / len(window)))
    return means


def key(number: int) -> Markup:
    """A piece of an arm's line, for a legend."""
    line = element("line", x1=1, x2=31, y1=5, y2=5)
    return element(
        "svg", line, viewBox="0 0 32 10", class_=f"key {style(number)}", aria_hidden="true"
    )


def _svg(alt: str, width: float, height: float, parts: Sequence[str]) -> Markup:
    return element(
        "svg",
        element("title", alt),
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        class_="chart",
    )


def _grid_x(
    ticks: Sequence[float], x: Callable[[float], float], top: float, bottom: float, unit: str
) -> list[Markup]:
    parts = []
    for tick in ticks:
        parts.append(element("line", x1=x(tick), x2=x(tick), y1=top, y2=bottom))
        anchor = "small middle" if tick < ticks[-1] else "small end"
        parts.append(element("text", _short(tick) + unit, x=x(tick), y=bottom + 17, class_=anchor))
    return parts


def _line(
    points: Sequence[tuple[float, float]],
    x: Callable[[float], float],
    y: Callable[[float], float],
    class_: str,
) -> Markup:
    places = [f"{x(step):.1f} {y(value):.1f}" for step, value in points]
    # The first point twice: a line of no length with round ends is a dot.
    return element("path", d=f"M{places[0]}L{' '.join(places)}", class_=class_)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers that enclose [low, high], about `count` of them."""
    rough = max(high - low, abs(high) * 1e-3, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... that enclose [low, high]; powers of ten alone over four decades."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 4 else (1,)
    ticks = [m * 10.0**power for power in range(first, last + 1) for m in steps]
    start = max(i for i, tick in enumerate(ticks) if tick <= low * (1 + 1e-9))
    end = min(i for i, tick in enumerate(ticks) if tick >= high * (1 - 1e-9))
    return ticks[start : end + 1]


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
