"""Several seeds of one experiment -> a table on its page in docs/experiments, and a plot.

    python -m benchmarks.evidence NAME SWEEP [SWEEP ...] --base ARM [--against ARM=BASE ...]
        [--gains ARM=OTHER ...] [--arms ARM ...] [--shown ARM=WORDS ... [--than WORDS]]
        [--write] [--machine TEXT]

Each SWEEP is the folder of one `animclip train --sweep`, of a seed of its own, or a .zip of several
(benchmarks/evidence_archive.py). With --write the table replaces the text between
`<!-- evidence: NAME -->` and `<!-- end -->` on the page of docs/experiments that has these lines,
and docs/evidence/NAME.png is drawn. Otherwise the table is printed.

A difference between two arms is paired: by query, since both answer the same ones, and by seed. Its
standard error is that of bootstrap samples that draw seeds and queries (a video's captions
together, and the same queries for all runs); of S seeds they draw S - 1, lest the variance come
out too small (Rao and Wu 1988, "Resampling inference with complex survey data"). A handful of seeds
does not fill the tails of a distribution, so interval and p are Student's t, with as many degrees
of freedom as the seeds' share in the variance leaves it (Satterthwaite 1946). Where fewer than six
videos changed, the interval reaches to 0, and p is at least that of all changing in one way.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from animclip_jax import files
from animclip_jax.evaluation import comparison, results
from animclip_jax.evaluation.sweep import find_sweep
from animclip_jax.evaluation.table import caveats
from animclip_jax.runs import layout, run_config
from benchmarks import evidence_archive
from benchmarks.evidence_plot import plot
from benchmarks.evidence_rows import SIGNIFICANT, STAGES, SUBJECTS, Arms, Difference, Row, compare

DOCS = Path(__file__).resolve().parents[1] / "docs"


def read(sweeps: Sequence[Path], wanted: Sequence[str] = ()) -> Arms:
    """The runs of the arms wanted, or of all arms.

    Raises:
      FileNotFoundError: an arm is missing in one of the sweeps.
      ValueError: runs that can't be compared: other queries, one seed twice, other settings.
    """
    names = list(wanted) or _arms(sweeps[0])
    for sweep in sweeps:
        if not wanted and (found := _arms(sweep)) != names:
            raise ValueError(
                f"{sweep}: found the arms {', '.join(found)}, wanted {', '.join(names)} as in "
                f"{sweeps[0]}: name those to compare with --arms"
            )
        for name in names:
            if not (path := sweep / name / layout.RESULTS).is_file():
                raise FileNotFoundError(
                    f"arm {name!r} is missing: no {path}; the command that started that sweep goes "
                    "on with it, or name the arms to compare with --arms"
                )
    arms = {
        name: [comparison.read(sweep / name / layout.RESULTS) for sweep in sweeps] for name in names
    }
    _check(arms)
    return arms


def _arms(sweep: Path) -> list[str]:
    if not sweep.is_dir() or (found := find_sweep(sweep)) is None:
        raise FileNotFoundError(f"{sweep}: found no sweep, wanted the --workdir of train --sweep")
    return found.arms


def _check(arms: Arms) -> None:
    first = next(iter(arms.values()))
    seeds = [run.results["seed"] for run in first]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {seeds}: wanted sweeps of different seeds, --config.seed=N")
    for name, of_arm in arms.items():
        for run, seed in zip(of_arm, seeds, strict=True):
            comparison.refuse_unlike(first[0].results, run.results, str(run.path))
            if run.results["seed"] != seed:
                found = run.results["seed"]
                raise ValueError(f"{run.path}: field seed: found {found}, wanted {seed}")
            other = run_config.differences(run.results["config"], of_arm[0].results["config"])
            # An arm that began with another's weights took those of its own seed.
            its_own = "seed: ", "init_from: ", "init_towers_from: "
            if other := [line for line in other if not line.startswith(its_own)]:
                raise ValueError(
                    f"{run.path}: arm {name!r} is another one than in {of_arm[0].path}: "
                    f"{'; '.join(other)}"
                )


def table(rows: Sequence[Row], base: str) -> str:
    """Markdown tables, one for each subject that has rows."""
    parts = []
    for direction in dict.fromkeys(row.direction for row in rows):
        title, measures = SUBJECTS[direction]
        first = SUBJECTS[direction].first
        columns = [title, "stage"]
        for measure in measures:
            columns += [measure, f"vs. {base}"]
        columns.append(f"re-ranking raised {first.partition(',')[0]}")
        lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
        coarse: dict[str, np.ndarray] = {}
        for row in (row for row in rows if row.direction == direction):
            name = row.arm if row.base == base else f"{row.arm} (vs. {row.base})"
            if row.is_of_gains:
                name = f"({row.arm}) minus ({row.base})"
            cells = [name, results.STAGES[row.stage]]
            for measure in measures:
                gain = "" if row.arm == row.base else _said(row.gains[measure])
                cells += [_mean(row.values[measure]), gain]
            cells.append(_said(row.raised) if row.raised else "")
            if row.stage == "coarse":
                coarse[row.arm] = row.values[first]
            elif not row.is_of_gains:
                count = int(np.sum(row.values[first] > coarse[row.arm]))
                cells[-1] += f"; {count} of {len(coarse[row.arm])} seeds"
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def k_table(arms: Arms) -> str:
    """R@1 of re-ranking K candidates, text to video, over K: a Markdown table."""
    sweeps = {
        name: [{row["k"]: row for row in run.results["text_to_video"]["k_sweep"]} for run in runs]
        for name, runs in arms.items()
    }
    sizes = sorted({k for of_arm in sweeps.values() for one in of_arm for k in one})
    lines = [
        f"| R@1 of K candidates (ceiling) | {' | '.join(map(str, sizes))} |",
        f"|{' --- |' * (1 + len(sizes))}",
    ]
    for name, of_arm in sweeps.items():
        cells = []
        for k in sizes:
            found = [one[k] for one in of_arm if k in one]
            at_one, ceiling = (np.array([row[it] for row in found]) for it in ("R@1", "ceiling"))
            cells.append(f"{_mean(at_one)} ({ceiling.mean():.0f})" if found else "")
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def kinds_table(arms: Arms) -> str:
    """Which captions prefer their own video to its sibling, by what the two differ in.

    A Markdown table, in each cell the share of the dual encoders and the re-ranked one, means over
    seeds, of what all runs measured; "" for nothing.
    """
    found = {name: [run.results.get("siblings", {}) for run in runs] for name, runs in arms.items()}
    every = [one for runs in found.values() for one in runs]
    with_rows = {subject.rpartition("/")[2] for subject in SUBJECTS}
    known = set.intersection(*map(set, every)) - with_rows
    if not known:
        return ""
    counts = {kind: every[0][kind]["captions"] for kind in known}
    kinds = sorted(known, key=lambda kind: (-counts[kind], kind))
    heads = [f"{kind} ({counts[kind]} captions)" for kind in kinds]
    lines = [
        f"| told apart, %, means: coarse, re-ranked | {' | '.join(heads)} |",
        f"|{' --- |' * (1 + len(kinds))}",
    ]
    for name, runs in found.items():
        shares = [
            [[run[kind][stage]["above"] for stage in STAGES] for run in runs] for kind in kinds
        ]
        cells = ["{:.1f}, {:.1f}".format(*np.mean(of_kind, axis=0)) for of_kind in shares]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def _mean(values: np.ndarray) -> str:
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def _said(found: Difference) -> str:
    value, lower, upper, p = found
    said = f"{value:+.1f} [{lower:+.1f}, {upper:+.1f}] p {'< 0.001' if p < 0.001 else f'{p:.3f}'}"
    return f"**{said}**" if found.is_significant else said


def heading(arms: Arms, command: str, machine: str) -> str:
    """What was run, when, on what and with which seeds; and how to read the table."""
    every = [run for of_arm in arms.values() for run in of_arm]
    first = every[0].results

    def all_of(field: str) -> list[str]:
        return [str(one) for one in sorted({run.results[field] for run in every})]

    made = max(run.path.stat().st_mtime for run in every)
    day = datetime.datetime.fromtimestamp(made, datetime.UTC).date()
    commits = {run.results["git_commit"] or "unknown" for run in every}
    named = ", ".join(sorted({commit[:7] for commit in commits}))
    changes = " with changes" if any(commit.endswith("-dirty") for commit in commits) else ""
    seeds = [run.results["seed"] for run in next(iter(arms.values()))]
    chance = first["chance"]["text_to_video"]
    candidates, steps = all_of("rerank_k"), all_of("steps")
    # A comma would count the steps among the Ks.
    mark = "," if len(candidates) == len(steps) == 1 else ";"
    dataset = re.sub(r":[^@]*/(?=[^@/])", ":", first["dataset"])  # without this machine's folders
    lines = [
        f"`{command}`, {day}, {machine}, commit {named}{changes}, "
        f"{'seeds' if len(seeds) > 1 else 'one seed,'} {', '.join(map(str, seeds))}. "
        f"{dataset}: {first['num_queries']:,} captions, "
        f"{first['num_videos']:,} videos, K = {_either(candidates)}{mark} {_either(steps)} steps; "
        f"text to video, chance is R@1 {chance['R@1']:.2f} and R@10 {chance['R@10']:.2f}.",
        *caveats(first),
    ]
    over = "Mean ± standard deviation over seeds; differences are paired by query and seed, with "
    if len(seeds) == 1:
        over = "Differences are paired by query and say nothing of other seeds, with "
    return "\n\n".join([*lines, f"{over}95% intervals; **bold**: p < {SIGNIFICANT}, row by row."])


def _either(values: list[str]) -> str:
    """As in "20, 50 or 600"."""
    return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)


def this_machine() -> str:
    """Cores and the CPU's name."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{os.cpu_count()} CPU cores ({name})"


