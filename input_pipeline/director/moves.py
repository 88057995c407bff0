"""What moved in a clip, as its frames show it: what a caption may say of it."""

from __future__ import annotations

from typing import NamedTuple

from input_pipeline.director.cut_outs import Thing, at, frame_place
from input_pipeline.director.things import one_of
from input_pipeline.director.windows import Views
from input_pipeline.tensorflow_on_cpu import tf


class Moves(NamedTuple):
    """The amounts of a batch of clips, float32 [B] each, after all that shortens or hides them.

    right, down: how far the camera moves from the first frame to the last, in sides of the frame
    and along the frame's own axes: what it sways in between does not count. 0 where there is a cut.
    zoom: by how much things are larger in the last frame than in the first. 1 where there is a cut.
    closer: by how much they are larger behind a cut than before it. 1 where there is not just one
    cut, where it is hidden or softened, and where another picture follows.

    thing: int32 [B], how a thing moves, of `things.CODES`; 0 where none does.
    thing_right, thing_down: its way in sides of the frame. A thing that enters, leaves or passes by
    goes across the frame; of others the smaller of the ways across the frame and across the scene,
    0 where these are opposite.
    thing_growth, thing_turn: in the same manner, its size in the last frame as a multiple of that
    in the first, and degrees clockwise. thing_hop: how high it hops, in sides of the frame.
    thing_visible: the least share of it, of the box around it, that is in a frame where it matters:
    when it has entered, before it leaves, while it passes by, and else always.
    """

    right: tf.Tensor
    down: tf.Tensor
    zoom: tf.Tensor
    closer: tf.Tensor
    thing: tf.Tensor
    thing_right: tf.Tensor
    thing_down: tf.Tensor
    thing_growth: tf.Tensor
    thing_turn: tf.Tensor
    thing_hop: tf.Tensor
    thing_visible: tf.Tensor


def camera(boxes: tf.Tensor, shear: tf.Tensor, first: tf.Tensor, is_plain: tf.Tensor) -> Moves:
    """Where no thing moves. Windows are boxes [B, T, 4] and shear [B, T, 2] of squares, in pixels.

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
    none = tf.zeros_like(right)
    return Moves(
        right=tf.where(is_one_shot, right, 0.0),
        down=tf.where(is_one_shot, down, 0.0),
        zoom=tf.where(is_one_shot, _growth(start, end), 1.0),
        closer=tf.where(has_one_cut, _growth(before, behind), 1.0),
        thing=tf.cast(none, tf.int32),
        thing_right=none,
        thing_down=none,
        thing_growth=none + 1.0,
        thing_turn=none,
        thing_hop=none,
        thing_visible=none,
    )


def with_thing(moves: Moves, thing: Thing, seen: Views) -> Moves:
    """And what moves in the scene, as the camera sees it: views [B, T, ...]."""
    first, last = at(seen, 0), at(seen, -1)
    place = frame_place(seen, thing.place)
    across_frame = place[:, -1] - place[:, 0]
    way = (thing.place[:, -1] - thing.place[:, 0]) / tf.maximum(first.side, last.side)[:, None]
    crosses = one_of(thing.motion, "enter", "leave", "pass_by")[:, None]
    down, right = tf.unstack(tf.where(crosses, across_frame, _both(across_frame, way)), axis=1)
    growth = thing.growth[:, -1] / thing.growth[:, 0]
    in_frame = growth * first.side / last.side
    turn = thing.angle[:, -1] - thing.angle[:, 0]
    turn_in_frame = turn - (last.angle - first.angle)
    is_there = thing.motion > 0
    return moves._replace(
        thing=thing.motion,
        thing_right=tf.where(is_there, right, 0.0),
        thing_down=tf.where(is_there, down, 0.0),
        thing_growth=tf.where(is_there, 1.0 + _both(growth - 1.0, in_frame - 1.0), 1.0),
        thing_turn=tf.where(is_there, _both(turn, turn_in_frame), 0.0),
        thing_hop=tf.where(is_there, tf.reduce_max(thing.hop, axis=1), 0.0),
        thing_visible=tf.where(is_there, _visible(thing, place, seen), 0.0),
    )


def _visible(thing: Thing, place: tf.Tensor, seen: Views) -> tf.Tensor:
    """`Moves.thing_visible`. place: [B, T, 2], in frames."""
    radius = thing.radius[:, None] * (thing.growth / seen.side)[..., None]
    shown = tf.minimum(place + radius, 0.5) - tf.maximum(place - radius, -0.5)
    each = tf.maximum(shown, 0.0) / tf.maximum(2.0 * radius, 1e-6)
    share = each[..., 0] * each[..., 1]
    found = tf.reduce_min(share, axis=1)
    for name, of_motion in (
        ("enter", share[:, -1]),
        ("leave", share[:, 0]),
        ("pass_by", tf.reduce_max(share, axis=1)),
        # The near part of the picture goes beyond the frame's lower side.
        ("parallax", tf.ones_like(found)),
    ):
        found = tf.where(one_of(thing.motion, name), of_motion, found)
    return found


def _both(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """The smaller one of two amounts of the same sign, and 0 of others."""
    return tf.where(a * b > 0.0, tf.where(tf.abs(a) < tf.abs(b), a, b), 0.0)


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
