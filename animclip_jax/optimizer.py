"""AdamW with warm-up and cosine decay; what learns how fast, and what does not learn at all."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import optax

from animclip_jax.models.transformer import SCANNED


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """`warmup_steps` rise linearly to `learning_rate`, then a cosine falls to zero.

    clip_norm: greatest norm of the gradients of all parameters together.
    vision_rate, text_rate: factors on the learning rate of the towers.
    layer_decay: another factor on a tower's layers, for each layer that follows; its embeddings
      count as one more layer below the first.
    frozen: regular expression; parameters whose slash-joined path it matches somewhere keep their
      values, such as "clip/text"; "" freezes none.
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

    def __post_init__(self) -> None:
        try:
            re.compile(self.frozen)
        except re.error as error:
            raise ValueError(f"optimizer.frozen {self.frozen!r}: {error}") from error
        if not 0.0 <= self.average_decay < 1.0:
            raise ValueError(f"optimizer.average_decay {self.average_decay}: wanted 0 to below 1")


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
        raise ValueError(
            f"optimizer.frozen {config.frozen!r} matches {'all' if all(found) else 'no'} "
            f"parameters, which are called {names[0]}, {names[-1]}"
        )
    return frozen


def rate_factors(config: OptimizerConfig, params: dict) -> dict:
    """What multiplies each parameter's learning rate: float32, broadcast along scanned layers."""
    depth = {
        tower: max(
            [
                leaf.shape[0]
                for path, leaf in jax.tree_util.tree_leaves_with_path(params)
                if SCANNED in _name(path).split("/") and _name(path).startswith(f"clip/{tower}/")
            ],
            default=0,
        )
        for tower in ("vision", "text")
    }

    def factor(path: tuple, leaf: jax.Array) -> jax.Array:
        names = _name(path).split("/")
        if names[0] != "clip" or names[1] not in depth:
            return jnp.float32(1.0)
        layers = depth[names[1]]
        rate = config.vision_rate if names[1] == "vision" else config.text_rate
        if SCANNED in names:
            below = jnp.arange(layers, dtype=jnp.float32).reshape(-1, *[1] * (leaf.ndim - 1))
            return rate * config.layer_decay ** (layers - 1 - below)
        is_first = "embedding" in names[2] or names[2] == "norm_pre"
        return jnp.float32(rate * (config.layer_decay**layers if is_first else 1.0))

    return jax.tree_util.tree_map_with_path(factor, params)


def learning_rate(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """The learning rate at each step of `steps`."""
    return optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.warmup_steps, max(steps, config.warmup_steps + 1)
    )


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The optimizer of a run of `steps` steps."""
    adamw = optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            learning_rate(config, steps),
            b1=config.b1,
            b2=config.b2,
            weight_decay=config.weight_decay,
            mask=is_decayed,
        ),
    )
    if config.frozen:
        labels = {True: "frozen", False: "learning"}
        # What is frozen has no moments either.
        adamw = optax.partition(
            {"frozen": optax.set_to_zero(), "learning": adamw},
            lambda params: jax.tree.map(labels.get, is_frozen(config, params)),
        )
    if (config.vision_rate, config.text_rate, config.layer_decay) == (1.0, 1.0, 1.0):
        return adamw
    return optax.chain(adamw, _scale_by_factors(config))


def _scale_by_factors(config: OptimizerConfig) -> optax.GradientTransformation:
    def update(updates: dict, state: optax.EmptyState, params: dict | None = None) -> tuple:
        factors = rate_factors(config, updates)
        return jax.tree.map(lambda update, factor: update * factor, updates, factors), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _name(path: tuple) -> str:
    return "/".join(str(key.key) for key in path)
