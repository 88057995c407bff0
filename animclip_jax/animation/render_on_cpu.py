"""ShotPlan -> frames on a CPU, window after window: the pixels under a kernel, and no others.

The pictures are those of `render.py`, whose products read the whole canvas for every pixel: good
for a TPU, and 25 times as much work as a CPU needs. Here a window takes two passes, over the rows
of the canvas and over the columns of what that made; a pass adds up the pixels ("taps") under each
kernel. A roll moves the pixels that a pass reads, so that it costs a tap more.

Dimensions: B clips, T frames, V windows, S canvas pixels, X columns that a window sees, O frame
pixels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from animclip_jax.animation import things
from animclip_jax.animation.plan import ShotPlan

# A window is cut from its canvas: whole eighths of it are as many programs.
EIGHTHS = (5, 6, 8)
# A canvas of fewer columns is not cut: compiling would take longer than rendering.
LEAST_CUT = 256


class Kernels(NamedTuple):
    """The triangles that one axis of a window is resampled by, places in canvas pixels.

    Attributes:
      centre, width: float32 [..., O], of the triangle; width is half of its base.
      scale: float32 [..., O], by which its weights sum to 1 on the canvas.
      first: int32 [..., O], the first pixel inside.
      count: int32 [...], the most pixels inside.
    """

    centre: Any
    width: Any
    scale: Any
    first: Any
    count: Any

    def weights(self, tap: jax.Array | int, size: int) -> jax.Array:
        """Of the pixel `first + tap` of an axis of `size` pixels, float32 [..., O]."""
        place = self.first + tap
        weight = jnp.maximum(0.0, 1.0 - jnp.abs(self.centre - place) / self.width) * self.scale
        return jnp.where((tap >= 0) & (place < size), weight, 0.0)


class Roll(NamedTuple):
    """How far the pixels that a pass reads are moved: whole pixels int32 and parts [n]."""

    whole: jax.Array
    part: jax.Array


def kernels(triangles: tuple[jax.Array, jax.Array], size: int) -> Kernels:
    """Of triangles' centres and widths, float32 [..., O] each, on an axis of `size` pixels."""
    centre, width = triangles
    first = jnp.clip(jnp.floor(centre - width) + 1.0, 0.0, size - 1.0).astype(jnp.int32)
    last = jnp.clip(jnp.ceil(centre + width) - 1.0, 0.0, size - 1.0).astype(jnp.int32)
    count = jnp.max(last - first, axis=-1) + 1
    found = Kernels(centre, width, jnp.ones_like(width), first, count)
    total = jax.lax.fori_loop(
        1,
        jnp.max(count),
        lambda tap, total: total + found.weights(tap, size),
        found.weights(0, size),
    )
    return found._replace(scale=1.0 / total)


def film_all(canvas: jax.Array, plan: ShotPlan, rows: Kernels, columns: Kernels) -> jax.Array:
    """Films each canvas uint8 [B, S, S, 3] as its plan says: float32 [B, T, O, O, 3] in [0, 1].

    rows, columns: of all windows, [B, V, ...]. Clips that have a thing are left for `film_things`.
    """
    num_clips, height, width = canvas.shape[:3]
    num_frames, num_windows = plan.gain.shape[1], plan.boxes.shape[1]
    image_size = rows.first.shape[-1]
    filled = jnp.round(plan.extent * jnp.array([height, width])).astype(jnp.int32)
    # An outgoing window is filmed before the frame that it overlaps; what overlaps none is not.
    own = jnp.broadcast_to(jnp.arange(num_frames, dtype=jnp.int32), (num_clips, num_frames))
    frame = jnp.concatenate([plan.at, own], axis=1)
    number = jnp.concatenate([jnp.arange(num_frames, num_windows), jnp.arange(num_frames)])
    wanted = frame < num_frames
    if plan.thing_boxes.shape[1]:
        wanted &= ~plan.has_thing[:, None]
    order = jnp.argsort(~wanted.reshape(-1), stable=True)

    def film(n: jax.Array, frames: jax.Array) -> jax.Array:
        clip, place = order[n] // num_windows, order[n] % num_windows
        t, window = frame[clip, place], number[place]
        shot, of_rows, of_columns = jax.tree.map(
            lambda part: part[clip, window], ((plan.boxes, plan.shear), rows, columns)
        )
        view = _view(canvas, clip, shot, of_rows, of_columns, filled[clip])
        gain, offset = plan.gain[clip, t] / 255.0, plan.offset[clip, t]

        def plain() -> jax.Array:
            return jnp.clip(gain * view + offset, 0.0, 1.0)

        def mixed() -> jax.Array:
            is_frame = window < num_frames
            of_outgoing = jnp.where(
                is_frame,
                -(plan.at[clip] == t).astype(jnp.float32),
                (jnp.arange(num_frames, num_windows) == window).astype(jnp.float32),
            )
            share = is_frame + jnp.tensordot(of_outgoing, shares(plan.mix[clip], image_size), 1)
            sum_ = share[..., None] * view + frames[clip, t]
            return jnp.where(is_frame, jnp.clip(gain * sum_ + offset, 0.0, 1.0), sum_)

        if num_windows == num_frames:
            return frames.at[clip, t].set(plain())
        return frames.at[clip, t].set(jax.lax.cond(jnp.any(plan.at[clip] == t), mixed, plain))

    # Zeros of the clips' own: on a mesh a device's loop goes over what is that device's.
    zeros = (0.0 * plan.offset)[..., None, None, None]
    zeros = jnp.broadcast_to(zeros, (num_clips, num_frames, image_size, image_size, 3))
    return jax.lax.fori_loop(0, jnp.sum(wanted), film, zeros)


