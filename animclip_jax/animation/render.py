"""ShotPlan -> frames, on the device: two small matrix products a frame.

A rolled window is upright in a sheared canvas: its columns, and then the rows of what the first
product made of them, are shifted along themselves before each product. That costs many times the
products, so it is done for the clips that are rolled alone, one after the other. So is what a clip
with a thing that moves costs: the canvas without the thing, and the thing, filmed each by itself.
All coordinates are float32, whatever the model computes in. On a CPU products cost too much:
`render_on_cpu.py`.

Dimensions: B clips, T frames, V windows, S canvas pixels, O frame pixels.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.animation import render_on_cpu, things
from animclip_jax.animation.batch import Batch, Footage
from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.things import Pivot

# A float32 product would otherwise be rounded to bfloat16 on TPU: visible banding.
HIGHEST = jax.lax.Precision.HIGHEST
# A triangle of half-width w spreads as a line of length w / 0.71 does: equal variances.
TRIANGLE_OF_LINE = math.sqrt(0.5)


def axis_weights(centre: jax.Array, width: jax.Array, canvas_size: int) -> jax.Array:
    """The resampling weights of `triangles` [..., O] on an axis of S pixels: float32 [..., O, S].

    Rows sum to 1.
    """
    canvas = jnp.arange(canvas_size, dtype=jnp.float32)
    weights = jnp.maximum(0.0, 1.0 - jnp.abs(centre[..., None] - canvas) / width[..., None])
    return weights / jnp.sum(weights, axis=-1, keepdims=True)


def triangles(
    start: jax.Array,
    stop: jax.Array,
    canvas_size: int,
    image_size: int,
    blur: jax.Array | float = 0.0,
    smear_start: jax.Array | float = 0.0,
    smear_stop: jax.Array | float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """Kernels that resample along one axis, anti-aliased.

    A triangle as wide as the largest of a canvas pixel, an output pixel, the blur and the smear.
    Without the last two that is the rule of Pillow's and `jax.image.scale_and_translate`'s
    "bilinear".

    Args:
      start, stop: float32 [...], the window's ends as fractions of the canvas.
      canvas_size: S, pixels. image_size: O, pixels.
      blur: [...], half-width as a share of the window.
      smear_start, smear_stop: [...], lengths over which the ends move, fractions of the canvas.

    Returns:
      Their centres and half their bases in pixels, float32 [..., O] each.
    """

    def column(x: jax.Array | float) -> jax.Array:
        return jnp.asarray(x, jnp.float32)[..., None]

    extent = column(stop - start) * canvas_size
    place = (jnp.arange(image_size, dtype=jnp.float32) + 0.5) / image_size
    centre = column(start) * canvas_size + place * extent - 0.5
    smear = column(smear_start) * (1.0 - place) + column(smear_stop) * place
    width = jnp.maximum(jnp.abs(smear) * canvas_size * TRIANGLE_OF_LINE, column(blur) * extent)
    return centre, jnp.maximum(width, jnp.maximum(extent / image_size, 1.0))


@functools.partial(jax.jit, static_argnames="image_size")
def render(canvas: jax.Array, plan: ShotPlan, image_size: int) -> jax.Array:
    """Films each canvas as its plan says.

    Args:
      canvas: uint8 [B, S, S, 3]; it need not be square.
      plan: see ShotPlan, with the leading axis B.
      image_size: O, the side of a frame in pixels.

    Returns:
      float32 [B, T, O, O, 3] in [0, 1].
    """

    def by_taps(canvas: jax.Array, plan: ShotPlan) -> jax.Array:
        def kernels(windows: ShotPlan, pivot: Pivot | None = None) -> list[render_on_cpu.Kernels]:
            size = canvas.shape[1:3]
            found = _triangles(windows, size, image_size, pivot)
            return [render_on_cpu.kernels(*axis) for axis in zip(found, size, strict=True)]

        camera = kernels(plan)
        frames = render_on_cpu.film_all(canvas, plan, *camera)
        if not plan.thing_boxes.shape[1]:
            return frames
        pivot = things.pivot(plan)
        thing = kernels(things.windows(plan), pivot)
        return render_on_cpu.film_things(frames, canvas, plan, camera, thing, pivot)

    def by_products(canvas: jax.Array, plan: ShotPlan) -> jax.Array:
        return _by_products(canvas, plan, image_size)

    return jax.lax.platform_dependent(canvas, plan, cpu=by_taps, default=by_products)


def _by_products(canvas: jax.Array, plan: ShotPlan, image_size: int) -> jax.Array:
    canvas = edge_repeated(canvas, plan.extent)
    pixels = canvas.astype(jnp.float32) / 255.0
    weights = _weights(plan, canvas.shape[1:3], image_size)
    views = _roll(_upright(pixels, *weights), canvas, plan)
    num_frames = plan.gain.shape[1]
    frames = _mix(views[:, :num_frames], views[:, num_frames:], plan)
    if plan.thing_boxes.shape[1]:
        frames = _again(_with_thing, plan.has_thing, frames, canvas, plan)
    frames = plan.gain[..., None, None, None] * frames + plan.offset[..., None, None, None]
    return jnp.clip(frames, 0.0, 1.0)


def edge_repeated(canvas: jax.Array, extent: jax.Array) -> jax.Array:
    """Fills what the pictures leave of canvases [B, S, S, 3] with their edges.

    extent: float32 [B, 2], see ShotPlan.
    """
    for axis in (1, 2):
        length = canvas.shape[axis]
        filled = jnp.round(extent[:, axis - 1] * length).astype(jnp.int32).reshape(-1, 1, 1, 1)
        place = jnp.arange(length).reshape([-1 if n == axis else 1 for n in range(4)])
        edge = jnp.take_along_axis(canvas, filled - 1, axis=axis)
        canvas = jnp.where(place < filled, canvas, edge)
    return canvas


def clips(batch: Batch, image_size: int) -> jax.Array:
    """The frames of a training batch, float32 [B, T, O, O, 3]: rendered, where that is to do."""
    if isinstance(batch, Footage):
        return batch.frames.astype(jnp.float32) / 255.0
    return render(batch.canvas, batch.plan, image_size)


def render_frames(canvas: np.ndarray, plan: ShotPlan, image_size: int) -> np.ndarray:
    """One clip as training sees it: frames uint8 [T, image_size, image_size, 3].

    Args:
      canvas: uint8 [S, S, 3], filled. plan: of this clip, without a batch's axis, in fractions.
    """
    pixels, batch = jax.tree.map(lambda part: part[None], (canvas, plan))
    frames = np.asarray(render(jnp.asarray(pixels), batch, image_size))[0]
    return np.round(frames * 255.0).astype(np.uint8)


def _axes(
    plan: ShotPlan, size: tuple[int, ...], image_size: int, pivot: Pivot | None
) -> tuple[Any, Any]:
    """Of the rows and of the columns, of a canvas of that height and width: `triangles`' values."""
    y0, x0, y1, x1 = (plan.boxes[..., i] for i in range(4))
    down, right = (plan.shear[..., i] for i in range(2))
    # Where the window is rolled, its middle column is longer than its sides are high.
    longer = -0.5 * down * right / (x1 - x0)
    if pivot is not None:
        lift, aside = down / (x1 - x0) * (0.5 * (x0 + x1) - pivot.x), right * pivot.v
        y0, y1, x0, x1 = y0 - lift, y1 - lift, x0 + aside, x1 + aside
    smears = [plan.smear[..., i] for i in range(4)]
    rows = (y0 - longer, y1 + longer, size[0], image_size, plan.blur, smears[0], smears[2])
    columns = (x0, x1, size[1], image_size, plan.blur, smears[1], smears[3])
    return rows, columns


