"""Do things that move, and captions that say so, teach motion? The quickstart's world and model.

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/motion.py --config.seed=$seed --sweep \\
            --workdir=runs/motion/$seed
    done
    python -m benchmarks.evidence motion runs/motion/* --base camera --write

In `camera` pictures are filmed as in the quickstart, and captions say what pictures show. In `all`
things move, too, captions say what moves, and the model has an eye for motion. The other arms leave
one of these out, add siblings that run backwards, or have one thing's motion alone. Settings are
chosen with --config.data.eval=drawn:val.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart

# How things move; a clip has the first that is drawn, so the last ones are drawn more often.
MOTIONS = {
    **{"enter": 0.1, "leave": 0.1, "pass_by": 0.1, "bounce": 0.1},
    **{"grow": 0.4, "turn": 0.4, "parallax": 0.0, "slide": 1.0},
}
# What turns each part off.
OFF: dict[str, dict[str, Any]] = {
    "things": {"animation.preset": "full"},
    "captions": {"animation.told.probability": 0.0},
    "eye": {"motion.features": 0},
}


def get_config() -> ConfigDict:
    """All parts, over the quickstart's animated arm."""
    config = quickstart.get_config()
    config.steps *= 3  # there is more to learn than what pictures show
    config.model.context_length = 48  # a caption of a picture, and a clause on the motion
    config.animation.preset = "things"
    config.animation.thing.update(probability=0.3, upright=0.5, still=0.25)
    for name, probability in MOTIONS.items():
        config.animation[name].probability = probability
    config.animation.grow.ratio = (1.5, 2.5)
    config.animation.turn.turn = (20.0, 45.0)
    # Moving things, captions about them, and siblings above all leave less to learn about content.
    # A quarter of the captions is enough to learn how to read them.
    config.animation.told.probability = 0.25
    config.motion.features = 16
    return config


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    alone = {
        f"{name}-alone": {f"animation.{one}.probability": float(one == name) for one in MOTIONS}
        for name in MOTIONS
    }
    return {
        "all": {},
        "camera": without("things", "captions", "eye"),
        **{f"no-{part}": without(part) for part in OFF},
        "captions-alone": without("things", "eye"),
        "siblings": {"animation.told.siblings": 0.2},
        **alone,
    }


def without(*parts: str) -> dict[str, Any]:
    """The settings that turn these parts off."""
    return {name: value for part in parts for name, value in OFF[part].items()}
