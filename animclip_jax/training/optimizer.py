"""AdamW or Muon with warm-up and cosine decay; what learns how fast, and what does not at all."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import optax

from animclip_jax.models.transformer import SCANNED
from animclip_jax.models.videoprism import STACKS
from animclip_jax.words import require_amounts

ALGORITHMS = ("adamw", "muon")
# Muon's updates are given the root mean square that AdamW's have, so that its rate is like AdamW's.
MUON_RMS = 0.2
# The reader of motion: its first kernel takes embeddings of words and its last gives the result.
# Muon is for hidden layers.
READER = ["motion", "read"]


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """`warmup_steps` rise linearly to `learning_rate`, then a cosine falls to zero.

    algorithm: adamw, or muon: kernels with two sides learn by Muon (Jordan et al. 2024, "Muon: An
      optimizer for hidden layers in neural networks"), all else, and the reader of motion, by
      AdamW with Nesterov momentum. For training from nothing. matrix_rate: factor on the learning
      rate of what Muon moves.
    clip_norm: greatest norm of the gradients of all parameters together; 0 leaves them as they are.
    vision_rate, text_rate: factors on the learning rate of the towers.
    layer_decay: another factor on a tower's layers, for each layer that follows; its embeddings
      count as one more layer below the first.
    frozen: regular expression; parameters whose slash-joined path it matches somewhere keep their
      values, such as "clip/text"; "" freezes none.
    adapter_rate: factor on the learning rate of LoRA's B (see lora.py).
    average_decay: of the exponential moving average of the parameters, which is evaluated and
      exported in their place; 0 keeps none.
    """

    learning_rate: float
    warmup_steps: int
    weight_decay: float
    b1: float
    b2: float
    clip_norm: float
    vision_rate: float = 1.0
    text_rate: float = 1.0
    layer_decay: float = 1.0
    frozen: str = ""
    average_decay: float = 0.0
    algorithm: str = "adamw"
    matrix_rate: float = 3.0
    adapter_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(
                f"optimizer.algorithm {self.algorithm!r}: wanted one of {', '.join(ALGORITHMS)}"
            )
        try:
            re.compile(self.frozen)
        except re.error as error:
            raise ValueError(f"optimizer.frozen {self.frozen!r}: {error}") from error
        rates = "learning_rate", "vision_rate", "text_rate", "layer_decay", "matrix_rate"
        amounts = *rates, "weight_decay"
        require_amounts({f"optimizer.{name}": getattr(self, name) for name in amounts})
        for name in ("b1", "b2", "average_decay"):
            if not 0.0 <= (given := getattr(self, name)) < 1.0:
                raise ValueError(f"optimizer.{name} {given}: wanted 0 to below 1")
        if not 0.0 <= self.clip_norm < math.inf:
            raise ValueError(
                f"optimizer.clip_norm {self.clip_norm}: wanted a number above 0, or 0 not to clip"
            )


def is_decayed(params: dict) -> dict:
    """True for kernels and embedding tables, False for biases, norms, positions and scalars."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key in ("kernel", "embedding"), params
    )


def is_frozen(config: OptimizerConfig, params: dict) -> dict:
    """Which parameters keep their values.

    Raises:
      ValueError: config.frozen matches none of them, or all.
    """
    frozen = jax.tree_util.tree_map_with_path(
        lambda path, _: bool(config.frozen) and bool(re.search(config.frozen, _name(path))), params
    )
    found = jax.tree.leaves(frozen)
    if config.frozen and (all(found) or not any(found)):
        names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        matched = "all parameters" if all(found) else "no parameter"
        raise ValueError(
            f"optimizer.frozen {config.frozen!r} matches {matched}; they are "
            f"called {names[0]}, {names[-1]}"
        )
    return frozen


