"""LoRA: kernels of the towers keep their values and learn the product of two narrow matrices.

After Hu et al. 2021, "LoRA: Low-rank adaptation of large language models" (arXiv 2106.09685). A
kernel W computes as W + A B, A [inputs, rank] and B [rank, outputs], and B begins at zero. Where a
kernel has several axes of inputs or of outputs, as attention's have for heads, A or B has them too,
so that both are split over devices as the kernel is. The paper's factor alpha / rank before A B is
one on B's learning rate here: to AdamW that is the same, and whoever reads the parameters needs no
more than them. They lie under ADAPTERS, by the path of their kernel. What is evaluated, exported
and begun with by other runs is `merged`.
"""

import dataclasses
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util

from animclip_jax.models.transformer import SCANNED
from animclip_jax.training.optimizer import matrices

ADAPTERS = "lora"
# What keeps its values beside adapters.
TOWERS = "^clip/(vision|text)/"


@dataclasses.dataclass(frozen=True)
class LoraConfig:
    """`rank`: 0 trains the towers themselves. `alpha`: B learns alpha / rank times as fast.

    `targets`: regular expression; kernels of the towers whose slash-joined path it matches
    somewhere have an adapter.
    """

    rank: int = 0
    alpha: float = 16.0
    targets: str = "attention"

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ValueError(f"lora.rank {self.rank}: wanted 0, for none, or more")
        if self.rank and not 0 < self.alpha < math.inf:
            raise ValueError(f"lora.alpha {self.alpha}: wanted a finite number above 0")
        try:
            re.compile(self.targets)
        except re.error as error:
            raise ValueError(f"lora.targets {self.targets!r}: {error}") from error


def draw(config: LoraConfig, params: dict, seed: int) -> dict:
    """The parameters and, where the rank is not 0, adapters; A is normal, of variance 1 / inputs.

    Raises:
      ValueError: no kernel of a tower matches config.targets.
    """
    if not config.rank:
        return params
    sides = traverse_util.flatten_dict(matrices(params), sep="/")
    kernels = traverse_util.flatten_dict(params, sep="/")
    able = [name for name in kernels if sides[name] and re.search(TOWERS, name)]
    chosen = [name for name in able if re.search(config.targets, name)]
    if not chosen:
        raise ValueError(
            f"lora.targets {config.targets!r} matches no kernel of a tower; they are called "
            f"{able[0]}, {able[-1]}"
        )
    adapters: dict[str, jax.Array] = {}
    for number, name in enumerate(chosen):
        shape, axes = kernels[name].shape, sides[name]
        first, cut = axes.reduction_axis[0], axes.output_axis[0]
        key = jax.random.fold_in(jax.random.key(seed), number)
        normal = jax.random.normal(key, (*shape[:cut], config.rank))
        adapters[f"{name}/a"] = normal * math.prod(shape[first:cut]) ** -0.5
        adapters[f"{name}/b"] = jnp.zeros((*shape[:first], config.rank, *shape[cut:]))
    return params | {ADAPTERS: traverse_util.unflatten_dict(adapters, sep="/")}


def merged(params: dict) -> dict:
    """The parameters of the model that these compute, without adapters; others as they are."""
    if ADAPTERS not in params:
        return params
    found = {name: part for name, part in params.items() if name != ADAPTERS}
    flat = traverse_util.flatten_dict(found, sep="/")
    adapters = traverse_util.flatten_dict(params[ADAPTERS], sep="/")
    # In one order in every process, or each would compile a program of its own.
    for name in dict.fromkeys(path.rpartition("/")[0] for path in adapters):
        layers = range(SCANNED in name.split("/"))
        sides = adapters[f"{name}/a"], adapters[f"{name}/b"]
        # At full precision, or a kernel would be another one where it is trained than where it is
        # exported.
        product = jax.lax.dot_general(
            *sides,
            (((sides[0].ndim - 1,), (len(layers),)), (layers, layers)),
            precision=jax.lax.Precision.HIGHEST,
        )
        flat[name] = flat[name] + product.astype(flat[name].dtype)
    whole: dict[str, Any] = traverse_util.unflatten_dict(flat, sep="/")
    return whole
