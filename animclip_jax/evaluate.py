"""`animclip evaluate`: two-stage retrieval on a source of captioned videos, and what it scored."""

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["evaluate", *sys.argv[1:]]))

from pathlib import Path
from typing import Any

import jax
from absl.flags import FlagValues
from etils import epath

from animclip_jax import distributed, process, settings, sharding
from animclip_jax.cli import flags
from animclip_jax.cli.signals import stoppable
from animclip_jax.evaluation import comparison
from animclip_jax.evaluation.arm import Made, evaluate
from animclip_jax.evaluation.table import table
from animclip_jax.options.evaluate import parse
from animclip_jax.reporting.report import report as write_page
from animclip_jax.runs import layout, run_config
from animclip_jax.runs.mirror import Mirror, local_folder
from animclip_jax.training.checkpoint import load_params

# The exit code after SIGTERM.
SIGTERM = 128 + 15


@stoppable("animclip evaluate")
def main(argv: list[str] | None = None) -> int:
    """Evaluates the best step of a run, else its newest; --config.data.eval takes other videos."""
    values = parse(argv)
    try:
        process.keep_compiled_programs(values.config.data.cache_dir)
        process.keep_freed_memory()
        distributed.initialize(
            values.coordinator, values.processes, values.process, until_a_step_ends=False
        )
        with distributed.ending_together(after_sigterm=SIGTERM):
            if jax.process_index() == 0:
                _evaluate_and_write(values)
            else:
                _evaluate_run(values, Path(values.workdir))
            distributed.wait("the end of an evaluation")
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip evaluate: {error}", file=sys.stderr)
        return 1
    return 0


def _evaluate_and_write(values: FlagValues) -> None:
    """What the first process does: it alone has the folder, writes there, and prints."""
    theirs = comparison.read(Path(values.against)) if values.against else None
    cache_dir = values.config.data.cache_dir
    folder = epath.Path(values.out or values.workdir)
    with run_config.alone(local_folder(folder, cache_dir)):
        kept = Mirror(folder, cache_dir)
        report = _evaluate_run(values, kept.local, theirs)
        write_page(kept.local)
        kept.push()
    print(table(report))
    if theirs is not None:
        compared = comparison.compare(comparison.read(kept.local / layout.RESULTS), theirs)
        print(f"\n{comparison.table(compared)}")
    print(f"\n{kept.remote / layout.RESULTS}\n{kept.remote / layout.REPORT}")


def _evaluate_run(
    values: FlagValues, out: Path, against: comparison.Evaluated | None = None
) -> dict[str, Any]:
    """Evaluates a run as it is now, with all processes; the first one writes into `out`."""
    config, searched = values.config, settings.evaluation(values.config)
    mesh = sharding.make_mesh(settings.mesh(config))
    steps, params = load_params(epath.Path(values.workdir), mesh, searched.model)
    made = Made(steps, config.to_dict(), flags.overrides(values))
    return evaluate(searched, mesh, params, out, made, against=against)