def _triangles(
    plan: ShotPlan, size: tuple[int, ...], image_size: int, pivot: Pivot | None = None
) -> list[tuple[jax.Array, jax.Array]]:
    """The kernels of the rows and of the columns of windows, see `triangles`.

    pivot: of windows that may leave the canvas. Beside it they see its edge.
    """
    found = [triangles(*axis) for axis in _axes(plan, size, image_size, pivot)]
    if pivot is None:
        return found
    return [
        (jnp.clip(centre, 0.0, length - 1.0), width)
        for (centre, width), length in zip(found, size, strict=True)
    ]


def _weights(
    plan: ShotPlan, size: tuple[int, ...], image_size: int, pivot: Pivot | None = None
) -> list[jax.Array]:
    """Of the rows [..., V, O, S] and of the columns, of a canvas of that height and width."""
    found = _triangles(plan, size, image_size, pivot)
    return [axis_weights(*axis, length) for axis, length in zip(found, size, strict=True)]


def _upright(pixels: jax.Array, rows_BVOS: jax.Array, columns_BVOS: jax.Array) -> jax.Array:
    """Every window of float32 [B, S, S, 3] as an upright one: [B, V, O, O, 3]."""
    tall = jnp.einsum("bvos,bsxc->bvoxc", rows_BVOS, pixels, precision=HIGHEST)
    return jnp.einsum("bvpx,bvoxc->bvopc", columns_BVOS, tall, precision=HIGHEST)


