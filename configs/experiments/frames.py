"""How many frames does a clip need? The quickstart's world and model, at equal steps.

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/frames.py --config.seed=$seed --sweep \\
            --workdir=runs/frames/$seed
    done
    python -m benchmarks.evidence frames runs/frames/* --base still-4 --write \\
        --against 2-frames=still-2 8-frames=still-8

A model searches with as many frames of a video as it was trained on. Each number has its control,
clips of as many equal frames: what more frames of the *videos* give, a control has too. Of a single
frame the two are the same. An arm takes time by its frames; drawn videos have 8.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart


def get_config() -> ConfigDict:
    """The quickstart's animated arm: four frames."""
    return quickstart.get_config()


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    arms: dict[str, dict[str, Any]] = {"4-frames": {}, "still-4": {"animation.preset": "still"}}
    arms["1-frame"] = {"animation.num_frames": 1}
    for count in (2, 8):
        arms[f"{count}-frames"] = {"animation.num_frames": count}
        arms[f"still-{count}"] = {"animation.num_frames": count, "animation.preset": "still"}
    return arms
