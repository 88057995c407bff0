"""ShotPlan -> frames in tf.data, for who needs clips outside of JAX (`animation.render = "host"`).

The same as `animclip_jax/animation/render.py` step by step, in TensorFlow ops and for one clip; see
there for why. A test holds the two together.

Dimensions: T frames, V windows, K of which a transition lays over frames, S canvas pixels, O frame
pixels.
"""

from __future__ import annotations

from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import TRIANGLE_OF_LINE
from input_pipeline.tensorflow_on_cpu import tf


def render_clip(canvas: tf.Tensor, plan: ShotPlan, image_size: int) -> tf.Tensor:
    """Films a canvas uint8 [S, S, 3] as its plan says: uint8 [T, O, O, 3]."""
    pixels = tf.cast(canvas, tf.float32) / 255.0
    size = tf.shape(canvas)
    box, (down, right) = tf.unstack(plan.boxes, axis=1), tf.unstack(plan.shear, axis=1)
    smear = tf.unstack(plan.smear, axis=1)
    slope = down / (box[3] - box[1])
    longer = -0.5 * slope * right
    ends = (box[0] - longer, box[2] + longer)
    rows = _axis_weights(*ends, size[0], image_size, plan.blur, smear[0], smear[2])
    columns = _axis_weights(box[1], box[3], size[1], image_size, plan.blur, smear[1], smear[3])

    height, width = tf.cast(size[0], tf.float32), tf.cast(size[1], tf.float32)
    x = (tf.range(width) + 0.5) / width
    v = (tf.range(image_size, dtype=tf.float32) + 0.5) / image_size - 0.5
    middle = 0.5 * (box[1] + box[3])
    rolled = tf.reduce_any(plan.shear != 0.0)

    def across(n: tf.Tensor) -> tf.Tensor:
        """One window, float32 [O, O, 3]."""
        sheared = tf.cond(
            rolled,
            lambda: _shift_lines(pixels, slope[n] * (x - middle[n]) * height),
            lambda: pixels,
        )
        tall = tf.reshape(sheared, [size[0], -1])
        lines = tf.reshape(tf.matmul(rows[n], tall), [image_size, size[1], 3])
        lines = tf.transpose(lines, [1, 0, 2])
        lines = tf.cond(rolled, lambda: _shift_lines(lines, right[n] * v * width), lambda: lines)
        wide = tf.matmul(columns[n], tf.reshape(lines, [size[1], -1]))
        return tf.transpose(tf.reshape(wide, [image_size, image_size, 3]), [1, 0, 2])

    num_windows = tf.shape(plan.boxes)[0]
    views = tf.map_fn(across, tf.range(num_windows), fn_output_signature=tf.float32)
    T = tf.shape(plan.gain)[0]
    frames = _mix(views[:T], views[T:], plan, image_size)
    frames = plan.gain[:, None, None, None] * frames + plan.offset[:, None, None, None]
    return tf.cast(tf.round(tf.clip_by_value(frames, 0.0, 1.0) * 255.0), tf.uint8)


def _axis_weights(
    start: tf.Tensor,
    stop: tf.Tensor,
    canvas_size: tf.Tensor,
    image_size: int,
    blur: tf.Tensor,
    smear_start: tf.Tensor,
    smear_stop: tf.Tensor,
) -> tf.Tensor:
    """float32 [V, O, S] of windows whose ends are float32 [V]."""
    start, stop, blur, smear_start, smear_stop = (
        part[:, None, None] for part in (start, stop, blur, smear_start, smear_stop)
    )
    pixels = tf.cast(canvas_size, tf.float32)
    extent = (stop - start) * pixels
    place = ((tf.range(image_size, dtype=tf.float32) + 0.5) / image_size)[:, None]
    centre = start * pixels + place * extent - 0.5
    smear = tf.abs(smear_start * (1.0 - place) + smear_stop * place)
    width = tf.maximum(smear * pixels * TRIANGLE_OF_LINE, blur * extent)
    width = tf.maximum(width, tf.maximum(extent / image_size, 1.0))
    weights = tf.maximum(0.0, 1.0 - tf.abs(centre - tf.range(pixels)) / width)
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def _shift_lines(pixels: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """pixels[y + shift[x], x] of float32 [Y, X, 3] and [X], the edge where that is outside."""
    rows = tf.shape(pixels)[0]
    whole = tf.floor(shift)
    at = tf.range(rows)[:, None] + tf.cast(whole, tf.int32)
    columns = tf.tile(tf.range(tf.shape(pixels)[1])[None, :], [rows, 1])

    def moved(at: tf.Tensor) -> tf.Tensor:
        inside = tf.clip_by_value(at, 0, rows - 1)
        return tf.gather_nd(pixels, tf.stack([inside, columns], axis=-1))

    part = (shift - whole)[None, :, None]
    return moved(at) * (1.0 - part) + moved(at + 1) * part


def _mix(frames: tf.Tensor, outgoing: tf.Tensor, plan: ShotPlan, image_size: int) -> tf.Tensor:
    """Lays the outgoing windows [K, O, O, 3] over the frames [T, O, O, 3] they overlap."""
    place = (tf.range(image_size, dtype=tf.float32) + 0.5) / image_size - 0.5
    middle, down, right = (plan.mix[:, i, None, None] for i in range(3))
    share = tf.clip_by_value(middle + down * place[:, None] + right * place, 0.0, 1.0)
    # A row more takes what overlaps nothing.
    frames = tf.concat([frames, tf.zeros_like(frames[:1])], axis=0)
    covered = tf.gather(frames, plan.at)
    mixed = covered + share[..., None] * (outgoing - covered)
    return tf.tensor_scatter_nd_update(frames, plan.at[:, None], mixed)[:-1]
