"""Attention whose logits never reach a TPU's memory: a kernel for short sequences, in Pallas.

All logits of one head fit in a TPU's on-chip memory at the lengths that CLIP has. The kernel
computes them there, head by head; the backward pass computes them again. Queries, keys and values
lie as one product of all tokens leaves them: a token a row, which is also what the compiler keeps
without padding whatever the length.

Dimensions: B sequences, N queries, M keys, H heads of D values, G heads that are read together.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

# A tile of a TPU's memory.
ROWS, LANES = 8, 128
# What a program instance may take of the on-chip memory, and what it aims at: with less, the time
# to start one shows.
MOST_BYTES, GOOD_BYTES = 40 << 20, 4 << 20
# With fewer queries the logits are small.
LEAST_QUERIES, MOST_KEYS = 16, 1024
# Logits of keys that are not looked at: where that is all, the softmax is even.
MASKED = -0.7 * float(jnp.finfo(jnp.float32).max)


class Sizes(NamedTuple):
    """Of a call: N, M, H and D, and whether a query sees later keys."""

    queries: int
    keys: int
    heads: int
    head_width: int
    is_causal: bool = False

    @property
    def group(self) -> int:
        """G: as many heads as fill tiles, or all."""
        group = math.lcm(self.head_width, LANES) // self.head_width
        return group if self.heads % group == 0 else self.heads

    @property
    def least(self) -> int:
        """Sequences whose rows fill tiles."""
        return math.lcm(*(ROWS // math.gcd(ROWS, rows) for rows in (self.queries, self.keys)))

    @property
    def bytes(self) -> int:
        """On-chip memory of a sequence in the backward pass: twice, for the next is on its way."""
        return 2 * 4 * (3 * self.queries + 4 * self.keys) * self.group * self.head_width


@dataclasses.dataclass(frozen=True)
class Kernel:
    """`attend` on several devices, each of which has its rows.

    `on_each` runs a function of a tree of arrays with each device's rows of them.
    """

    on_each: Callable[[Callable[[Any], jax.Array], Any], jax.Array]
    devices: int
    interpret: bool = False

    def serves(self, batch: int, sizes: Sizes) -> bool:
        """Whether it is for such attention, of so many sequences over all devices."""
        short = sizes.queries >= LEAST_QUERIES and max(sizes.queries, sizes.keys) <= MOST_KEYS
        even = batch % (sizes.least * self.devices) == 0
        return short and even and sizes.least * sizes.bytes <= MOST_BYTES

    def __call__(
        self, parts: Sequence[jax.Array], mask: jax.Array | None, sizes: Sizes
    ) -> jax.Array:
        """See `attend`."""

        def on_one(rows: Any) -> jax.Array:
            parts, mask = rows
            return attend(parts, mask, sizes, self.interpret)

        return self.on_each(on_one, (tuple(parts), mask))


def attend(
    parts: Sequence[jax.Array], mask: jax.Array | None, sizes: Sizes, interpret: bool = False
) -> jax.Array:
    """softmax(q k / sqrt(D)) v of each head, as jax.nn.dot_product_attention has it.

    Args:
      parts: queries, keys and values, [B N or B M, (H / G) k G D]: one array of all three (k = 3),
        or queries (1) and then keys with values (2).
      mask: bool [B, M], False for keys that are not looked at.
      interpret: computes it step by step on any device, for tests.

    Returns:
      [B N, H D].
    """
    looked_at = None if mask is None else mask[:, None].astype(jnp.int32)
    return _attend(tuple(parts), looked_at, sizes, interpret)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _attend(
    parts: tuple[jax.Array, ...], mask: jax.Array | None, sizes: Sizes, interpret: bool
) -> jax.Array:
    return _forward(parts, mask, sizes, interpret)[0]


def _forward(
    parts: tuple[jax.Array, ...], mask: jax.Array | None, sizes: Sizes, interpret: bool
) -> Any:
    width = sizes.heads * sizes.head_width
    mixed = jax.ShapeDtypeStruct((len(parts[0]), width), parts[0].dtype)
    (found,) = _call(_mix, 2, parts, mask, [mixed], sizes, interpret)
    return found, (parts, mask)


def _backward(sizes: Sizes, interpret: bool, kept: Any, cotangent: jax.Array) -> Any:
    parts, mask = kept
    like = [jax.ShapeDtypeStruct(part.shape, part.dtype) for part in parts]
    arrays = (*parts, cotangent)
    return tuple(_call(_pull_back, 5, arrays, mask, like, sizes, interpret)), None


_attend.defvjp(_forward, _backward)


def _call(
    kernel: Any,
    products: int,
    arrays: Sequence[jax.Array],
    mask: jax.Array | None,
    results: list[jax.ShapeDtypeStruct],
    sizes: Sizes,
    interpret: bool,
) -> Any:
    """Runs a kernel over the batch and the groups of heads, some sequences at a time.

    products: how many a head has, of N x M x D multiply-adds each.
    """
    masks = () if mask is None else (mask,)
    batch, groups = len(arrays[0]) // sizes.queries, sizes.heads // sizes.group
    most = max(1, GOOD_BYTES // (sizes.least * sizes.bytes))
    units = batch // sizes.least
    at_once = sizes.least * max(n for n in range(1, most + 1) if units % n == 0)

    def spec(array: Any) -> pl.BlockSpec:
        block = (len(array) * at_once // batch, array.shape[1] // groups)
        return pl.BlockSpec(block, lambda number, group: (number, group))

    of_mask = [pl.BlockSpec((at_once, *one.shape[1:]), lambda n, _: (n, 0, 0)) for one in masks]
    moved = sum(math.prod(a.shape) * a.dtype.itemsize for a in (*arrays, *masks, *results))
    pairs = batch * sizes.heads * sizes.queries * sizes.keys
    return pl.pallas_call(
        functools.partial(kernel, sizes=sizes, masked=bool(masks)),
        grid=(batch // at_once, groups),
        in_specs=[*of_mask, *map(spec, arrays)],
        out_specs=[*map(spec, results)],
        out_shape=results,
        cost_estimate=pl.CostEstimate(
            flops=2 * products * pairs * sizes.head_width,
            transcendentals=pairs,
            bytes_accessed=moved,
        ),
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel"), vmem_limit_bytes=MOST_BYTES + (16 << 20)
        ),
        interpret=interpret,
        name="attention",
    )(*masks, *arrays)


def _places(sizes: Sizes, refs: Sequence[Any], i: int, head: int) -> Iterator[tuple[Any, Any]]:
    """Where a head's queries, keys and values of a sequence lie: in which array, at which place."""
    width = sizes.head_width
    for number, ref in enumerate(refs):
        rows = sizes.queries if number == 0 else sizes.keys
        for at in range(0, ref.shape[1], sizes.group * width):
            start = at + head * width
            yield ref, (slice(i * rows, (i + 1) * rows), slice(start, start + width))


