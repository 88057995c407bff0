"""`animclip report`: the results of a run or of a sweep of arms as one table and one page."""

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["report", *sys.argv[1:]]))

from animclip_jax.cli.signals import stoppable
from animclip_jax.evaluation.table import table
from animclip_jax.options.report import parse
from animclip_jax.reporting.report import report
from animclip_jax.runs import layout


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
