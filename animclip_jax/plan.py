"""`animclip plan`: does a configuration fit TPUs or GPUs that nobody holds, and what limits it?"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
from ml_collections import ConfigDict

from animclip_jax import files
from animclip_jax.cli.phases import phase
from animclip_jax.cli.signals import stoppable
from animclip_jax.options.plan import parse
from animclip_jax.planning import program
from animclip_jax.planning.estimate import GIB, Plan, plan
from animclip_jax.planning.suggest import Settings, suggest
from animclip_jax.runs import run_config
from animclip_jax.training.chips import chip_of


@stoppable("animclip plan")
def main(argv: list[str] | None = None) -> int:
    """Compiles the train step and prints what it costs; 0 where it fits, 3 where it does not."""
    values, extra = parse(argv)
    try:
        if extra:
            raise ValueError(f"{' '.join(extra)}: see animclip plan --help")
        return _plan(values.config, values.topology, values.suggest, values.json)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"animclip plan: {error}", file=sys.stderr)
        return 1


def _plan(config: ConfigDict, topology: str | None, wants_best: bool, file: str | None) -> int:
    if topology:
        # Nothing runs: the devices here, which may be at work, are left alone.
        jax.config.update("jax_platforms", "cpu")
        # What a cache keeps of a program can't be read without the chips.
        jax.config.update("jax_enable_compilation_cache", False)
        devices = program.described_devices(topology)
    else:
        devices = jax.devices()
    place = topology or "the devices here"
    print(f"planning for {place}; this takes up to some minutes", file=sys.stderr, flush=True)
    settings: Settings = {}
    if wants_best:
        best = suggest(config, devices, _print_tried, phase)
        if best is None:
            print(f"Nothing that was tried fits {place}: a smaller batch_size, or more chips")
            return 3
        settings, found = best
        config = run_config.changed(config, settings)
        print("\nThe least work that fits:", _as_flags(settings), end="\n\n")
    else:
        found = plan(config, devices, phase)
    print(text(found, config, place, devices))
    if file:
        record = {"topology": topology, "settings": _settings(config)} | dataclasses.asdict(found)
        files.write_json(Path(file), record, indent=1)
    return 3 if found.fits is False else 0


def text(found: Plan, config: ConfigDict, place: str, devices: Sequence[jax.Device]) -> str:
    """A plan for a person."""
    said = ", ".join(f"{name} {value}" for name, value in _settings(config).items())
    chips = f"{found.chips} x {found.device_kind}"
    if (chip := chip_of(devices[0])) and chip.google_name:
        chips += f", accelerator type {chip.google_name}-{found.chips * chip.units}"
    fits = {True: "FITS", False: "DOES NOT FIT", None: "memory of the device not known"}[found.fits]
    available = found.hbm_gib_available
    of = "" if available is None else f" of {available:.2f}"
    lines = [
        f"{place}: {chips}",
        said,
        f"{fits}: {found.hbm_gib_per_chip:.2f}{of} GiB of memory a chip",
        f"compiled in {found.compile_seconds:.0f} s",
    ]
    if found.hbm_gib_by_kind is not None:
        lines += ["", "GiB a chip"]
        lines += [f"  {name:<12} {gib:>9.3f}" for name, gib in found.hbm_gib_by_kind.items()]
        lines += ["", *_cost_lines(found, config), "", *_collective_lines(found)]
    else:
        lines.append("--suggest looks for settings that do")
    return "\n".join(lines)


def _cost_lines(found: Plan, config: ConfigDict) -> list[str]:
    assert found.flops is not None and found.highest_flops is not None
    assert found.hbm_traffic_gib is not None
    lines = [
        "a step and chip",
        f"  {found.flops / 1e12:.3f} TFLOP of matrix products, "
        f"{found.highest_flops / 1e12:.3f} of them in float32 at HIGHEST",
        f"  {found.hbm_traffic_gib:.2f} GiB of memory traffic: "
        f"{found.flops / (found.hbm_traffic_gib * GIB):.0f} FLOP a byte",
    ]
    if found.unknown_loops:
        lines.append(f"  {found.unknown_loops} loops of unknown length are counted as one round")
    if found.seconds is None:
        return [*lines, f"  no peaks are known of {found.device_kind}: no time at best"]
    limits = {name: s for name, s in found.seconds.items() if name != "step"}
    each = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in limits.items())
    step, limit = found.seconds["step"], max(limits, key=lambda name: limits[name])
    return [
        *lines,
        f"  at the published peaks: {each}",
        f"  at best {step * 1e3:.1f} ms a step, limited by {limit}: "
        f"{config.batch_size / step:,.0f} clips a second",
    ]


def _collective_lines(found: Plan) -> list[str]:
    if not found.collectives:
        return ["no collectives"]
    lines = [
        f"{'collectives':<20} {'axes':<16} {'devices':>8} {'calls':>7} {'GiB a step and chip':>20}"
    ]
    for one in found.collectives:
        lines.append(
            f"  {one.kind:<18} {one.axes:<16} {one.devices:>8} {one.count:>7} {one.gib:>20.4f}"
        )
    return lines


def _print_tried(settings: Settings, found: Plan) -> None:
    step = f"{found.seconds['step'] * 1e3:8.1f} ms at best" if found.seconds else ""
    word = "does not fit" if found.fits is False else "fits"
    of = "" if found.hbm_gib_available is None else f" of {found.hbm_gib_available:.2f}"
    print(
        f"{_as_flags(settings):<70} {word:<12} {found.hbm_gib_per_chip:6.2f}{of} GiB {step}",
        flush=True,
    )


def _as_flags(settings: Settings) -> str:
    return " ".join(f"--config.{name}={value}" for name, value in settings.items())


def _settings(config: ConfigDict) -> dict[str, object]:
    """What of a configuration decides its plan."""
    said: dict[str, object] = {
        "batch_size": config.batch_size,
        "frames": config.animation.num_frames,
        "image_size": config.model.image_size,
        "canvas_size": config.data.canvas_size,
        "render": config.animation.render,
        "dtype": config.model.dtype,
        "remat": config.model.remat,
    }
    said |= {f"mesh.{axis}": size for axis, size in config.mesh.items()}
    return said | {"microbatch": config.microbatch}


if __name__ == "__main__":
    sys.exit(main())