def _roll(views: jax.Array, canvas: jax.Array, plan: ShotPlan) -> jax.Array:
    """Films clips that have rolled windows once more: views [B, V, O, O, 3], others as given."""
    is_rolled = jnp.any(plan.shear != 0.0, axis=(1, 2))
    if plan.thing_boxes.shape[1]:
        is_rolled &= ~plan.has_thing
    return _again(_rolled, is_rolled, views, canvas, plan)


def _again(
    film: Callable[[jax.Array, ShotPlan, int], jax.Array],
    which: jax.Array,
    views: jax.Array,
    canvas: jax.Array,
    plan: ShotPlan,
) -> jax.Array:
    """Films some clips, bool [B], one after the other: views [B, ., O, O, 3], others as given.

    As many rounds as there are such clips: what one needs at a time stays small, too.
    """
    chosen_first = jnp.argsort(~which, stable=True)

    def film_one(number: jax.Array, views: jax.Array) -> jax.Array:
        clip = chosen_first[number]
        canvas_SSC, windows = jax.tree.map(lambda x: jnp.asarray(x)[clip], (canvas, plan))
        return views.at[clip].set(film(canvas_SSC, windows, views.shape[-2]))

    return jax.lax.fori_loop(0, jnp.sum(which), film_one, views)


def _with_thing(canvas: jax.Array, plan: ShotPlan, image_size: int) -> jax.Array:
    """The frames of one clip, uint8 [S, S, 3], that has a thing: float32 [T, O, O, 3]."""
    T = len(plan.gain)
    camera = plan._replace(
        boxes=plan.boxes[:T], shear=plan.shear[:T], blur=plan.blur[:T], smear=plan.smear[:T]
    )
    behind = _film(things.filled(canvas, plan.home, plan.fill), camera, image_size)
    thing = _film(canvas, things.windows(plan), image_size, things.pivot(plan))
    return behind + things.shares(plan, image_size)[..., None] * (thing - behind)


def _film(
    canvas: jax.Array, plan: ShotPlan, image_size: int, pivot: Pivot | None = None
) -> jax.Array:
    """The windows of one clip [S, S, 3], rolled ones or not: float32 [V, O, O, 3]."""

    def upright() -> jax.Array:
        rows, columns = _weights(plan, canvas.shape[:2], image_size, pivot)
        pixels = canvas.astype(jnp.float32) / 255.0
        return _upright(pixels[None], rows[None], columns[None])[0]

    def rolled() -> jax.Array:
        return _rolled(canvas, plan, image_size, pivot)

    return jax.lax.cond(jnp.any(plan.shear != 0.0), rolled, upright)


