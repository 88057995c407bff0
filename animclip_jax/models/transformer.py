"""The pre-LN transformer of CLIP, its layers scanned so that depth costs no compile time."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
from flax import nnx

from animclip_jax.models.attention import attend, capped, mixed
from animclip_jax.models.attention_by_cudnn import by_cudnn, serves_cudnn
from animclip_jax.models.attention_kernels import Kernel, Sizes
from animclip_jax.models.rotary import rotate

# Of what is ours, and of OpenAI's CLIP; flax's default is 1e-6.
LAYER_NORM_EPSILON = 1e-5
# No size of a published model is near it; a file that asks for more is damaged or hostile.
MOST = 10_000_000


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Sizes of one tower. `mlp_width` is the hidden width of each MLP."""

    width: int
    layers: int
    heads: int
    mlp_width: int

    def __post_init__(self) -> None:
        require_sizes(self, "width", "layers", "heads", "mlp_width")
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of heads {self.heads}: change one of them"
            )


def require_sizes(config: Any, *names: str, section: str = "", least: int = 1) -> None:
    """Raises ValueError where a field of a configuration is no whole number from least to MOST.

    section: of the settings, said before a field's name.
    """
    for name in names:
        given = getattr(config, name)
        if type(given) is not int or not least <= given <= MOST:
            raise ValueError(
                f"{section}{name} {given!r}: wanted a whole number from {least} to {MOST:,}"
            )


def quick_gelu(x: jax.Array) -> jax.Array:
    """x * sigmoid(1.702 x), the activation of OpenAI's CLIP."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: jax.Array) -> jax.Array:
    """x * Phi(x), exactly; the activation of most of open_clip's models."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """GELU by a hyperbolic tangent, the activation of SigLIP; differs from `gelu` by up to 5e-4."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "quick_gelu": quick_gelu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "relu": jax.nn.relu,
}

