"""The page of a report: one file that needs nothing else, no script and no network."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from animclip_jax.evaluation.results import (
    DIRECTIONS,
    MEASURES,
    NORMALIZATIONS,
    RECALLS,
    STAGES,
    arms_of,
    best_scores,
    caveats,
    number,
)
from animclip_jax.reporting.arms import Arm
from animclip_jax.reporting.charts import bars, curves, k_sweep, key, rank_changes
from animclip_jax.reporting.gallery import (
    Pictures,
    queries_section,
    samples_section,
    wanted_pictures,
)
from animclip_jax.reporting.html import Html, element, join
from animclip_jax.reporting.pictures import embed
from animclip_jax.reporting.words import differences, findings, margin, summary

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
TITLES = {"text_to_video": "Text to video", "video_to_text": "Video to text"}
SHOWN_METRICS = ("loss", "contrastive", "matching")
_MARKS = {"above": "✓", "unclear": "≈", "not above": "✗"}
_VERDICTS = {"above": "above", "unclear": "above, within the margin", "not above": "not above"}


def page(results: dict[str, Any], arms: list[Arm]) -> str:
    """The whole page.

    Args:
      results: contents of results.json, of a run or of a sweep. arms: the same, the main one first.

    Raises:
      ValueError: a picture that a run's listings name cannot be read.
    """
    pictures = embed(wanted_pictures(arms))
    title = f"Video search on {results['dataset']}"
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    head = join(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(STYLE)),
    )
    body = element("body", element("main", *_sections(title, results, arms, pictures)))
    return f"<!doctype html>\n{element('html', element('head', head), body, lang='en')}\n"


def _sections(
    title: str, results: dict[str, Any], arms: list[Arm], pictures: Pictures
) -> list[Html]:
    facts = [
        f"{results['num_queries']:,} captions",
        f"{results['num_videos']:,} videos",
        f"protocol {results['protocol']['name']}, {results['protocol']['split']}",
        f"stage one {results['stage_one']}",
        f"seed {results['seed']}",
        f"{results['steps']:,} steps",
        f"commit {results['git_commit'][:10]}" if results["git_commit"] else "no commit known",
    ]
    header = element(
        "header",
        element("p", "AnimCLIP-JAX · report of a run", class_="kicker"),
        element("h1", title),
        element("p", summary(arms), class_="lead"),
        element("ul", *(element("li", fact) for fact in facts), class_="facts"),
        *(element("p", line, class_="caveat") for line in caveats(results)),
    )
    trained = element(
        "p",
        "Each clip is made while training runs, from one captioned picture (left). These are the "
        "first clips of the first batch, in order.",
        class_="muted",
    )
    return [
        header,
        _section("What came out", _scores(results, arms)),
        _section("What re-ranking costs and reaches", _reranking(results, arms[0])),
        _section("How training went", _training(arms)),
        _section("What the model was trained on", join(trained, samples_section(arms, pictures))),
        _section("What re-ranking changes", queries_section(arms[0], pictures)),
        _section("Settings", _settings(results, arms)),
        element(
            "footer",
            "The animation, the losses and the sizes of the model are AnimCLIP-JAX’s own design.",
        ),
    ]


def _section(title: str, content: Html) -> Html:
    return Html(f"\n{element('section', element('h2', title), content)}")


def _scores(results: dict[str, Any], arms: list[Arm]) -> Html:
    verdicts = [
        element(
            "li",
            element("span", _MARKS[finding.verdict], class_="mark", aria_hidden="true"),
            element("span", finding.text),
            element("strong", _VERDICTS[finding.verdict]),
            class_=finding.verdict.replace(" ", "-"),
        )
        for finding in findings(arms)
    ]
    certainty = (
        f"Text to video, R@1; one run{' an arm' if len(arms) > 1 else ''}, one seed. ≈ marks a "
        f"gain within the margin of error, {_margin(results, arms)}. Another seed may change more."
    )
    halves = [
        element(
            "div",
            element("h3", TITLES[direction]),
            _table(results, direction),
            element("p", "R@1, with 95% intervals (for other videos)", class_="chart-title"),
            bars(results, direction),
        )
        for direction in DIRECTIONS
    ]
    terms = (
        "R@K: percent of queries whose right answer is among the first K. MdR, MnR: median and "
        "mean rank of the right answer, 1 is best. Coarse: the two encoders alone. Re-ranked: "
        f"the best {results['rerank_k']} candidates put in a new order by the cross-attention "
        "module. Ceiling: what perfect re-ranking of these candidates would reach. Bold: best of "
        "its column, the ceiling apart."
    )
    return join(
        element("ul", *verdicts, class_="findings"),
        element("p", certainty, class_="muted"),
        element("div", *halves, class_="halves"),
        element("p", terms, class_="muted"),
    )


def _margin(results: dict[str, Any], arms: list[Arm]) -> str:
    if all(arm.ranks is not None for arm in arms):
        return (
            "which is that of the choice of captions alone: 95% of what the gain would be on as "
            "many captions drawn anew, with the same ones asked of both"
        )
    reached = results["text_to_video"]["reranked"]["R@1"]
    wide = margin(reached, reached, results["num_queries"])
    return (
        f"about {wide:.1f} points: two equally good models differ by less 19 times of 20, by the "
        f"choice of {results['num_queries']:,} captions alone"
    )


def _reranking(results: dict[str, Any], main: Arm) -> Html:
    """The main arm at several K, and what re-ranking did to every query's rank."""
    words = (
        "R@1 (line) when the best K candidates of stage one are re-ranked, with the milliseconds a "
        "query that this took here, compilation apart. Grey: what perfect re-ranking of K would "
        "reach. Dashed: stage one alone."
    )
    changes = (
        "Every query by the rank of its right answer before (across) and after (down). Above the "
        "diagonal, green, re-ranking helped; below it, red, it hurt."
    )
    halves = []
    for direction in DIRECTIONS:
        parts = [element("h3", TITLES[direction]), k_sweep(results, direction)]
        if main.ranks is not None:
            stages = (main.ranks[f"{direction}/{stage}"] for stage in ("coarse", "reranked"))
            parts += [element("p", changes, class_="chart-title"), rank_changes(*stages)]
        halves.append(element("div", *parts))
    return join(element("p", words, class_="muted"), element("div", *halves, class_="halves"))