def _rolled(
    canvas: jax.Array, plan: ShotPlan, image_size: int, pivot: Pivot | None = None
) -> jax.Array:
    """The windows of one clip [S, S, 3], with their shears: float32 [V, O, O, 3]."""
    height, width = canvas.shape[:2]
    rows_VOS, columns_VOS = _weights(plan, (height, width), image_size, pivot)
    box, (down, right) = plan.boxes, (plan.shear[:, i] for i in range(2))
    middle = 0.5 * (box[:, 1] + box[:, 3]) if pivot is None else pivot.x
    slope = down / (box[:, 3] - box[:, 1])
    x = (jnp.arange(width, dtype=jnp.float32) + 0.5) / width
    # Moved as whole numbers: bfloat16 holds them exactly, and is half as much to move.
    pixels = canvas.astype(jnp.bfloat16) if canvas.dtype == jnp.uint8 else canvas
    sheared = shift_lines(
        jnp.broadcast_to(pixels, (len(box), *canvas.shape)),
        slope[:, None] * (x - middle[:, None]) * height,
    )
    tall = jnp.einsum("vos,vsxc->voxc", rows_VOS / 255.0, sheared, precision=HIGHEST)
    v = (jnp.arange(image_size, dtype=jnp.float32) + 0.5) / image_size - 0.5
    if pivot is not None:
        v = v - pivot.v[:, None]
    sheared = shift_lines(jnp.swapaxes(tall, 1, 2), right[:, None] * v * width)
    return jnp.einsum("vpx,vxoc->vopc", columns_VOS, sheared, precision=HIGHEST)


def shift_lines(pixels: jax.Array, shift: jax.Array) -> jax.Array:
    """Moves each column up by its own number of pixels, between pixels linearly.

    Args:
      pixels: float [V, Y, X, 3]. shift: float32 [V, X].

    Returns:
      float32 [V, Y, X, 3]: pixels[v, y + shift[v, x], x], and the edge where that is outside.
    """
    whole = jnp.floor(shift).astype(jnp.int32)
    part = shift - whole
    # Computed twice, with different rounding, the two would disagree by a pixel: they did, jitted.
    whole, part = jax.lax.optimization_barrier((whole, part))
    part = part[:, None, :, None]
    by_platform = {"tpu": move_by_steps, "default": move_by_gather}
    upper = jax.lax.platform_dependent(pixels, whole, **by_platform)
    lower = jnp.concatenate([upper[:, 1:], _last(pixels, whole + 1)], axis=1)
    return upper * (1.0 - part) + lower * part


def _last(pixels: jax.Array, whole: jax.Array) -> jax.Array:
    """The row that moving up by `whole` brings to the bottom: [V, 1, X, 3]."""
    row = jnp.clip(pixels.shape[1] - 1 + whole, 0, pixels.shape[1] - 1)
    return jnp.take_along_axis(pixels, row[:, None, :, None], axis=1)


def move_by_gather(pixels: jax.Array, whole: jax.Array) -> jax.Array:
    """pixels[v, y + whole[v, x], x], and the edge where that is outside."""
    rows = pixels.shape[1]
    at = jnp.clip(jnp.arange(rows)[None, :, None] + whole[:, None, :], 0, rows - 1)
    return jnp.take_along_axis(pixels, at[..., None], axis=1)


def move_by_steps(pixels: jax.Array, whole: jax.Array) -> jax.Array:
    """The same by powers of two, for gathers are slow on a TPU."""
    rows = pixels.shape[1]
    whole = jnp.clip(whole, -rows, rows)[:, None, :, None]
    for bit in range(rows.bit_length()):
        step = 2**bit
        if step > rows:
            break
        top, bottom = pixels[:, :1], pixels[:, -1:]
        up = jnp.concatenate([pixels[:, step:], jnp.repeat(bottom, step, axis=1)], axis=1)
        down = jnp.concatenate([jnp.repeat(top, step, axis=1), pixels[:, :-step]], axis=1)
        moves = (jnp.abs(whole) >> bit) & 1 == 1
        pixels = jnp.where(moves, jnp.where(whole > 0, up, down), pixels)
    return pixels


def _mix(frames: jax.Array, outgoing: jax.Array, plan: ShotPlan) -> jax.Array:
    """Lays the outgoing windows [B, K, O, O, 3] over the frames [B, T, O, O, 3] they overlap."""
    num_frames, size = frames.shape[1:3]
    if not outgoing.shape[1]:
        return frames
    share = render_on_cpu.shares(plan.mix, size)
    over = (plan.at[..., None] == jnp.arange(num_frames)).astype(jnp.float32)
    # Products with 0 and 1, not a scatter: nothing moves between devices.
    share_BTOO = jnp.einsum("bkt,bkop->btop", over, share, precision=HIGHEST)
    added = jnp.einsum("bkt,bkop,bkopc->btopc", over, share, outgoing, precision=HIGHEST)
    return frames * (1.0 - share_BTOO[..., None]) + added
