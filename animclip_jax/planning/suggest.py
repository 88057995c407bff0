"""Which mesh, microbatch and remat make the step of least work that fits."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from animclip_jax.models.transformer import REMAT_POLICIES
from animclip_jax.planning import program
from animclip_jax.planning.estimate import GIB, Phase, Plan, available_gib, plan, silent
from animclip_jax.sharding import MeshConfig
from animclip_jax.training.config import TrainingConfig
from animclip_jax.words import count

# Forward passes that a step takes beyond its one, as parts of a whole step: a forward pass is a
# third of it. "dots" computes again what is between matrix products, which is cheap.
EXTRA_OF_REMAT = {"none": 0.0, "dots": 0.05, "block": 1 / 3}
EXTRA_OF_MICROBATCH = 1 / 3


class Settings(NamedTuple):
    """What is tried: `model.remat`, `mesh.fsdp` and `microbatch` of a configuration."""

    remat: str
    fsdp: int
    microbatch: int


def changed(config: TrainingConfig, settings: Settings) -> TrainingConfig:
    """A configuration with these settings."""
    clip = dataclasses.replace(config.model.clip, remat=settings.remat)
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, clip=clip),
        mesh=dataclasses.replace(config.mesh, fsdp=settings.fsdp),
        microbatch=settings.microbatch,
    )


def candidates(config: TrainingConfig, chips: int) -> list[Settings]:
    """Settings to try, those with the least work a step first.

    Among equal ones few parts come first, for each reads all parameters once more; then parameters
    whole on every chip.

    Raises:
      ValueError: the mesh's other axes leave no mesh to try.
    """
    found = []
    batch_size, sizes = config.batches.batch_size, _fsdp_sizes(config.mesh, chips)
    # Chips along `tensor` have the same clips; of the others every part needs one each.
    rows = batch_size // (chips // config.mesh.tensor)
    parts = [2**i for i in range(rows.bit_length()) if rows % 2**i == 0] or [1]
    for remat, fsdp, number in itertools.product(REMAT_POLICIES, sizes, parts):
        work = 1 + EXTRA_OF_REMAT[remat] + (EXTRA_OF_MICROBATCH if number > 1 else 0)
        microbatch = 0 if number == 1 else batch_size // number
        found.append((work, number, fsdp, Settings(remat, fsdp, microbatch)))
    found.sort(key=lambda one: one[:3])
    return [settings for *_, settings in found]


def suggest(
    config: TrainingConfig,
    devices: Sequence[jax.Device],
    report: Callable[[Settings, Plan], None],
    phase: Phase = silent,
) -> tuple[Settings, Plan] | None:
    """The settings of least work that fit, and their plan; None where nothing fits.

    Compiling takes minutes: what needs too much memory by `least_gib` already is not compiled.

    Raises:
      ValueError: as `candidates`.
    """
    to_try = candidates(config, len(devices))
    with phase("counting the least memory that each setting needs"):
        available = available_gib(devices[0])
        least = least_gib(config, devices)
    for settings in to_try:
        if available is not None and least(settings) > available:
            continue
        found = plan(changed(config, settings), devices, phase)
        report(settings, found)
        if found.fits is not False:
            return settings, found
    return None


def least_gib(config: TrainingConfig, devices: Sequence[jax.Device]) -> Callable[[Settings], float]:
    """-> of settings the memory of a chip that they need at least, without compiling.

    That is the state, and what the encoders store for the backward pass. A step takes more: for
    gradients, pictures, and what lives within a layer.
    """
    state = program.state_bytes(config) / GIB
    a_clip = {
        remat: program.stored_bytes_a_clip(changed(config, Settings(remat, 1, 0)), devices[0]) / GIB
        for remat in REMAT_POLICIES
    }

    def least(settings: Settings) -> float:
        clips = (settings.microbatch or config.batches.batch_size) / len(devices)
        # Arrays that an axis does not divide are whole along it: more than this.
        parts = settings.fsdp * config.mesh.tensor
        return state / parts + a_clip[settings.remat] * clips

    return least


def _fsdp_sizes(mesh: MeshConfig, chips: int) -> list[int]:
    """Those that cover the chips with the mesh's other axes as they are: one where `data` is set.

    Else 1, the largest of 2, 4 and 8 that the chips allow, and the mesh's own. What lies between
    splits less, and would be more compilations.
    """
    others = mesh.tensor * (1 if mesh.data == -1 else mesh.data)
    if others < 1 or chips % others:
        raise ValueError(
            f"mesh.data={mesh.data} and mesh.tensor={mesh.tensor} leave no mesh.fsdp to try on "
            f"{count(chips, 'chip')}: choose sizes whose product divides that number, or data=-1"
        )
    left = chips // others
    if mesh.data != -1:
        return [left]
    own = mesh.fsdp if left % mesh.fsdp == 0 else 1
    return sorted({1, math.gcd(left, 8), own})