def _mix(*refs: Any, sizes: Sizes, masked: bool) -> None:
    """The forward kernel; references to the mask, to the parts, to the result."""
    mask = refs[0] if masked else None
    *parts, mixed = refs[masked:]
    for i in range(mixed.shape[0] // sizes.queries):
        for head in range(sizes.group):
            query, key, value = (ref[at] for ref, at in _places(sizes, parts, i, head))
            share = _softmax(query, key, None if mask is None else mask[i], sizes)
            ((_, at),) = _places(sizes, [mixed], i, head)
            mixed[at] = _product(share.astype(value.dtype), value, 1, 0).astype(mixed.dtype)


def _pull_back(*refs: Any, sizes: Sizes, masked: bool) -> None:
    """The backward kernel; references to the mask, parts, the result's gradient, the parts'."""
    mask, arrays = refs[0] if masked else None, refs[masked:]
    count = (len(arrays) - 1) // 2
    parts, cotangent, gradients = arrays[:count], arrays[count], arrays[count + 1 :]
    for i in range(cotangent.shape[0] // sizes.queries):
        for head in range(sizes.group):
            query, key, value = (ref[at] for ref, at in _places(sizes, parts, i, head))
            ((_, at),) = _places(sizes, [cotangent], i, head)
            pulled = cotangent[at]
            share = _softmax(query, key, None if mask is None else mask[i], sizes)
            of_share = _product(pulled, value, 1, 1)
            mean = jnp.sum(share * of_share, axis=-1, keepdims=True)
            of_logits = share * (of_share - mean) * sizes.head_width**-0.5
            of_logits = of_logits.astype(query.dtype)
            found = (
                _product(of_logits, key, 1, 0),
                _product(of_logits, query, 0, 0),
                _product(share.astype(value.dtype), pulled, 0, 0),
            )
            for (ref, at), one in zip(_places(sizes, gradients, i, head), found, strict=True):
                ref[at] = one.astype(ref.dtype)


def _softmax(query: jax.Array, key: jax.Array, mask: jax.Array | None, sizes: Sizes) -> jax.Array:
    """Each query's shares of the keys, float32 [N, M]; mask: int32 [1, M]."""
    logits = _product(query, key, 1, 1) * sizes.head_width**-0.5
    if mask is not None:
        logits = jnp.where(mask != 0, logits, MASKED)
    if sizes.is_causal:
        row, column = (jax.lax.broadcasted_iota(jnp.int32, logits.shape, axis) for axis in (0, 1))
        logits = jnp.where(column <= row, logits, MASKED)
    exponential = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    return exponential / jnp.sum(exponential, axis=-1, keepdims=True)


def _product(a: jax.Array, b: jax.Array, axis_a: int, axis_b: int) -> jax.Array:
    """The matrix product over those axes, in float32."""
    axes = (((axis_a,), (axis_b,)), ((), ()))
    return jax.lax.dot_general(a, b, axes, preferred_element_type=jnp.float32)
