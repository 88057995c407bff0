"""Stage one: every query against the whole gallery by embeddings; the K best go on."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from animclip_jax.retrieval.normalization import Normalization, defined, normalized
from animclip_jax.retrieval.placement import num_parts, padded, put, whole

# Scores that are in memory at once, over all devices: 256 MiB of float32.
MAX_SCORES = 2**26
# Queries scored at once, at most.
MAX_QUERIES = 256
# Items of a gallery that `top_k` reads at once.
CHUNK = 2**17
# Items of one product of `coarse_stage`: always as many, because XLA rounds products of other
# shapes otherwise, and scores must not depend on the number of devices.
PRODUCT = 256
# Items from which on a TPU's approximate top-K is worth its misses (`top_k`).
APPROXIMATE_ABOVE = 2**20
APPROXIMATE_RECALL = 0.99
# Items of which `largest` first takes the best.
BLOCK = 32

_NO_QUERY, _NO_ITEM = -2, -1  # groups of padding
_ALL = PartitionSpec()


class CoarseResult(NamedTuple):
    """candidates int32 [Q, K], best first; scores float32 [Q, K]; ranks int64 [Q] (1 is best)."""

    candidates: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray


def coarse_stage(
    queries: np.ndarray,
    gallery: np.ndarray,
    query_group: np.ndarray,
    gallery_group: np.ndarray,
    k: int,
    split: NamedSharding,
    *,
    of: int | None = None,
    groups_once: bool = False,
    normalization: Normalization | None = None,
) -> CoarseResult:
    """Exact top-K by cosine similarity, and the rank of each query's best right item.

    Ranks are those of `metrics.ranks`. Every device scores its part of the gallery; what is in
    memory does not grow with the number of queries.

    Args:
      queries: float32 [Q, E]. gallery: float32 [N, E], unit length both.
      query_group: int [Q]. gallery_group: int >= 0 [N]; equal groups belong together.
      k: candidates a query; all items where that is more.
      split: how the gallery's items lie on the devices.
      of: how many queries there are in all, where these are some; scores depend on that alone,
        neither on which these are nor on the number of devices.
      groups_once: wrong items of one group count once.
      normalization: changes the scores (`retrieval/normalization.py`).
    """
    count, items = len(queries), len(gallery)
    parts = num_parts(split)
    size = -(-items // (parts * PRODUCT)) * parts * PRODUCT
    rows = _even(of or count, max(1, min(MAX_QUERIES, MAX_SCORES // items)))
    everywhere = whole(split)
    on_items = [put(padded(gallery, size), split)]
    on_items += [put(padded(gallery_group.astype(np.int32), size, _NO_ITEM), split)]
    if normalization is not None:
        normalization = put(normalization.padded(size), everywhere)
    num_groups = int(gallery_group.max()) + 1 if groups_once else None
    score = compiled(split, min(k, items), num_groups)
    results = []
    for start in range(0, count, rows):
        part = slice(start, start + rows)
        some = put(padded(queries[part], rows), everywhere)
        group = put(padded(query_group[part].astype(np.int32), rows, _NO_QUERY), everywhere)
        found = jax.device_get(score(some, *on_items, group, normalization))
        results.append([column[: min(rows, count - start)] for column in found])
    candidates, scores, ranks = (np.concatenate(column) for column in zip(*results, strict=True))
    return CoarseResult(candidates, scores, ranks.astype(np.int64))


@functools.lru_cache
def compiled(split: NamedSharding, k: int, num_groups: int | None) -> Any:
    """(queries, gallery, groups of both, normalization) -> candidates, scores, ranks."""
    axes = split.spec[0]

    def part(
        queries: jax.Array,
        gallery: jax.Array,
        item_group: jax.Array,
        query_group: jax.Array,
        normalization: Normalization | None,
    ) -> tuple[jax.Array, ...]:
        real = item_group >= 0
        scores = jnp.where(real, _even_scores(queries, gallery), -jnp.inf)
        first = jax.lax.axis_index(axes) * len(gallery)
        if normalization is not None:
            here = jax.lax.dynamic_slice_in_dim(normalization.log_sum, first, len(gallery))
            scores = normalized(scores, normalization._replace(log_sum=here), axes, first)
            scores = jnp.where(real, scores, -jnp.inf)
        right = query_group[:, None] == item_group
        best = jax.lax.pmax(jnp.where(right, scores, -jnp.inf).max(axis=1), axes)
        before = ~right & real & (scores >= best[:, None])
        if num_groups is None:
            count = jax.lax.psum(before.sum(axis=1), axes)
        else:
            once = jax.ops.segment_max(before.T.astype(jnp.int8), item_group, num_groups)
            count = (jax.lax.pmax(once, axes) > 0).sum(axis=0)
        ranks = jnp.where(best > -jnp.inf, 1 + count, 0)
        values, places = largest(scores, min(k, len(gallery)))
        found, best = _merged(values, first + places, k, axes)
        return found, best if normalization is None else defined(best, normalization), ranks

    def program(*given: Any) -> Any:
        return jax.shard_map(
            part,
            mesh=split.mesh,
            in_specs=(_ALL, PartitionSpec(axes), PartitionSpec(axes), _ALL, _ALL),
            out_specs=(_ALL, _ALL, _ALL),
            check_vma=False,
        )(*given)

    return jax.jit(program)


def _scores(queries: jax.Array, gallery: jax.Array) -> jax.Array:
    # A float32 product is otherwise rounded to bfloat16 on a TPU.
    return jnp.matmul(queries, gallery.astype(jnp.float32).T, precision=jax.lax.Precision.HIGHEST)


def _even_scores(queries: jax.Array, gallery: jax.Array) -> jax.Array:
    """`_scores` of a multiple of PRODUCT items, so many at a time."""
    blocks = gallery.reshape(-1, PRODUCT, gallery.shape[1])
    scores = jax.lax.map(lambda block: _scores(queries, block), blocks)
    return scores.swapaxes(0, 1).reshape(len(queries), len(gallery))


def largest(scores: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """`jax.lax.top_k` of scores [Q, N], equals too: values and places [Q, K]; N is read only once.

    An item among the K best lies in one of the K blocks whose own best are the best: any other
    block has K items before all of its own.
    """
    rows, items = scores.shape
    blocks = -(-items // BLOCK)
    if blocks <= 2 * k:
        return jax.lax.top_k(scores, k)
    rest = ((0, 0), (0, blocks * BLOCK - items))
    scores = jnp.pad(scores, rest, constant_values=-jnp.inf).reshape(rows, blocks, BLOCK)
    chosen = jnp.sort(jax.lax.top_k(scores.max(axis=2), k)[1])  # so that of equals the first wins
    among = jnp.take_along_axis(scores, chosen[:, :, None], axis=1).reshape(rows, k * BLOCK)
    values, at = jax.lax.top_k(among, k)
    return values, jnp.take_along_axis(chosen, at // BLOCK, axis=1) * BLOCK + at % BLOCK


def _merged(values: jax.Array, items: jax.Array, k: int, axes: Any) -> tuple[jax.Array, ...]:
    """The K best of what each device found, (items, values) [Q, K]; of equals the first items."""
    values = jax.lax.all_gather(values, axes, axis=1, tiled=True)
    items = jax.lax.all_gather(items, axes, axis=1, tiled=True)
    best, places = jax.lax.top_k(values, k)
    return jnp.take_along_axis(items, places, axis=1), best


class HeldGallery(NamedTuple):
    """A gallery on the devices, in the chunks that `top_k` reads: padded to one size.

    That of galleries of nearly as many items is the same, so that few programs are compiled.
    Whoever answers many queries one by one spares the copy of the gallery that each would cost.
    """

    chunks: list[jax.Array]
    items: int


def hold(gallery: np.ndarray, split: NamedSharding) -> HeldGallery:
    """Puts floats [N, E] onto the devices, N 1 or more."""
    size = _chunk_size(_roomy(len(gallery)), split)
    starts = range(0, len(gallery), size)
    chunks = [put(padded(gallery[start : start + size], size), split) for start in starts]
    return HeldGallery(chunks, len(gallery))


def _roomy(items: int) -> int:
    """The size at which a gallery of so many items is held: at most an eighth, or 255, is room."""
    step = max(PRODUCT, 1 << max(0, items.bit_length() - 4))
    return -(-items // step) * step


def _chunk_size(items: int, split: NamedSharding) -> int:
    """Items of a chunk: no more than CHUNK, all chunks alike, so that little is padding."""
    parts = num_parts(split)
    return -(-_even(items, CHUNK) // parts) * parts


def _even(count: int, most: int) -> int:
    """The size of the fewest parts of like size that hold no more than so many each."""
    return -(-count // -(-count // most))


def top_k(
    queries: np.ndarray,
    gallery: np.ndarray | HeldGallery,
    k: int,
    split: NamedSharding,
    *,
    approximate: bool | None = None,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The K best items of a gallery of any size, which is read once, a chunk at a time.

    Args:
      queries: float32 [Q, E], unit length.
      gallery: floats [N, E], unit length; a memory-mapped array is fine, and what `hold` made.
      k: items a query; all where that is more.
      split: how a chunk's items lie on the devices.
      approximate: by `jax.lax.approx_max_k`, which misses about 1 % of the items; None: only on a
        TPU and above APPROXIMATE_ABOVE items. Elsewhere it is exact, and slower.
      allowed: bool [N], which items may be found; None: all.

    Returns:
      items int64 [Q, K], best first, and their cosine similarities float32 [Q, K]: -inf where fewer
      than K items are allowed.
    """
    count = len(queries)
    items = gallery.items if isinstance(gallery, HeldGallery) else len(gallery)
    k = min(k, items)
    if approximate is None:
        on_tpu = split.mesh.devices.flat[0].platform == "tpu"
        approximate = on_tpu and items > APPROXIMATE_ABOVE
    chunk = _chunk_size(items, split)
    if isinstance(gallery, HeldGallery):
        chunk = len(gallery.chunks[0])
    rows = _even(count, max(1, min(MAX_QUERIES, MAX_SCORES // chunk)))
    blocks = padded(queries, -(-count // rows) * rows).reshape(-1, rows, queries.shape[1])
    some = put(blocks, whole(split))
    size = len(blocks) * rows
    best_items, best = jnp.zeros((size, k), jnp.int32), jnp.full((size, k), -jnp.inf)
    for first in range(0, items, chunk):
        if isinstance(gallery, HeldGallery):
            part = gallery.chunks[first // chunk]
        else:
            part = put(padded(gallery[first : first + chunk], chunk), split)
        left = items - first
        here = None
        if allowed is not None:
            here = put(padded(allowed[first : first + chunk], chunk), split)
        place = np.int32(first), None if left >= chunk or here is not None else np.int32(left)
        best_items, best = _better(
            some, part, *place, here, best_items, best, split, k, approximate
        )
    ids, values = jax.device_get((best_items, best))
    return ids[:count].astype(np.int64), values[:count]


@functools.partial(jax.jit, static_argnums=(7, 8, 9))
def _better(
    queries: jax.Array,
    gallery: jax.Array,
    first: jax.Array,
    real: jax.Array | None,
    allowed: jax.Array | None,
    best_items: jax.Array,
    best: jax.Array,
    split: NamedSharding,
    k: int,
    approximate: bool,
) -> tuple[jax.Array, ...]:
    """The K best so far and those among the `real` items of a chunk, which begins at `first`.

    real, allowed bool [N]: None where all are; a mask costs a tenth of the time.
    queries [B, R, E]: R at once; in one program, so that their scores lie in the same memory.
    """
    axes = split.spec[0]

    def part(
        queries: jax.Array,
        gallery: jax.Array,
        real: jax.Array | None,
        allowed: jax.Array | None,
    ) -> tuple[jax.Array, ...]:
        place = jax.lax.axis_index(axes) * len(gallery) + jnp.arange(len(gallery))
        here = min(k, len(gallery))

        def best(some: jax.Array) -> tuple[jax.Array, jax.Array]:
            scores = _scores(some, gallery)
            if real is not None:
                scores = jnp.where(place < real, scores, -jnp.inf)
            if allowed is not None:
                scores = jnp.where(allowed, scores, -jnp.inf)
            if approximate:
                return jax.lax.approx_max_k(scores, here, recall_target=APPROXIMATE_RECALL)
            return largest(scores, here)

        found = jax.lax.map(best, queries)
        values, places = (column.reshape(-1, here) for column in found)
        whole_k = min(k, here * num_parts(split))
        return _merged(values, place[places], whole_k, axes)

    items, values = jax.shard_map(
        part,
        mesh=split.mesh,
        in_specs=(_ALL, PartitionSpec(axes), _ALL, PartitionSpec(axes)),
        out_specs=(_ALL, _ALL),
        check_vma=False,
    )(queries, gallery, real, allowed)
    values = jnp.concatenate([best, values], axis=1)
    items = jnp.concatenate([best_items, first + items], axis=1)
    best, places = jax.lax.top_k(values, k)
    return jnp.take_along_axis(items, places, axis=1), best
