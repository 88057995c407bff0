"""`animclip report`: the results of a run or of a sweep of arms as one table and one page."""

import sys
from pathlib import Path

from animclip_jax import files
from animclip_jax.cli.signals import stoppable
from animclip_jax.evaluation import results
from animclip_jax.evaluation.sweep import arms_of, find_sweep, gather
from animclip_jax.evaluation.table import table
from animclip_jax.options.report import MAIN_ARM, parse
from animclip_jax.reporting.arms import load_arm
from animclip_jax.reporting.page import page
from animclip_jax.runs import layout


def report(workdir: Path, main_arm: str | None = None) -> dict:
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
        found = gather(workdir, main_arm or sweep.main or MAIN_ARM)
        results.write(workdir / layout.RESULTS, found)
        arms = [load_arm(workdir / n, n, run) for n, run in arms_of(found).items()]
    files.write_text(workdir / layout.REPORT, page(found, arms))
    return found


@stoppable("animclip report")
def main(argv: list[str] | None = None) -> int:
    """Writes and prints the report of a folder; 1 if that is not possible."""
    options = parse(argv)
    try:
        found = report(options.workdir, options.main)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip report: {error}", file=sys.stderr)
        return 1
    print(table(found))
    print(f"\n{options.workdir / layout.RESULTS}\n{options.workdir / layout.REPORT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
