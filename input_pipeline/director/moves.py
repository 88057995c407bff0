"""What moved in a clip, as its frames show it: what a caption may say of it."""

from __future__ import annotations

from typing import NamedTuple

from input_pipeline.tensorflow_on_cpu import tf


class Moves(NamedTuple):
    """The amounts of a batch of clips, float32 [B] each, after all that shortens or hides them.

    right, down: how far the camera moves from the first frame to the last, in sides of the frame
    and along the frame's own axes: what it sways in between does not count. 0 where there is a cut.
    zoom: by how much things are larger in the last frame than in the first. 1 where there is a cut.
    closer: by how much they are larger behind a cut than before it. 1 where there is not just one
    cut, where it is hidden or softened, and where another picture follows.
    """

    right: tf.Tensor
    down: tf.Tensor
    zoom: tf.Tensor
    closer: tf.Tensor


def camera(boxes: tf.Tensor, shear: tf.Tensor, first: tf.Tensor, is_plain: tf.Tensor) -> Moves:
    """Of windows boxes [B, T, 4] and shear [B, T, 2], of upright or rolled squares, in pixels.

    first: int32 [B, SHOTS], the first frame of each shot, T where there is none. is_plain: bool
    [B], clips of one picture whose cuts are neither hidden nor softened.
    """
    T = boxes.shape[1]
    windows = tf.concat([boxes, shear], axis=-1)
    start, end = windows[:, 0], windows[:, T - 1]
    cut = tf.clip_by_value(first[:, 1], min(1, T - 1), T - 1)
    before = tf.gather(windows, tf.maximum(cut - 1, 0), batch_dims=1)
    behind = tf.gather(windows, cut, batch_dims=1)
    is_one_shot = first[:, 1] >= T
    has_one_cut = is_plain & ~is_one_shot & (first[:, 2] >= T)
    down, right = _travel(start, end)
    return Moves(
        right=tf.where(is_one_shot, right, 0.0),
        down=tf.where(is_one_shot, down, 0.0),
        zoom=tf.where(is_one_shot, _growth(start, end), 1.0),
        closer=tf.where(has_one_cut, _growth(before, behind), 1.0),
    )


def _edges(window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """From a window's top to its bottom and from its left to its right, [B, 2] (y, x) each."""
    y0, x0, y1, x1, down, right = tf.unstack(window, axis=-1)
    return tf.stack([y1 - y0, right], axis=-1), tf.stack([down, x1 - x0], axis=-1)


def _travel(start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """(down, right) in sides of a window that is the mean of both."""
    way = 0.5 * (end[:, 0:2] + end[:, 2:4] - start[:, 0:2] - start[:, 2:4])
    edges = _edges(0.5 * (start + end))
    return tuple(_dot(way, edge) / _dot(edge, edge) for edge in edges)


def _growth(start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """The side of the first window as a multiple of the last one's."""
    squares = [_dot(right, right) for _, right in (_edges(start), _edges(end))]
    return _root(squares[0] / squares[1])


def _root(x: tf.Tensor) -> tf.Tensor:
    """The square root of 1/400 to 400. TensorFlow's own may round by the place in a batch."""
    root = 0.5 * (1.0 + x)
    for _ in range(8):
        root = 0.5 * (root + x / root)
    return root


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1]
