"""Plans of clips that tests make."""

import numpy as np

from animclip_jax.animation.plan import ShotPlan


def upright(boxes: np.ndarray) -> ShotPlan:
    """The plan of sharp, upright windows float32 [..., T, 4], without transitions and things."""
    lead = boxes.shape[:-2]
    each = np.zeros(boxes.shape[:-1], np.float32)
    return ShotPlan(
        boxes=boxes,
        shear=np.zeros((*each.shape, 2), np.float32),
        blur=each,
        smear=np.zeros_like(boxes),
        at=np.zeros((*lead, 0), np.int32),
        mix=np.zeros((*lead, 0, 3), np.float32),
        gain=each + np.float32(1),
        offset=each,
        extent=np.ones((*lead, 2), np.float32),
        home=np.zeros((*lead, 0), np.float32),
        fill=np.zeros((*lead, 0), np.float32),
        thing_boxes=np.zeros((*lead, 0, 4), np.float32),
        thing_shear=np.zeros((*lead, 0, 2), np.float32),
        thing_smear=np.zeros((*lead, 0, 4), np.float32),
    )
