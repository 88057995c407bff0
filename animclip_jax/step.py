"""One training step as pure functions: the state, how it begins, how a batch moves it."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from animclip_jax import losses, sharding
from animclip_jax.animation.render import clips
from animclip_jax.losses import LossConfig
from animclip_jax.models.retriever import Retriever, RetrieverConfig


class TrainState(NamedTuple):
    """step: int32 scalar, steps done; params: nested dict; opt_state: optax's."""

    step: Any
    params: Any
    opt_state: Any


def graph_definition(config: RetrieverConfig) -> Any:
    """The model without its parameters; builds nothing."""
    return nnx.split(nnx.eval_shape(lambda: Retriever(config, rngs=nnx.Rngs(0))))[0]


def init_params(config: RetrieverConfig, seed: int) -> dict:
    """Freshly drawn parameters, float32, as a nested dict."""
    return nnx.to_pure_dict(nnx.state(Retriever(config, rngs=nnx.Rngs(seed))))


def init_state(
    mesh: Mesh, config: RetrieverConfig, optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """The state before the first step, each array born where it is to live."""

    def init() -> TrainState:
        params = init_params(config, seed)
        return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))

    shardings = sharding.state_sharding(mesh, jax.eval_shape(init))
    return jax.jit(init, out_shardings=shardings)()


def train_step(
    state: TrainState,
    batch: dict[str, Any],
    *,
    graphdef: Any,
    optimizer: optax.GradientTransformation,
    loss: LossConfig,
    image_size: int,
    seed: int,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Renders the batch's clips, and moves the parameters against the gradient of their loss.

    Args:
      batch: canvas uint8 [B, S, S, 3] and plan ShotPlan [B, ...], or frames uint8
        [B, T, O, O, 3]; tokens int32 [B, L], index int32 [B]: the source item of each clip.
      seed: of the run; the negatives that are drawn depend on (seed, step) alone.
    """
    frames = clips(batch, image_size)

    def loss_fn(params: dict) -> tuple[jax.Array, dict[str, jax.Array]]:
        return losses.retrieval_loss(
            nnx.merge(graphdef, params),
            frames,
            batch["tokens"],
            batch["index"],
            jax.random.fold_in(jax.random.key(seed), state.step),
            loss,
        )

    gradients, metrics = jax.grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics["gradient_norm"] = optax.tree.norm(gradients)
    return TrainState(state.step + 1, params, opt_state), metrics


def compile_train_step(mesh: Mesh, state: TrainState, **fixed: Any) -> Any:
    """`train_step` as a jitted function of (state, batch); the old state's memory is reused."""
    shardings = sharding.state_sharding(mesh, state)
    return jax.jit(
        functools.partial(train_step, **fixed),
        in_shardings=(shardings, sharding.batch_sharding(mesh)),
        out_shardings=(shardings, sharding.replicated(mesh)),
        donate_argnums=0,
    )