def film_things(
    frames: jax.Array,
    canvas: jax.Array,
    plan: ShotPlan,
    camera: list[Kernels],
    thing: list[Kernels],
    pivot: things.Pivot,
) -> jax.Array:
    """Films the clips that have a thing: the canvas without it, and the thing over that.

    Args:
      frames: float32 [B, T, O, O, 3], of the other clips. canvas, plan: see `film_all`.
      camera, thing: the rows and columns of the camera's windows, [B, V, ...], and the things',
        [B, T, ...]. pivot: of the things' windows, [B, T].
    """
    size = jnp.array(canvas.shape[1:3])
    ends = jnp.round(plan.extent * size).astype(jnp.int32)
    things_first = jnp.argsort(~plan.has_thing, stable=True)

    def film(number: jax.Array, frames: jax.Array) -> jax.Array:
        clip = things_first[number]
        one, end = jax.tree.map(lambda part: part[clip], (plan, ends))
        without = things.filled(canvas[clip], one.home, one.fill)[None]
        share = things.shares(one, frames.shape[-2])

        def film_frame(t: jax.Array, frames: jax.Array) -> jax.Array:
            of_camera = camera, (plan.boxes, plan.shear)
            of_thing = thing, (plan.thing_boxes, plan.thing_shear)
            (rows, columns), window = jax.tree.map(lambda part: part[clip, t], of_camera)
            behind = _view(without, jnp.zeros_like(clip), window, rows, columns, end)
            (rows, columns), window = jax.tree.map(lambda part: part[clip, t], of_thing)
            at = jax.tree.map(lambda part: part[clip, t], pivot)
            view = _view(canvas, clip, window, rows, columns, end, at)
            view = behind + share[t, ..., None] * (view - behind)
            shown = jnp.clip(one.gain[t] / 255.0 * view + one.offset[t], 0.0, 1.0)
            return frames.at[clip, t].set(shown)

        return jax.lax.fori_loop(0, frames.shape[1], film_frame, frames)

    return jax.lax.fori_loop(0, jnp.sum(plan.has_thing), film, frames)


def shares(mix: jax.Array, image_size: int) -> jax.Array:
    """The outgoing windows' share of each pixel, [..., K, O, O]; mix: [..., K, 3], see ShotPlan."""
    place = (jnp.arange(image_size, dtype=jnp.float32) + 0.5) / image_size - 0.5
    middle, down, right = (mix[..., i, None, None] for i in range(3))
    return jnp.clip(middle + down * place[:, None] + right * place[None, :], 0.0, 1.0)