def rate_factors(config: OptimizerConfig, params: dict) -> dict:
    """What multiplies each parameter's learning rate: float32, broadcast along scanned layers."""
    # The layers of each tower, stack by stack.
    depth: dict[str, dict[str, int]] = {"vision": {}, "text": {}}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = _name(path).split("/")
        if SCANNED in names and names[0] == "clip" and names[1] in depth:
            depth[names[1]][names[2]] = leaf.shape[0]

    def factor(path: tuple, leaf: jax.Array) -> jax.Array:
        names = _name(path).split("/")
        if names[-1] == "b":  # of an adapter
            return jnp.float32(config.adapter_rate)
        if names[0] != "clip" or names[1] not in depth:
            return jnp.float32(1.0)
        stacks = depth[names[1]]
        rate = config.vision_rate if names[1] == "vision" else config.text_rate
        if SCANNED in names:
            layers = jnp.arange(leaf.shape[0], 0, -1, dtype=jnp.float32) - 1
            behind = STACKS[STACKS.index(names[2]) + 1 :]
            layers += sum(stacks.get(stack, 0) for stack in behind)
            return rate * config.layer_decay ** layers.reshape(-1, *[1] * (leaf.ndim - 1))
        is_first = "embedding" in names[2] or names[2] == "norm_pre"
        below = sum(stacks.values())
        return jnp.float32(rate * (config.layer_decay**below if is_first else 1.0))

    return jax.tree_util.tree_map_with_path(factor, params)


def learning_rate(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """The learning rate at each step of `steps`."""
    return optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.warmup_steps, max(steps, config.warmup_steps + 1)
    )


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The optimizer of a run of `steps` steps."""
    moves = {"adamw": _adamw, "muon": _muon}[config.algorithm](config, steps)
    norm = config.clip_norm
    clip = optax.clip_by_global_norm(norm) if norm else optax.identity()
    optimizer = optax.chain(clip, moves)
    if config.frozen:
        labels = {True: "frozen", False: "learning"}
        # What is frozen has no moments either.
        optimizer = optax.partition(
            {"frozen": optax.set_to_zero(), "learning": optimizer},
            lambda params: jax.tree.map(labels.get, is_frozen(config, params)),
        )
    factors = config.vision_rate, config.text_rate, config.layer_decay, config.adapter_rate
    if set(factors) == {1.0}:
        return optimizer
    return optax.chain(optimizer, _scale_by_factors(config))


def _adamw(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    return optax.adamw(
        learning_rate(config, steps),
        b1=config.b1,
        b2=config.b2,
        weight_decay=config.weight_decay,
        mask=is_decayed,
    )


def _muon(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    rate = learning_rate(config, steps)

    def decayed_tables(params: dict) -> dict:
        return jax.tree.map(
            lambda decayed, sides: decayed and sides is None, is_decayed(params), matrices(params)
        )

    muon = optax.contrib.muon(
        lambda step: config.matrix_rate * rate(step),
        weight_decay=config.weight_decay,
        weight_decay_mask=is_decayed,
        consistent_rms=MUON_RMS,
        muon_weight_dimension_numbers=matrices,
        adam_learning_rate=rate,
        adam_b1=config.b1,
        adam_b2=config.b2,
    )
    # Its own AdamW would let norms and biases decay too.
    decay = optax.add_decayed_weights(
        lambda step: -config.weight_decay * rate(step), decayed_tables
    )
    return optax.chain(muon, decay)


def matrices(params: dict) -> dict:
    """Which axes of each parameter are the two sides of a matrix; None for what is none.

    Of attention's kernels, those into the heads have one axis of inputs and the one out of them one
    of outputs; the layers of a scan are matrices of their own.
    """

    def sides(path: tuple, leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        names = _name(path).split("/")
        first, last = int(SCANNED in names), leaf.ndim - 1
        if names[-1] != "kernel" or last <= first or leaf.shape[last] == 1:
            return None
        if names[:2] == READER:
            return None
        cut = last if names[-2] == "out" else first + 1
        return optax.contrib.MuonDimensionNumbers(
            tuple(range(first, cut)), tuple(range(cut, leaf.ndim))
        )

    return jax.tree_util.tree_map_with_path(sides, params)


def _scale_by_factors(config: OptimizerConfig) -> optax.GradientTransformation:
    def update(updates: dict, state: optax.EmptyState, params: dict | None = None) -> tuple:
        factors = rate_factors(config, updates)
        return jax.tree.map(lambda update, factor: update * factor, updates, factors), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _name(path: tuple) -> str:
    return "/".join(str(key.key) for key in path)
