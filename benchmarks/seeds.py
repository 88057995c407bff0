"""Several seeds of one sweep -> a Markdown table: mean and spread (standard deviation) over seeds.

    python -m benchmarks.seeds runs/quickstart runs/seed1 runs/seed2

Each folder is a sweep that `animclip report` has gathered into results.json.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax import results

MEASURES = ("R@1", "R@5", "R@10", "MdR")


def cell(runs: list[dict[str, Any]], direction: str, stage: str, measure: str) -> str:
    """Mean and standard deviation over seeds, "4.1 ± 0.3"."""
    values = [run[direction][stage][measure] for run in runs]
    spread = np.std(values, ddof=1) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.2f} ± {spread:.2f}"


def table(sweeps: list[dict[str, Any]]) -> str:
    """One row an arm, direction and stage; the last column counts the seeds won by re-ranking."""
    lines = [
        f"| arm | direction | stage | {' | '.join(MEASURES)} | re-ranking raised R@1 |",
        f"| --- | --- | --- | {' | '.join('---' for _ in MEASURES)} | --- |",
    ]
    arms = [results.arms_of(sweep) for sweep in sweeps]
    for arm in arms[0]:
        runs = [sweep[arm] for sweep in arms]
        for direction, title in results.DIRECTIONS.items():
            for stage, name in results.STAGES.items():
                cells = " | ".join(cell(runs, direction, stage, m) for m in MEASURES)
                won = ""
                if stage == "reranked":
                    gains = [
                        run[direction]["reranked"]["R@1"] - run[direction]["coarse"]["R@1"]
                        for run in runs
                    ]
                    won = f"{sum(gain > 0 for gain in gains)} of {len(runs)} seeds"
                lines.append(f"| {arm} | {title} | {name} | {cells} | {won} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Prints the table and what was run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweeps", nargs="+", type=Path, help="folders gathered by animclip report")
    sweeps = [results.read(path / results.RESULTS) for path in parser.parse_args(argv).sweeps]
    first = sweeps[0]
    seeds = ", ".join(str(sweep["seed"]) for sweep in sweeps)
    print(f"{first['dataset']}: {first['num_queries']} captions, {first['num_videos']} videos, ")
    print(f"K = {first['rerank_k']}, seeds {seeds}, commit {first['git_commit']}\n")
    print(table(sweeps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
