"""results.json: written, read, checked against its schema, gathered over arms, and as a table."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, ValidationError

from animclip_jax import files
from animclip_jax.runs import layout

DIRECTIONS = {"text_to_video": "text -> video", "video_to_text": "video -> text"}
STAGES = {"coarse": "coarse", "reranked": "re-ranked", "ceiling": "ceiling"}
RECALLS = ("R@1", "R@5", "R@10")
MEASURES = (*RECALLS, "MdR", "MnR")
# What evaluations must have in common to be compared.
SAME_QUERIES = ("protocol", "normalization", "queries")
NORMALIZATIONS = {"none": "", "dsl": "DSL", "qb_norm": "QB-Norm"}
SCHEMA = json.loads(Path(__file__).with_name("results.schema.json").read_text(encoding="utf-8"))

_ARM_WIDTH = 12


class Sweep(NamedTuple):
    """Arms of a sweep by folder name; `main` is None where nothing says which it is."""

    main: str | None
    arms: list[str]


def write(path: Path, results: dict[str, Any]) -> None:
    """Checks and writes results; a number in `config` that is not finite is written as null.

    Raises:
      ValueError: a field is missing, unknown or not what docs/results.md says.
    """
    plain = _plain(results)
    _check(path, plain)
    files.write_json(path, plain, indent=2)


def read(path: Path) -> dict[str, Any]:
    """The contents of a results.json.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is not JSON, or a field is missing, unknown or not what docs/results.md says.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: a run writes it when it has been evaluated; finish the run first"
        )
    results = files.read_json(path, "evaluate the run again")
    _check(path, results)
    return results