def page_of(name: str) -> Path:
    """The page of docs/experiments with a place for the table of that experiment.

    Raises:
      ValueError: no page has one, or several have.
    """
    place = f"<!-- evidence: {name} -->"
    pages = sorted((DOCS / "experiments").glob("*.md"))
    found = [page for page in pages for _ in range(page.read_text(encoding="utf-8").count(place))]
    if len(found) != 1:
        raise ValueError(
            f"found {place!r} {len(found)} times in {DOCS / 'experiments'}, wanted once: write it "
            "and '<!-- end -->' below it where the table is to stand"
        )
    return found[0]


def replaced(page: str, name: str, content: str) -> str:
    """The page's text with the content between `<!-- evidence: NAME -->` and `<!-- end -->`.

    Raises:
      ValueError: the second comment is missing.
    """
    begin, end = f"<!-- evidence: {name} -->", "<!-- end -->"
    place = re.compile(f"({re.escape(begin)}\n)(?:(?!<!-- ).)*?({re.escape(end)})", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"no {end!r} below {begin!r}: write it where the table is to end")
    return place.sub(lambda found: f"{found[1]}{content}\n{found[2]}", page)


def _pairs(flag: str, given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [one.partition("=") for one in given]
    if wrong := [
        one for one, (arm, _, other) in zip(given, pairs, strict=True) if not (arm and other)
    ]:
        raise ValueError(f"{flag} {wrong[0]}: wanted ARM=OTHER, both of them")
    return [(arm, other) for arm, _, other in pairs]


def main(argv: list[str] | None = None) -> int:
    """Prints the table, or writes it and the plot; 1 where that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the experiment")
    parser.add_argument("sweeps", nargs="+", type=Path, help="folders, of a seed each")
    parser.add_argument("--base", required=True, metavar="ARM", help="what arms are compared with")
    pair = "an arm that is compared with another one than --base"
    parser.add_argument("--against", nargs="+", default=[], metavar="ARM=BASE", help=pair)
    pair = "is what ARM gains on its base more than what OTHER gains on its own?"
    parser.add_argument("--gains", nargs="+", default=[], metavar="ARM=OTHER", help=pair)
    parser.add_argument("--arms", nargs="+", default=[], metavar="ARM", help="these alone")
    called = "the arms of the picture, from above, and what it calls them"
    parser.add_argument("--shown", nargs="+", default=[], metavar="ARM=WORDS", help=called)
    parser.add_argument("--than", default="", metavar="WORDS", help="and what they are more than")
    parser.add_argument("--write", action="store_true", help="into docs/, in place")
    parser.add_argument("--machine", default=this_machine(), help="that trained, if not this one")
    options = parser.parse_args(argv)
    given = sys.argv[1:] if argv is None else argv
    command = f"python -m benchmarks.evidence {shlex.join(given)}"
    try:
        with evidence_archive.unpacked(options.sweeps) as sweeps:
            print(_told(options, read(sweeps, options.arms), command))
    except (OSError, ValueError) as error:
        print(f"benchmarks.evidence: {error}", file=sys.stderr)
        return 1
    return 0


def _told(options: argparse.Namespace, arms: Arms, command: str) -> str:
    """The tables, or the paths of the page and the picture that were written."""
    against = dict(_pairs("--against", options.against))
    rows = compare(arms, options.base, against, _pairs("--gains", options.gains))
    called = dict(_pairs("--shown", options.shown))
    if strange := set(called) - {row.arm for row in rows if row.arm != row.base}:
        raise ValueError(f"--shown {min(strange)}: no arm that is compared with another")
    head = heading(arms, command, options.machine)
    parts = table(rows, options.base), kinds_table(arms), k_table(arms)
    tables = "\n\n".join(part for part in parts if part)
    if not options.write:
        return f"{head}\n\n{tables}"
    page, picture = page_of(options.name), DOCS / "evidence" / f"{options.name}.png"
    shown = f"![{options.name}: what each arm gains](../evidence/{picture.name})"
    whole = "\n\n".join([head, shown, tables])
    text = replaced(page.read_text(encoding="utf-8"), options.name, whole)
    picture.parent.mkdir(exist_ok=True)
    plot(rows, options.base, picture, called, options.than)
    files.write_text(page, text)
    return f"{page}\n{picture}"


if __name__ == "__main__":
    sys.exit(main())
