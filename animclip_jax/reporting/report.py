"""Writes the report of a run or of a sweep: results and their page, in its folder."""

from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.evaluation import results
from animclip_jax.evaluation.sweep import arms_of, find_sweep, gather
from animclip_jax.reporting.arms import load_arm
from animclip_jax.reporting.page import page
from animclip_jax.runs import layout


def report(workdir: Path, main_arm: str | None = None) -> dict[str, Any]:
    """Writes WORKDIR/report.html and, for a sweep, WORKDIR/results.json.

    Args:
      main_arm: the arm that the others are controls for; only for a sweep.

    Returns:
      the results.

    Raises:
      FileNotFoundError: the run or an arm of it is not finished.
      ValueError: a file of the run is damaged, or the arms cannot be compared.
    """
    if not workdir.is_dir():
        raise FileNotFoundError(f"no folder {workdir}: wanted the --workdir of a run")
    sweep = find_sweep(workdir)
    if sweep is None:
        if main_arm is not None:
            raise ValueError(f"{workdir} is one run, it has no arms: leave out --main")
        found = results.read(workdir / layout.RESULTS)
        arms = [load_arm(workdir, "", found)]
    else:
        found = gather(workdir, main_arm or sweep.main or layout.MAIN_ARM)
        results.write(workdir / layout.RESULTS, found)
        arms = [load_arm(workdir / n, n, run) for n, run in arms_of(found).items()]
    files.write_text(workdir / layout.REPORT, page(found, arms))
    return found
