"""What a ShotPlan is: how one picture is filmed, as a few small arrays."""

from typing import Any, NamedTuple


class ShotPlan(NamedTuple):
    """The windows through which a canvas is seen, and what the lens and the cut make of them.

    The director (`input_pipeline/director/`) writes it, the renderer (`render.py`) reads it. A
    NamedTuple, so that tf.data and JAX both carry it as a structure of arrays. A clip of T frames
    has V = T + K windows: one a frame, and the windows of the outgoing shot in the K frames that a
    transition may overlap. Fractions are of the canvas, y down and x right; float32 but for `at`.

    A point of the frame, (v, u) from -1/2 at its top or left to 1/2, sees the canvas at
    y = (y0 + y1) / 2 + (y1 - y0) v + shear[0] u and x = (x0 + x1) / 2 + (x1 - x0) u + shear[1] v.

    A clip may have a thing that moves: an ellipse that is cut out of the canvas, its home, and is
    seen elsewhere. What moves is a window, too: through it a point of the frame sees the canvas
    where the thing that covers the point was cut out; where that is outside of the ellipse, nothing
    covers it. The last five parts say all of it; where a preset has no things, they have no
    elements.

    Attributes:
      boxes: [..., V, 4], (y0, x0, y1, x1), 0 <= y0 < y1 <= 1 and 0 <= x0 < x1 <= 1.
      shear: [..., V, 2], what a rolled window adds; 0 for an upright one.
      blur: [..., V], half the width of the blur of what is out of focus, a share of the frame.
      smear: [..., V, 4], how far the window's sides move while the shutter is open.
      at: int32 [..., K], the frame that an outgoing window overlaps; T where none.
      mix: [..., K, 3], the outgoing window's share of that frame: in the middle, and what it grows
        by from top to bottom and from left to right; cut off at 0 and 1.
      gain, offset: [..., T], a pixel p in [0, 1] leaves as gain p + offset.
      extent: [..., 2], the height and width of the canvas that hold a picture, from the top left;
        for the rest the renderer repeats the picture's edge.
      home: [..., 5], the ellipse's middle (y, x), its radii down and right, and its soft rim as a
        share of them; radii of 0 where the clip has no thing.
      fill: [..., 2], how far down and right of the home the pixels are that take the thing's place.
      thing_boxes, thing_shear, thing_smear: [..., T, .], as boxes, shear and smear; these windows
        may leave the canvas.
    """

    boxes: Any
    shear: Any
    blur: Any
    smear: Any
    at: Any
    mix: Any
    gain: Any
    offset: Any
    extent: Any
    home: Any
    fill: Any
    thing_boxes: Any
    thing_shear: Any
    thing_smear: Any

    @property
    def has_thing(self) -> Any:
        """bool [...], the clips that have a thing that moves."""
        return self.home[..., 2] > 0


def part_shapes(num_frames: int, most_overlap: int, thing_frames: int) -> ShotPlan:
    """The shape of each part of one clip's plan.

    Of its T frames K may show two shots, and H, which is T or 0, a thing that moves.
    """
    T, K, H = num_frames, most_overlap, thing_frames
    V = T + K
    return ShotPlan(
        boxes=(V, 4),
        shear=(V, 2),
        blur=(V,),
        smear=(V, 4),
        at=(K,),
        mix=(K, 3),
        gain=(T,),
        offset=(T,),
        extent=(2,),
        home=(5 if H else 0,),
        fill=(2 if H else 0,),
        thing_boxes=(H, 4),
        thing_shear=(H, 2),
        thing_smear=(H, 4),
    )