def _view(
    canvas: jax.Array,
    clip: jax.Array,
    window: tuple[jax.Array, jax.Array],
    rows: Kernels,
    columns: Kernels,
    filled: jax.Array,
    pivot: things.Pivot | None = None,
) -> jax.Array:
    """One window of one clip, its box [4] and shear [2]: float32 [O, O, 3], up to 255."""
    height, width = canvas.shape[1:3]
    image_size = rows.first.shape[0]
    box, (down, right) = window[0], (window[1][0], window[1][1])
    reach = 0.5 if pivot is None else 0.5 + jnp.abs(pivot.v)
    aside = jnp.ceil(reach * jnp.abs(right) * width).astype(jnp.int32) + 1
    left = jnp.clip(jnp.min(columns.first) - aside, 0, filled[1] - 1)
    seen = jnp.minimum(jnp.max(columns.first) + columns.count + aside, width) - left
    sizes = [width * n // 8 for n in EIGHTHS] if width >= LEAST_CUT else [width]

    def seen_by(size: int, is_rolled: bool) -> jax.Array:
        start = jnp.minimum(left, width - size)
        cut = jax.lax.dynamic_slice(canvas, (clip, 0, start, 0), (1, height, size, 3))[0]
        if not is_rolled:
            tall = _down(cut, rows, filled[0])
            return _across(tall, columns, start, width, filled[1])
        x = start + jnp.arange(size)
        middle = 0.5 * (box[1] + box[3]) if pivot is None else pivot.x
        slope = down / (box[3] - box[1]) * height
        roll = _roll(slope * ((x + 0.5) / width - middle))
        # What the picture leaves of the canvas shows the picture's edge, moved as it is there.
        tall = _down(cut, rows, filled[0], roll, jnp.minimum(x, filled[1] - 1) - start)
        v = (jnp.arange(image_size, dtype=jnp.float32) + 0.5) / image_size - 0.5
        v = v if pivot is None else v - pivot.v
        return _across(tall, columns, start, width, width, _roll(right * width * v))

    branches = [
        lambda size=size, is_rolled=is_rolled: seen_by(size, is_rolled)
        for is_rolled in (False, True)
        for size in sizes
    ]
    is_rolled = (down != 0.0) | (right != 0.0)
    fitting = sum((seen > size).astype(jnp.int32) for size in sizes[:-1])
    return jax.lax.switch(len(sizes) * is_rolled + fitting, branches)


def _roll(shift: jax.Array) -> Roll:
    whole = jnp.floor(shift)
    # Computed twice, with different rounding, the two would disagree by a pixel.
    return Roll(*jax.lax.optimization_barrier((whole.astype(jnp.int32), shift - whole)))


def _down(
    pixels: jax.Array,
    rows: Kernels,
    end: jax.Array,
    roll: Roll | None = None,
    columns: jax.Array | None = None,
) -> jax.Array:
    """Resamples the columns of uint8 [S, X, 3], the first `end` rows of it: float32 [O, X, 3].

    roll: of each column; then `columns` says which pixels' column that is.
    """
    size = pixels.shape[0]

    def add(tap: jax.Array | int) -> jax.Array:
        row, weight = rows.first[:, None] + tap, rows.weights(tap, size)[:, None]
        if roll is None:
            read = pixels.at[_inside(row[:, 0], end)].get(mode="promise_in_bounds")
        else:
            before = rows.weights(tap - 1, size)[:, None]
            weight = weight * (1.0 - roll.part) + before * roll.part
            at = pixels.at[_inside(row + roll.whole, end), columns]
            read = at.get(mode="promise_in_bounds")
        return weight[..., None] * read.astype(jnp.float32)

    return _sum_of_taps(add, rows.count, roll)


def _across(
    lines: jax.Array,
    columns: Kernels,
    start: jax.Array,
    size: int,
    end: jax.Array | int,
    roll: Roll | None = None,
) -> jax.Array:
    """Resamples the rows of float32 [O, X, 3], a cut that begins at the column `start`: [O, O, 3].

    Of the `size` columns of the canvas the first `end` are read. roll: of each row.
    """
    count, length = lines.shape[:2]
    row = jnp.arange(count)[:, None]

    def add(tap: jax.Array | int) -> jax.Array:
        column, weight = columns.first + tap, columns.weights(tap, size)
        if roll is not None:
            before = columns.weights(tap - 1, size)
            weight = weight * (1.0 - roll.part[:, None]) + before * roll.part[:, None]
            column = column + roll.whole[:, None]
        at = lines.reshape(-1, 3).at[row * length + _inside(column, end) - start]
        return weight[..., None] * at.get(mode="promise_in_bounds")

    return _sum_of_taps(add, columns.count, roll)


def _inside(place: jax.Array, end: jax.Array | int) -> jax.Array:
    return jnp.clip(place, 0, end - 1)


def _sum_of_taps(add: Any, count: jax.Array, roll: Roll | None) -> jax.Array:
    """Of as many taps as there are: mostly 2 or 3, and more where the picture is blurred."""
    more = 0 if roll is None else 1
    first = sum((add(tap) for tap in range(1, 2 + more)), add(0))
    return jax.lax.fori_loop(2 + more, count + more, lambda tap, sum_: sum_ + add(tap), first)
