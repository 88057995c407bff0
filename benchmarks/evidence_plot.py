"""What each arm of an experiment gains on its base, with intervals, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.figure
from PIL import Image

from animclip_jax import files
from benchmarks.evidence_rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIRECTION = "text_to_video"
MEASURES = ("R@1", "R@10")
# A row of a stage: how far above the middle of its arm's, how its middle is filled, what it says.
STAGES = {"coarse": (0.17, "white", "○ coarse"), "reranked": (-0.17, None, "● re-ranked")}
ABOVE, BELOW, UNCLEAR = "#1a5fb4", "#c0461a", "#77767b"  # apart for the colour-blind too


def plot(
    rows: Sequence[Row],
    base: str,
    path: Path,
    called: Mapping[str, str] | None = None,
    than: str = "",
) -> None:
    """Writes a PNG: text to video, a panel a measure, an arm a line, its base at zero.

    Args:
      called: the arms to be shown, from above, and words for each; all of them unless given.
      than: words for the base, or for the several bases of the arms shown.
    """
    shown = [row for row in rows if row.direction == DIRECTION and row.arm != row.base]
    names = {(row.arm, row.base): _name(row, base) for row in shown}
    if called:
        of_arm = {key[0]: key for key in names}
        names = {of_arm[arm]: words for arm, words in called.items()}
        shown = [row for row in shown if (row.arm, row.base) in names]
    lines = list(names)
    figure = matplotlib.figure.Figure((8.6, 1.5 + 0.42 * len(lines)), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, measure in zip(panels, MEASURES, strict=True):
        for row in shown:
            _interval(axes, row, measure, len(lines) - 1 - lines.index((row.arm, row.base)))
        axes.axvline(0, color="black", linewidth=0.8, zorder=0)
        axes.set_title(f"Text to video, {measure}", loc="left", fontsize=10, weight="bold")
        below = f"\n{than}" if than else f" {_reached(rows, base, measure)}"
        axes.set_xlabel(f"points more than{below}", fontsize=9)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False, labelsize=9)
        axes.margins(x=0.16)
    panels[0].set_yticks(range(len(lines) - 1, -1, -1), list(names.values()))
    panels[0].set_ylim(-0.6, len(lines) - 0.4)
    said = "95% intervals, paired by query and seed; grey: p ≥ 0.05"
    stages = ", ".join(word for _, _, word in STAGES.values())
    figure.supxlabel(f"{stages}.  {said}", fontsize=9, color="#3d3846")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white")
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    with files.replacing(path) as temporary:
        few.save(temporary, format="PNG", optimize=True)


def _name(row: Row, base: str) -> str:
    if row.is_of_gains:
        return f"({row.arm})\nminus ({row.base})"
    return row.arm if row.base == base else f"{row.arm}\nvs. {row.base}"


def _reached(rows: Sequence[Row], base: str, measure: str) -> str:
    of_base = [row for row in rows if row.arm == base and row.direction == DIRECTION]
    reached = {row.stage: row.values[measure].mean() for row in of_base}
    return f"{base}:\ncoarse {reached['coarse']:.1f}, re-ranked {reached['reranked']:.1f}"


def _interval(axes: Axes, row: Row, measure: str, line: int) -> None:
    gain = row.gains[measure]
    offset, fill, _ = STAGES[row.stage]
    y = line + offset
    colour = UNCLEAR
    if gain.is_significant:
        colour = ABOVE if gain.value > 0 else BELOW
    axes.plot([gain.lower, gain.upper], [y, y], color=colour, linewidth=1.6, zorder=1)
    axes.plot(gain.value, y, "o", markersize=5, color=colour, markerfacecolor=fill or colour)
    place: Any = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 7.5}
    # On white: the line at zero may pass behind it.
    place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axes.annotate(f"{gain.value:+.1f}", (max(gain.upper, gain.value), y), color=colour, **place)
