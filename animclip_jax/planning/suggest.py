"""Which mesh, microbatch and remat make the fastest step that fits."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from animclip_jax import runs
from animclip_jax.models.transformer import REMAT_POLICIES
from animclip_jax.planning import program
from animclip_jax.planning.estimate import GIB, Plan, plan

# Forward passes that a step takes beyond its one, as parts of a whole step: a forward pass is a
# third of it. "dots" computes again what is between matrix products, which is cheap.
EXTRA_OF_REMAT = {"none": 0.0, "dots": 0.05, "block": 1 / 3}
EXTRA_OF_MICROBATCH = 1 / 3
# What is predicted to need this much of the memory that there is, is not compiled.
HOPELESS = 1.1
Settings = dict[str, Any]


def candidates(config: ConfigDict, chips: int) -> list[tuple[float, Settings]]:
    """Settings to try with the work of a step relative to the least, the least work first.

    Among equal ones parameters whole on every chip come first, then few parts.
    """
    found = []
    rows = config.batch_size // chips  # a part needs one of every chip
    parts = [2**i for i in range(rows.bit_length()) if rows % 2**i == 0] or [1]
    if "microbatch" not in config:
        parts = [1]
    for remat, fsdp, count in itertools.product(REMAT_POLICIES, _fsdp_sizes(chips), parts):
        work = 1 + EXTRA_OF_REMAT[remat] + (EXTRA_OF_MICROBATCH if count > 1 else 0)
        settings: Settings = {"model.remat": remat, "mesh.fsdp": fsdp}
        if "microbatch" in config:
            settings["microbatch"] = 0 if count == 1 else config.batch_size // count
        found.append((work, fsdp, count, settings))
    found.sort(key=lambda one: one[:3])
    return [(work, settings) for work, _, _, settings in found]


def suggest(
    config: ConfigDict, devices: Sequence[jax.Device], report: Callable[[Settings, Plan], None]
) -> tuple[Settings, Plan] | None:
    """The fastest settings found that fit, and their plan; None where nothing fits.

    Tries those of least work first, leaves out what a plan has shown to be pointless, and ends
    when what is left has more work than what fits.
    """
    state_gib = program.state_bytes(config) / GIB
    best: tuple[Settings, Plan] | None = None
    best_work = float("inf")
    tried: list[tuple[Settings, Plan]] = []
    for work, settings in candidates(config, len(devices)):
        if work > best_work:
            break
        if any(_is_pointless(settings, *one, config.batch_size, state_gib) for one in tried):
            continue
        found = plan(runs.changed(config, settings), devices)
        report(settings, found)
        tried.append((settings, found))
        if found.fits is not False and (best is None or _seconds(found) < _seconds(best[1])):
            best, best_work = (settings, found), min(best_work, work)
    return best


def _fsdp_sizes(chips: int) -> Iterator[int]:
    return (size for size in (1, 8) if chips % size == 0)


def _is_pointless(
    settings: Settings, other: Settings, found: Plan, clips: int, state_gib: float
) -> bool:
    """Whether settings with the same remat can't fit, or need not split what fits whole.

    At best `fsdp` divides the state's memory, and the microbatch all that is not state.
    """
    if settings["model.remat"] != other["model.remat"]:
        return False
    at_once, then = (one.get("microbatch") or clips for one in (settings, other))
    if found.fits is not False:
        return at_once == then
    if found.hbm_gib_available is None:
        return False
    rest = found.hbm_gib_per_chip - state_gib / other["mesh.fsdp"]
    least = state_gib / settings["mesh.fsdp"] + rest * at_once / then
    return least > HOPELESS * found.hbm_gib_available


def _seconds(found: Plan) -> float:
    return found.seconds["step"] if found.seconds else 0.0