def _table(results: dict[str, Any], direction: str) -> Html:
    best = best_scores(results, direction)
    heads = [element("th", name, scope="col") for name in ("Stage", *MEASURES)]
    bodies = []
    for row, (arm, run) in enumerate(arms_of(results).items()):
        rows = []
        if arm:
            span = str(len(heads))
            rows.append(element("tr", element("th", key(row), arm, colspan=span, scope="rowgroup")))
        for stage, name in STAGES.items():
            mark = NORMALIZATIONS[run["normalization"]]
            cells = [element("th", f"{name} {mark}".strip(), scope="row")]
            for measure in MEASURES:
                value = run[direction][stage][measure]
                is_best = stage != "ceiling" and value == best[measure]
                cells.append(element("td", f"{value:,.1f}", class_="best" if is_best else ""))
            rows.append(element("tr", *cells, class_=stage))
        bodies.append(element("tbody", *rows))
    chance = [
        element("td", number(results["chance"][direction][name]) if name in RECALLS else "–")
        for name in MEASURES
    ]
    chance_row = element("tr", element("th", "chance", scope="row"), *chance)
    table = element(
        "table",
        element("thead", element("tr", *heads)),
        *bodies,
        element("tfoot", chance_row),
        class_="scores",
    )
    label = f"Scores, {TITLES[direction].lower()}"
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def _training(arms: list[Arm]) -> Html:
    metrics = [
        name
        for name in SHOWN_METRICS
        if any(value is not None for arm in arms for _, value in arm.curves.get(name, []))
    ]
    if not metrics:
        return element("p", "No metrics.jsonl with a loss is kept here.", class_="muted")
    legend = [element("li", key(n), arm.name) for n, arm in enumerate(arms) if arm.name]
    lost = [
        f"{arm.name} {name}: {count}".strip()
        for arm in arms
        for name in metrics
        if (count := sum(value is None for _, value in arm.curves.get(name, [])))
    ]
    if max(len(arm.curves.get(name, [])) for arm in arms for name in metrics) > 1:
        notes = "Faint: as logged. Strong: mean over a tenth of the curve."
    else:
        notes = "One step was logged."
    if lost:
        notes += f" Left out, not finite: {', '.join(lost)} of the logged values."
    return join(
        element("ul", *legend, class_="legend") if legend else "",
        element("div", *(curves(arms, name) for name in metrics), class_="panels"),
        element("p", notes, class_="muted"),
    )


def _settings(results: dict[str, Any], arms: list[Arm]) -> Html:
    main = arms[0]
    stages = list(results["seconds"])
    seconds = _grid(
        ["arm" if len(arms) > 1 else "", *stages],
        [
            [arm.name, *(f"{arm.results['seconds'][stage]:,.1f}" for stage in stages)]
            for arm in arms
        ],
    )
    overrides = results["config_overrides"]
    rows = [
        [name, json.dumps(value, ensure_ascii=False), "yes" if name in overrides else ""]
        for name, value in main.settings.items()
    ]
    parts = [
        element("p", f"Commit: {results['git_commit'] or 'unknown'}. Seed: {results['seed']}."),
        element("h3", "Seconds by stage, both directions together"),
        seconds,
    ]
    for arm in arms[1:]:
        changed = differences(main, arm) or ["nothing"]
        parts.append(element("h3", f"What “{arm.name}” changes"))
        parts.append(element("ul", *(element("li", line) for line in changed)))
    others = [
        element("li", f"{name} = {json.dumps(value, ensure_ascii=False)}")
        for name, value in overrides.items()
    ]
    parts.append(element("h3", "Changed by hand"))
    parts.append(element("ul", *others) if others else element("p", "Nothing.", class_="muted"))
    title = f"Configuration of “{main.name}”" if main.name else "Configuration"
    parts += [element("h3", title), _grid(["setting", "value", "changed by hand"], rows)]
    summary_line = element("summary", "Configuration, seconds and revision")
    return element("details", summary_line, *parts)


def _grid(heads: list[str], rows: list[list[str]]) -> Html:
    table = element(
        "table",
        element("thead", element("tr", *(element("th", head, scope="col") for head in heads))),
        element(
            "tbody",
            *(
                element(
                    "tr",
                    element("th", row[0], scope="row"),
                    *(element("td", cell) for cell in row[1:]),
                )
                for row in rows
            ),
        ),
        class_="settings",
    )
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Table")
