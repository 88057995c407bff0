"""`animclip evaluate`: two-stage retrieval on a source of captioned videos, and what it scored."""

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["evaluate", *sys.argv[1:]]))

from pathlib import Path
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from animclip_jax import process, settings, sharding
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


def _evaluate_newest(
    workdir: epath.Path,
    out: Path,
    config: ConfigDict,
    overrides: dict[str, Any],
    against: comparison.Evaluated | None,
) -> dict[str, Any]:
    """Evaluates a run's newest checkpoint; writes the results, and their page, into `out`."""
    mesh = sharding.make_mesh(settings.mesh(config))
    steps, params = load_params(workdir, mesh)
    report = evaluate(
        settings.evaluation(config),
        mesh,
        params,
        out,
        Made(steps, config.to_dict(), overrides),
        against=against,
    )
    write_page(out)
    return report


@stoppable("animclip evaluate")
def main(argv: list[str] | None = None) -> int:
    """Evaluates the newest checkpoint of a run; --config.data.eval=... takes other videos."""
    values = parse(argv)
    workdir, config = epath.Path(values.workdir), values.config
    try:
        process.keep_compiled_programs(config.data.cache_dir)
        process.keep_freed_memory()
        theirs = comparison.read(Path(values.against)) if values.against else None
        folder_to_write = epath.Path(values.out or workdir)
        with run_config.alone(local_folder(folder_to_write, config.data.cache_dir)):
            kept = Mirror(folder_to_write, config.data.cache_dir)
            out = kept.local
            report = _evaluate_newest(workdir, out, config, flags.overrides(values), theirs)
            kept.push()
        print(table(report))
        if theirs is not None:
            compared = comparison.compare(comparison.read(out / layout.RESULTS), theirs)
            print(f"\n{comparison.table(compared)}")
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip evaluate: {error}", file=sys.stderr)
        return 1
    print(f"\n{kept.remote / layout.RESULTS}\n{kept.remote / layout.REPORT}")
    return 0
