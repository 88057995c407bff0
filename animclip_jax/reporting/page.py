"""The page of a report: one file that needs nothing else, no script and no network."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from animclip_jax.evaluation.results import MEASURES, RECALLS, STAGES
from animclip_jax.evaluation.sweep import arms_of
from animclip_jax.evaluation.table import (
    BY_MOTION,
    DIFFERS,
    NORMALIZATIONS,
    above,
    best_scores,
    caveats,
    number,
)
from animclip_jax.reporting import charts, gallery, words
from animclip_jax.reporting.arms import Arm
from animclip_jax.reporting.pictures import embed

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
TITLES = {"text_to_video": "Text to video", "video_to_text": "Video to text"}
# Those of a model with an eye for motion come last.
SHOWN_METRICS = ("loss", "contrastive", "matching", "moving", "agreeing", "reading", "following")

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {
    "whole": "{:,}".format,
    "tenths": "{:,.1f}".format,
    "json": lambda value: json.dumps(value, ensure_ascii=False),
}
_PAGES.globals |= {
    **{"TITLES": TITLES, "MEASURES": MEASURES, "RECALLS": RECALLS, "STAGES": STAGES},
    **{"NORMALIZATIONS": NORMALIZATIONS, "GROUPS": gallery.GROUPS},
    "QUERIES_PER_GROUP": gallery.QUERIES_PER_GROUP,
    **{one.__name__: one for one in (arms_of, best_scores, caveats, number)},
    **{one.__name__: one for one in (words.summary, words.findings, words.differences)},
    **{one.__name__: one for one in (gallery.chosen_samples, gallery.chosen_queries)},
    **{one.__name__: one for one in (gallery.source, gallery.clip_sheet, gallery.result_sheet)},
    **{one.__name__: one for one in (gallery.pair_strip, above)},
    **{"BY_MOTION": BY_MOTION, "DIFFERS": DIFFERS},
    **{one.__name__: one for one in (charts.bars, charts.k_sweep, charts.rank_changes)},
    **{one.__name__: one for one in (charts.curves, charts.key, gallery.meaning)},
}


def page(results: dict[str, Any], arms: list[Arm]) -> str:
    """The whole page.

    Args:
      results: contents of results.json, of a run or of a sweep. arms: the same, the main one first.

    Raises:
      ValueError: a picture that a run's listings name cannot be read.
    """
    main = arms[0]
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    reached = words.first_place(results, "reranked")
    return _PAGES.get_template("report.html").render(
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'",
        style=Markup(STYLE),
        results=results,
        arms=arms,
        main=main,
        rankings=main.rankings,
        pictures=embed(gallery.wanted_pictures(arms)),
        paired=all(arm.ranks is not None for arm in arms),
        margin=words.margin(reached, reached, results["num_queries"]),
        **_logged(arms),
    )


def _logged(arms: list[Arm]) -> dict[str, Any]:
    """The metrics that have a curve, their most points, and what of them was not finite."""
    metrics = [
        name
        for name in SHOWN_METRICS
        if any(value is not None for arm in arms for _, value in arm.curves.get(name, []))
    ]
    of_arms = [(arm, name, arm.curves.get(name, [])) for arm in arms for name in metrics]
    lost = [
        f"{arm.name} {name}: {count}".strip()
        for arm, name, curve in of_arms
        if (count := sum(value is None for _, value in curve))
    ]
    longest = max((len(curve) for _, _, curve in of_arms), default=0)
    return {"metrics": metrics, "longest": longest, "lost": lost}
