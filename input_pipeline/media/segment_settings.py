"""What the segments of an index are like; imports no video codec, for whoever only searches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from input_pipeline.media.picture import SHORT_SIDE, fit

# No cut makes a segment shorter.
SHORTEST = 1.0
# Raise these when shots are found otherwise, or more is kept of them: an index then divides its
# videos anew. Way 1 compared colours four times a second, way 2 did not keep which segments are of
# one shot, and ways 1 to 3 showed frames of SHORT_SIDE to larger models, too.
DIVISION, DIVISION_OF_LARGER = 3, 4
# Since which way it is known what is one scene, and how many frames a second a film has.
SCENES_SINCE = RATES_SINCE = 3


@dataclass(frozen=True)
class SegmentSettings:
    """What segments are like: T = num_frames square frames of image_size, `window` seconds long.

    shots: whether a segment also ends where a shot does. resize, interpolation, antialias: see
    `picture.fit`.
    """

    num_frames: int
    image_size: int
    window: float = 10.0
    shots: bool = True
    resize: str = "shortest"
    interpolation: str = "bicubic"
    antialias: bool = True

    def __post_init__(self) -> None:
        if not 2 * SHORTEST <= self.window <= 600:
            raise ValueError(f"window {self.window:g}: wanted {2 * SHORTEST:g} to 600 seconds")

    @property
    def division(self) -> int:
        """The way in which videos are divided, and shown to the model."""
        return DIVISION if self.image_size <= SHORT_SIDE else DIVISION_OF_LARGER

    def fitted(self, picture: np.ndarray) -> np.ndarray:
        """A picture uint8 [H, W, 3] as the model takes it: uint8 [image_size, image_size, 3]."""
        return fit(picture, self.image_size, self.resize, self.interpolation, self.antialias)
