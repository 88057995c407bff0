"""A plan in words: what `animclip plan` prints."""

import dataclasses
from collections.abc import Sequence

import jax

from animclip_jax.planning.estimate import GIB, Plan
from animclip_jax.planning.suggest import Settings
from animclip_jax.training.chips import chip_of
from animclip_jax.training.config import TrainingConfig
from animclip_jax.words import count


def as_text(found: Plan, config: TrainingConfig, place: str, devices: Sequence[jax.Device]) -> str:
    """A plan for a person."""
    said = ", ".join(f"{name} {value}" for name, value in decisive(config).items())
    chips = f"{found.chips} x {found.device_kind}"
    if (chip := chip_of(devices[0])) and chip.google_name:
        chips += f", accelerator type {chip.google_name}-{found.chips * chip.units}"
    fits = {True: "FITS", False: "DOES NOT FIT", None: "the memory of this device is unknown"}[
        found.fits
    ]
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
        lines.append("--suggest searches for settings that fit")
    return "\n".join(lines)


def _cost_lines(found: Plan, config: TrainingConfig) -> list[str]:
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
        lines.append(
            f"  {count(found.unknown_loops, 'loop')} of unknown length: counted as one round"
        )
    if found.seconds is None:
        return [*lines, f"  no peak figures for {found.device_kind}, so no time estimate"]
    limits = {name: s for name, s in found.seconds.items() if name != "step"}
    each = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in limits.items())
    step, limit = found.seconds["step"], max(limits, key=lambda name: limits[name])
    return [
        *lines,
        f"  at the published peaks: {each}",
        f"  at best {step * 1e3:.1f} ms a step, limited by {limit}: "
        f"{config.batches.batch_size / step:,.0f} clips a second",
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


def tried(settings: Settings, found: Plan) -> str:
    """One of the settings that `suggest` tried, in a line."""
    step = f"{found.seconds['step'] * 1e3:8.1f} ms at best" if found.seconds else ""
    word = {False: "does not fit", True: "fits", None: "unknown"}[found.fits]
    of = "" if found.hbm_gib_available is None else f" of {found.hbm_gib_available:.2f}"
    gib = f"{found.hbm_gib_per_chip:6.2f}{of} GiB"
    return f"{as_flags(settings):<70} {word:<12} {gib} {step}"


def as_flags(settings: Settings) -> str:
    """Settings as they are written on a command's line."""
    remat, fsdp, microbatch = settings
    return (
        f"--config.model.remat={remat} --config.mesh.fsdp={fsdp} --config.microbatch={microbatch}"
    )


def decisive(config: TrainingConfig) -> dict[str, object]:
    """The settings that decide a plan, by name."""
    clip, batches = config.model.clip, config.batches
    said: dict[str, object] = {
        "batch_size": batches.batch_size,
        "frames": config.model.num_frames,
        "image_size": clip.image_size,
        "canvas_size": batches.canvas_size,
        "render": batches.animation.render,
        "dtype": clip.dtype,
        "remat": clip.remat,
    }
    said |= {f"mesh.{axis}": size for axis, size in dataclasses.asdict(config.mesh).items()}
    return said | {"microbatch": config.microbatch}