def _plain(value: Any) -> Any:
    """Tuples as lists, numbers that are not finite as None: what strict JSON can hold."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check(path: Path, results: Any) -> None:
    errors = sorted(Draft202012Validator(SCHEMA).iter_errors(results), key=lambda e: list(e.path))
    if errors:
        raise ValueError(f"{path}: {_explain(errors[0])} (see docs/results.md)")


def _explain(error: ValidationError) -> str:
    found: Any = error.instance
    value: Any = error.validator_value
    place = [str(part) for part in error.absolute_path]
    where = ".".join(place) or "the file"
    if error.validator in ("required", "dependentRequired"):
        name = error.message.split("'")[1]
        what = SCHEMA["properties"].get(name, {}).get("description") if not place else None
        return f"field {'.'.join([*place, name])} is missing" + (f", wanted {what}" if what else "")
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        known = list(schema["properties"])
        unknown = sorted(set(found) - set(known))
        return f"{where}: found unknown fields {unknown}, wanted some of {known}"
    shown = json.dumps(found, default=repr)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if error.validator == "type":
        wanted = value if isinstance(value, str) else " or ".join(value)
        return f"field {where}: found {shown}, wanted {wanted}"
    if error.validator in ("minimum", "maximum"):
        limit = {"minimum": "at least", "maximum": "at most"}[str(error.validator)]
        return f"field {where}: found {shown}, wanted {limit} {value}"
    return f"field {where}: found {shown}, wanted none here"


def find_sweep(workdir: Path) -> Sweep | None:
    """The arms of a sweep: those of WORKDIR/sweep.json, else the subfolders that hold a run.

    Returns:
      None where WORKDIR is a single run.

    Raises:
      ValueError: sweep.json is not {"main": name, "arms": [names]}.
    """
    path = workdir / layout.SWEEP
    if not path.is_file():
        signs = (layout.RESULTS, layout.CONFIG, layout.METRICS)
        folders = sorted(folder for folder in workdir.iterdir() if folder.is_dir())
        runs = [one.name for one in folders if any((one / file).is_file() for file in signs)]
        return Sweep(None, runs) if runs else None
    sweep = files.read_json(path)
    named = sweep if isinstance(sweep, dict) else {}
    arms: Any = named.get("arms")
    plain = isinstance(arms, list) and all(
        isinstance(arm, str) and arm not in ("", ".", "..") and Path(arm).name == arm
        for arm in arms
    )
    if not plain or named.get("main") not in arms:
        raise ValueError(
            f'{path}: found {sweep!r}, wanted {{"main": one of the arms, "arms": [folder names]}}'
        )
    return Sweep(named["main"], arms)


def gather(sweep_dir: Path, main_arm: str) -> dict[str, Any]:
    """The results of a sweep: those of `main_arm`, and the other arms' under `controls`.

    Raises:
      FileNotFoundError: an arm is not finished.
      ValueError: there is no such arm, or the arms were not evaluated on the same queries.
    """
    sweep = find_sweep(sweep_dir)
    arms = sweep.arms if sweep else []
    if main_arm not in arms:
        raise ValueError(f"{sweep_dir}: no arm {main_arm!r}, found {arms}: choose with --main")
    for arm in arms:
        if not (path := sweep_dir / arm / layout.RESULTS).is_file():
            raise FileNotFoundError(
                f"arm {arm!r} is not finished: no {path}; the command that started it goes on "
                "where it stopped"
            )
    found = {arm: read(sweep_dir / arm / layout.RESULTS) for arm in arms}
    main = found.pop(main_arm)
    for arm, control in found.items():
        for field in ("dataset", "num_queries", "num_videos", *SAME_QUERIES):
            if compared(control, field) != compared(main, field):
                path = sweep_dir / arm / layout.RESULTS
                raise ValueError(
                    f"{path}: field {field}: found {control[field]!r}, wanted {main[field]!r} "
                    f"as in {main_arm!r}: arms are compared on the same queries"
                )
    return main | {"arm": main_arm, "controls": found}


def compared(results: dict[str, Any], field: str) -> Any:
    """What of a field two evaluations must have in common.

    The number of frames is the model's own affair; a protocol that fixes it refuses another.
    """
    value = results[field]
    if field != "protocol":
        return value
    return {name: part for name, part in value.items() if name != "num_frames"}


def arms_of(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Results by arm, the main one first; a single run has the name ""."""
    if "controls" not in results:
        return {"": results}
    return {results["arm"]: results, **results["controls"]}


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
    lines = [
        " ".join(
            f"{cell:<{width}}" if column < left else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    half = len(MEASURES)
    above = " " * (sum(widths[:left]) + left)
    for title, start in zip(DIRECTIONS.values(), (left, left + half), strict=True):
        above += f"{title:^{sum(widths[start : start + half]) + half}}"
    rule = "-" * max(map(len, lines))
    facts = (
        f"{_ascii(results['dataset'], 40)}: {results['num_queries']} queries, "
        f"{results['num_videos']} videos, seed {results['seed']}, {results['steps']} steps"
    )
    note = "* best of its column, the ceiling apart: perfect re-ranking would reach that"
    heading = [facts, *caveats(results), "", above.rstrip(), lines[0], rule]
    return "\n".join([*heading, *lines[1:], "", note])


def caveats(results: dict[str, Any]) -> list[str]:
    """What a reader must know before comparing the numbers with others', a line each."""
    said = []
    wanted, found = results["coverage"]["wanted"], results["coverage"]["found"]
    if found < wanted:
        said.append(
            f"PART OF THE SET: {found:,} of {wanted:,} videos ({found / wanted:.1%}), not "
            "comparable to published numbers"
        )
    shared = results.get("shared_captions", {"captions": 0})
    if shared["captions"]:
        said.append(
            f"SHARED CAPTIONS: {shared['captions']:,} of {results['num_queries']:,} captions are "
            f"another video's too: text -> video, R@1 can't pass {shared['greatest_R@1']:.1f}"
        )
    if results["normalization"] == "dsl":
        said.append("DSL: scores look at all queries of the test, which no search engine has")
    if results["normalization"] == "qb_norm":
        said.append("QB-Norm: text-to-video scores look at a bank of training captions")
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
