"""What a batch of training clips is: pictures with the plans to film them by, or frames."""

from typing import Any, NamedTuple

from animclip_jax.animation.plan import ShotPlan


class Filmed(NamedTuple):
    """Clips that the model's device renders. A NamedTuple, so that JAX takes it as a tree.

    Attributes:
      canvas: uint8 [B, S, S, 3]: the part of the picture that the clip sees, at the top left, pixel
        for pixel; a side that is longer than S is shrunk to S. The rest is 0.
      plan: how it is filmed, with the leading axis B, in fractions of the canvas.
      tokens: int32 [B, L], the caption's.
      index: int32 [B], which example i of the source; of a clip of two scenes the first. A clip
        that is another one of the batch backwards, with the opposite caption, has -1 - i: its
        sibling has i.
      told: float32 [B, 7], what the caption says along each of `told.AXES`: 1, -1 for the opposite,
        0 for nothing.
    """

    canvas: Any
    plan: ShotPlan
    tokens: Any
    index: Any
    told: Any


class Footage(NamedTuple):
    """Clips whose frames are there: filmed by the host, or by the camera that shot a video.

    Attributes:
      frames: uint8 [B, T, O, O, 3].
      tokens, index, told: as of `Filmed`.
    """

    frames: Any
    tokens: Any
    index: Any
    told: Any


Batch = Filmed | Footage


def example_of(index: Any) -> Any:
    """Which example each clip was made of, forwards or backwards; index: a batch's."""
    return abs(index) - (index < 0)
