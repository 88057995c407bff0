"""Does animating pictures help? A tiny model, the drawn world, minutes on two CPU cores.

    animclip train --config=configs/quickstart.py --sweep --workdir=runs/quickstart
    animclip report runs/quickstart

The arms differ in one setting: how a captioned still becomes a clip of four frames.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common

# What clips of four frames of 64 pixels can't show.
TOO_FINE = (
    *("roll", "shake", "acceleration", "sampling", "dissolve", "wipe", "fade"),
    *("focus", "exposure", "motion_blur"),
)


def get_config() -> ConfigDict:
    """The animated arm."""
    config = common.get_config("tiny")
    config.steps = 450
    config.log_every = 20
    config.data.train = "drawn:train"
    config.data.eval = "drawn:test"
    config.validation.source = "drawn:val"
    config.data.canvas_size = 96
    config.data.group_size = 2
    config.animation.num_frames = 4
    # Close shots and a camera that travels: a frame shows a part of the scene, the clip most of it.
    config.animation.framing.shot_size = (0.45, 0.7)
    config.animation.pan.update(probability=0.8, travel=(0.3, 1.0))
    config.animation.tilt.update(probability=0.8, travel=(0.3, 1.0))
    config.animation.zoom.ratio = (1.1, 1.4)
    for name in TOO_FINE:
        config.animation[name].probability = 0.0
    config.model.context_length = 24  # the world's captions have at most 18 words
    config.model.embed_dim = 32  # a narrow coarse embedding, as a large index would want
    config.optimizer.algorithm = "muon"
    config.loss.matching_weight = 0.6
    config.loss.hard_negatives = 3
    return config


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    return {
        "animated": {},
        "repeat": {"animation.preset": "repeat"},  # the whole picture, the same every frame
        "still": {"animation.preset": "still"},  # one window drawn by the director, held
    }
