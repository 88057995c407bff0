"""AdamW with warm-up and cosine decay; weight decay on matrices and embeddings only."""

import dataclasses

import jax
import optax


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """`warmup_steps` rise linearly to `learning_rate`, then a cosine falls to zero."""

    learning_rate: float
    warmup_steps: int
    weight_decay: float
    b1: float
    b2: float
    clip_norm: float


def is_decayed(params: dict) -> dict:
    """True for kernels and embedding tables, False for biases, norms, positions and scalars."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key in ("kernel", "embedding"), params
    )


def learning_rate(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """The learning rate at each step of `steps`."""
    return optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.warmup_steps, max(steps, config.warmup_steps + 1)
    )


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The optimizer of a run of `steps` steps."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            learning_rate(config, steps),
            b1=config.b1,
            b2=config.b2,
            weight_decay=config.weight_decay,
            mask=is_decayed,
        ),
    )