# What the backward pass finds stored of each layer, and what it computes again. "none": all is
# stored. "block": only the layer's input is. "dots": the results of matrix products with weights
# are too, which costs less time and more memory than "block".
REMAT_POLICIES: dict[str, Callable[..., bool] | None] = {
    "none": None,
    "block": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


def _all_but_gathered(primitive: jax.extend.core.Primitive, *_: Any, **__: Any) -> bool:
    """Saves what "none" does, but for gathered parameters, which no device has the memory for."""
    return primitive.name not in ("sharding_constraint", "convert_element_type")


def layer_norm(width: int, rngs: nnx.Rngs, epsilon: float = LAYER_NORM_EPSILON) -> nnx.LayerNorm:
    """LayerNorm computed in float32, whatever the compute dtype."""
    return nnx.LayerNorm(width, epsilon=epsilon, dtype=jnp.float32, rngs=rngs)


class Attention(nnx.Module):
    """Multi-head attention; `memory` (keys, values) is the input itself unless given."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        out_std: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        memory_width: int | None = None,
        logit_cap: float = 0.0,
    ):
        # See `attention.capped`; XLA alone computes it.
        self.logit_cap = logit_cap
        # What else may compute attention than XLA; set by a trainer whose devices have it.
        self.kernel: Kernel | None = None
        self.by_cudnn = False
        self.mix = mixed
        self.heads = heads
        self.head_width = head_dim = width // heads
        inputs = nnx.initializers.normal(width**-0.5)
        memory_width = memory_width or width
        self.query = nnx.LinearGeneral(
            width, (heads, head_dim), kernel_init=inputs, dtype=dtype, rngs=rngs
        )
        self.key_value = nnx.LinearGeneral(
            memory_width,
            (2, heads, head_dim),
            kernel_init=nnx.initializers.normal(memory_width**-0.5),
            dtype=dtype,
            rngs=rngs,
        )
        self.out = nnx.LinearGeneral(
            (heads, head_dim),
            width,
            axis=(-2, -1),
            kernel_init=nnx.initializers.normal(out_std),
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(
        self,
        x: jax.Array,
        memory: jax.Array | None = None,
        mask: jax.Array | None = None,
        is_causal: bool = False,
        angles: jax.Array | None = None,
        sizes: Sizes | None = None,
    ) -> jax.Array:
        """x [..., N, D], memory [..., M, D'], mask bool [..., M] (False: not looked at).

        angles: see `rotary.rotate`; turns queries and keys. sizes: see `sizes`; all tokens are then
        rows, x [B N, D] and memory [B M, D'], and the kernel computes it.
        """
        if sizes is not None:
            return self._of_rows(x, memory, mask, sizes)
        query = self.query(x)
        key_value = self.key_value(x if memory is None else memory)
        key, value = key_value[..., 0, :, :], key_value[..., 1, :, :]
        if angles is not None:
            query, key = rotate(query, angles), rotate(key, angles)
        if mask is not None:
            mask = mask[..., None, None, :]
        if self.by_cudnn and not self.logit_cap and serves_cudnn(query):
            found = by_cudnn(query, key, value, mask, is_causal)
        else:
            mix = functools.partial(capped, cap=self.logit_cap) if self.logit_cap else self.mix
            found = attend(query, key, value, mask, is_causal, mix)
        return self.out(found)

    def sizes(self, batch: int, queries: int, keys: int, is_causal: bool = False) -> Sizes | None:
        """For a call by the kernel, where there is one that serves; None where XLA does."""
        if self.kernel is None or self.logit_cap:
            return None
        sizes = Sizes(queries, keys, self.heads, self.head_width, is_causal)
        return sizes if self.kernel.serves(batch, sizes) else None

    def _of_rows(
        self, x: jax.Array, memory: jax.Array | None, mask: jax.Array | None, sizes: Sizes
    ) -> jax.Array:
        assert self.kernel is not None
        dtype, group = self.query.dtype, sizes.group

        def grouped(part: jax.Array, inputs: tuple[int, ...]) -> jax.Array:
            """[*inputs, k, H, D] -> [*inputs, H / G, k, G, D]."""
            split = part.reshape(*inputs, -1, sizes.heads // group, group, sizes.head_width)
            return jnp.moveaxis(split, -4, -3)

        def product(x: jax.Array, *layers: Any) -> jax.Array:
            inputs = x.shape[-1:]
            kernel = jnp.concatenate([grouped(one.kernel[...], inputs) for one in layers], axis=-3)
            bias = jnp.concatenate([grouped(one.bias[...], ()) for one in layers], axis=-3)
            kernel, bias = kernel.reshape(*inputs, -1).astype(dtype), bias.ravel().astype(dtype)
            return x.astype(dtype) @ kernel + bias

        if memory is None:
            parts: tuple[jax.Array, ...] = (product(x, self.query, self.key_value),)
        else:
            parts = product(x, self.query), product(memory, self.key_value)
        mixed = self.kernel(parts, mask, sizes)
        out: Any = self.out
        kernel = out.kernel[...].reshape(mixed.shape[-1], -1)
        return mixed @ kernel.astype(dtype) + out.bias[...].astype(dtype)


class Mlp(nnx.Module):
    """Two linear layers with an activation between."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        out_std: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        activation: str = "quick_gelu",
    ):
        self.activation = activation
        self.up = nnx.Linear(
            width,
            hidden,
            kernel_init=nnx.initializers.normal((2 * width) ** -0.5),
            dtype=dtype,
            rngs=rngs,
        )
        self.down = nnx.Linear(
            hidden, width, kernel_init=nnx.initializers.normal(out_std), dtype=dtype, rngs=rngs
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.down(ACTIVATIONS[self.activation](self.up(x)))


class Block(nnx.Module):
    """One residual layer: self-attention, then MLP, each behind a LayerNorm."""

    def __init__(
        self,
        config: TransformerConfig,
        *,
        is_causal: bool,
        activation: str,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        epsilon: float = LAYER_NORM_EPSILON,
        logit_cap: float = 0.0,
    ):
        # OpenAI's initialisation: residual branches shrink with depth.
        out_std = config.width**-0.5 * (2 * config.layers) ** -0.5
        self.norm_1 = layer_norm(config.width, rngs, epsilon)
        self.attention = Attention(
            config.width,
            config.heads,
            out_std=out_std,
            dtype=dtype,
            rngs=rngs,
            logit_cap=logit_cap,
        )
        self.norm_2 = layer_norm(config.width, rngs, epsilon)
        self.mlp = Mlp(
            config.width,
            config.mlp_width,
            out_std=out_std,
            dtype=dtype,
            rngs=rngs,
            activation=activation,
        )
        self.is_causal = is_causal

    def __call__(
        self, x: jax.Array, angles: jax.Array | None = None, sizes: Sizes | None = None
    ) -> jax.Array:
        """x [..., N, D]; with sizes [B N, D], see `Attention`."""
        x = x + self.attention(self.norm_1(x), is_causal=self.is_causal, angles=angles, sizes=sizes)
        return x + self.mlp(self.norm_2(x))


# The name below which a Stack's parameters lie, stacked along their first axis.
SCANNED = "layers"


class Stack(nnx.Module):
    """Equal layers whose parameters are stacked along a leading axis and scanned."""

    def __init__(
        self,
        make: Callable[[nnx.Rngs], nnx.Module],
        layers: int,
        rngs: nnx.Rngs,
        remat: str = "none",
    ):
        self.remat = remat
        # What a layer's parameters go through right before they are used: a trainer that keeps them
        # in parts on several devices sets what gathers them.
        self.gather: Callable[[nnx.State], nnx.State] | None = None
        # How many layers a round of the scan computes. On a CPU it copies the parameters and what
        # the backward pass needs of each round, which takes a tenth of a step.
        self.layers_a_round = 1
        # Gives each layer's parameters in arrays of their own, in place of the stacked ones, of
        # which a CPU would copy every layer before it is used.
        self.apart: Callable[[], list] | None = None
        self.layers = nnx.split_rngs(splits=layers)(nnx.vmap(make, in_axes=0, out_axes=0))(rngs)

    def __call__(self, x: jax.Array, *args: Any) -> jax.Array:
        """Passes x [..., N, D] through each layer in turn; every layer sees the same `args`."""
        if self.apart is not None:
            return self.unrolled(x, *args)
        graphdef, layers = nnx.split(self.layers)

        def step(x: jax.Array, layer: nnx.State) -> tuple[jax.Array, None]:
            layer = layer if self.gather is None else self.gather(layer)
            return nnx.merge(graphdef, layer)(x, *args), None

        policy = REMAT_POLICIES[self.remat]
        if policy is None and self.gather is not None:
            policy = _all_but_gathered
        # A scan's body is never merged with another computation of the same: no need to forbid it.
        body = step if policy is None else jax.checkpoint(step, prevent_cse=False, policy=policy)
        return jax.lax.scan(body, x, layers, unroll=self.layers_a_round)[0]

    def unrolled(self, x: jax.Array, *args: Any) -> jax.Array:
        """As a call, for prediction: without a loop, and a layer may change the shape of x."""
        graphdef, stacked = nnx.split(self.layers)
        if self.apart is not None:
            layers = self.apart()
        else:
            count = len(jax.tree.leaves(stacked)[0])
            layers = [jax.tree.map(lambda leaf, n=n: leaf[n], stacked) for n in range(count)]
        # Traced once for all layers.
        one = jax.jit(lambda layer, x: nnx.merge(graphdef, layer)(x, *args))
        for layer in layers:
            x = one(layer, x)
        return x


def take_layers_a_round(model: nnx.Module, layers: int) -> None:
    """Has every scan of layers in a model compute so many of them a round."""
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Stack):
            module.layers_a_round = layers


class Transformer(nnx.Module):
    """A tower's stack of blocks."""

    def __init__(
        self,
        config: TransformerConfig,
        *,
        is_causal: bool,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        activation: str = "quick_gelu",
        remat: str = "none",
        epsilon: float = LAYER_NORM_EPSILON,
        logit_cap: float = 0.0,
    ):
        def block(rngs: nnx.Rngs) -> Block:
            return Block(
                config,
                is_causal=is_causal,
                activation=activation,
                dtype=dtype,
                rngs=rngs,
                epsilon=epsilon,
                logit_cap=logit_cap,
            )

        self.is_causal = is_causal
        self.blocks = Stack(block, config.layers, rngs, remat)

    def __call__(self, x: jax.Array, angles: jax.Array | None = None) -> jax.Array:
        """x [..., N, D] -> [..., N, D]. angles: of rotary positions, see `rotary.rotate`."""
        if angles is not None:
            return self.blocks(x, angles)
        *batch, tokens, width = x.shape
        block: Any = self.blocks.layers
        sizes = block.attention.sizes(math.prod(batch), tokens, tokens, self.is_causal)
        if sizes is None:
            return self.blocks(x)
        return self.blocks(x.reshape(-1, width), None, sizes).reshape(x.shape)
