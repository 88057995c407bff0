"""One training step as pure functions: the state, how it begins, how a batch moves it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from animclip_jax import sharding
from animclip_jax.animation.batch import Batch
from animclip_jax.models import parameters
from animclip_jax.models.attention import mixed_on_cpu
from animclip_jax.models.retriever import Retriever, RetrieverConfig
from animclip_jax.models.transformer import Attention, Stack, take_layers_a_round
from animclip_jax.training import ema, gradient_caching, lora, losses
from animclip_jax.training.hard_negatives import same_pair, siblings
from animclip_jax.training.lora import LoraConfig
from animclip_jax.training.losses import LossConfig

WITHOUT = LoraConfig()
# Of a scan of layers on a CPU: more would take longer to compile than they save.
LAYERS_A_ROUND = 6
# What a moving average begins as, of the parameters; None where none is kept.
BeginAverage = Callable[[dict], dict | None]


class TrainState(NamedTuple):
    """step: int32 scalar, steps done; params: nested dict; opt_state: optax's.

    average: the exponential moving average of those of params that learn (see ema.py); None where
    none is kept.
    """

    step: Any
    params: Any
    opt_state: Any
    average: Any = None

    @property
    def best_params(self) -> Any:
        """The parameters to search with: the average, where one is kept; adapters are merged."""
        if self.average is None:
            return lora.merged(self.params)
        return lora.merged(ema.replaced(self.params, self.average))


def init_state(
    mesh: Mesh,
    config: RetrieverConfig,
    optimizer: optax.GradientTransformation,
    seed: int,
    average: BeginAverage = lambda params: None,
    adapters: LoraConfig = WITHOUT,
) -> TrainState:
    """The state before the first step, each array born where it is to live."""
    shapes = state_shapes(config, optimizer, average, adapters)
    begin = functools.partial(_begin, config, optimizer, seed, average, adapters)
    return jax.jit(begin, out_shardings=sharding.state_sharding(mesh, shapes))()


def state_shapes(
    config: RetrieverConfig,
    optimizer: optax.GradientTransformation,
    average: BeginAverage = lambda params: None,
    adapters: LoraConfig = WITHOUT,
) -> TrainState:
    """The state as ShapeDtypeStructs; builds nothing."""
    return jax.eval_shape(lambda: _begin(config, optimizer, 0, average, adapters))


def _begin(
    config: RetrieverConfig,
    optimizer: optax.GradientTransformation,
    seed: int,
    average: BeginAverage,
    adapters: LoraConfig,
) -> TrainState:
    params = lora.draw(adapters, parameters.draw(config, seed), seed)
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), average(params))


def merge(
    mesh: Mesh, graphdef: Any, params: dict, frozen: Any = None, attention: str = "auto"
) -> Retriever:
    """The model of sharded parameters, which gathers those of a layer when it comes to it.

    frozen: like the parameters, True for those that no gradient is to be computed of. attention:
    see `ClipConfig`.
    """
    if frozen is not None:
        params = jax.tree.map(_stop_where, params, frozen)
    params = lora.merged(params)
    is_split = mesh.shape["fsdp"] > 1
    model = nnx.merge(graphdef, sharding.gather_unscanned(mesh, params) if is_split else params)
    on_cpu = sharding.platform(mesh) == "cpu"
    if on_cpu:
        take_layers_a_round(model, LAYERS_A_ROUND)
    kernel = None if attention == "xla" else sharding.attention_kernel(mesh)
    by_cudnn = attention == "kernel" and sharding.platform(mesh) == "gpu"
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Stack) and is_split:
            module.gather = functools.partial(sharding.gather, mesh)
        if isinstance(module, Attention):
            module.kernel, module.by_cudnn = kernel, by_cudnn
            if on_cpu:
                module.mix = mixed_on_cpu
    return model


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    mesh: Mesh,
    graphdef: Any,
    optimizer: optax.GradientTransformation,
    loss: LossConfig,
    image_size: int,
    seed: int,
    microbatch: int = 0,
    frozen: Any = None,
    average_decay: float = 0.0,
    attention: str = "auto",
    max_logit_scale: float = 0.0,
    tells_motion: bool = True,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Renders the batch's clips, and moves the parameters against the gradient of their loss.

    Args:
      batch: of B clips, over all devices.
      seed: of the run; the negatives that are drawn depend on (seed, step) alone.
      microbatch: clips that encoders and re-ranker take at once, over all devices; 0: all.
      frozen: like the parameters, True for those that no gradient is to be computed of.
      average_decay: of the moving average in the state, where there is one.
      attention: how it is computed, see `ClipConfig`.
      max_logit_scale: see `losses.cut_scale`.
      tells_motion: whether what captions say of motion is known; else nothing learns to read it.
    """

    def loss_fn(params: dict) -> tuple[jax.Array, dict[str, jax.Array]]:
        model = merge(mesh, graphdef, params, frozen, attention)
        encoded = gradient_caching.encode(model, batch, mesh, image_size, microbatch)
        text, video, unlikely = encoded
        same = same_pair(batch.tokens, batch.index)
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        score = functools.partial(gradient_caching.score_pairs, mesh=mesh, microbatch=microbatch)
        sibling = siblings(batch.index)
        apart = sibling & jnp.any(batch.told[:, None] != batch.told[None], axis=-1)
        found, terms = losses.feature_loss(
            model, text, video, same, key, loss, score, sibling, apart
        )
        if text.asked is None:
            return found, terms
        told = batch.told if tells_motion else None
        moves = losses.motion_loss(text.asked, told, unlikely)
        found = found + loss.motion_weight * sum(moves.values())
        return found, terms | moves | {"loss": found}

    gradients, metrics = jax.grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    params = losses.cut_scale(params, max_logit_scale, frozen)
    metrics["gradient_norm"] = optax.tree.norm(gradients)
    average = state.average
    if average is not None:
        average = ema.update(average, params, state.step, average_decay)
        average = losses.cut_scale(average, max_logit_scale)
    return TrainState(state.step + 1, params, opt_state, average), metrics


def _stop_where(param: jax.Array, frozen: bool) -> jax.Array:
    return jax.lax.stop_gradient(param) if frozen else param


def compile_train_step(mesh: Mesh, state: TrainState, **fixed: Any) -> Any:
    """`train_step` as a jitted function of (state, batch); the old state's memory is reused."""
    shardings = sharding.state_sharding(mesh, state)
    return jax.jit(
        functools.partial(train_step, mesh=mesh, **fixed),
        in_shardings=(shardings, sharding.batch_sharding(mesh)),
        out_shardings=(shardings, sharding.replicated(mesh)),
        donate_argnums=0,
    )
