"""`animclip plan`: does a configuration fit TPUs or GPUs that nobody holds, and what limits it?"""

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["plan", *sys.argv[1:]]))

import dataclasses
from pathlib import Path

import jax

from animclip_jax import files, process, settings
from animclip_jax.cli.phases import phase
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.plan import parse
from animclip_jax.planning import program, readable
from animclip_jax.planning.estimate import Plan, plan
from animclip_jax.planning.suggest import Settings, changed, suggest
from animclip_jax.training.config import TrainingConfig


@stoppable("animclip plan")
def main(argv: list[str] | None = None) -> int:
    """Compiles the train step and prints what it costs; 0 where it fits, 3 where it does not."""
    values, extra = parse(argv)
    try:
        if extra:
            raise ValueError(f"{' '.join(extra)}: see animclip plan --help")
        return _plan(settings.training(values.config), values.topology, values.suggest, values.json)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip plan: {error}", file=sys.stderr)
        return 1


def _plan(config: TrainingConfig, topology: str | None, wants_best: bool, file: str | None) -> int:
    if topology:
        process.compile_alone()
        devices = program.described_devices(topology)
    else:
        devices = jax.devices()
    place = topology or "the devices here"
    print(f"planning for {place}; this can take some minutes", file=sys.stderr, flush=True)
    if wants_best:
        best = suggest(config, devices, _print_tried, phase)
        if best is None:
            print(f"No setting that was tried fits {place}: lower batch_size, or take more chips")
            return 3
        chosen, found = best
        config = changed(config, chosen)
        sure = "fits" if found.fits else "may fit, since the memory here is not known"
        print(f"\nThe least work that {sure}:", readable.as_flags(chosen), end="\n\n")
    else:
        found = plan(config, devices, phase)
    print(readable.as_text(found, config, place, devices))
    if file:
        asked = {"topology": topology, "settings": readable.decisive(config)}
        files.write_json(Path(file), asked | dataclasses.asdict(found), indent=1)
    return 3 if found.fits is False else 0


def _print_tried(tried: Settings, found: Plan) -> None:
    print(readable.tried(tried, found), flush=True)
