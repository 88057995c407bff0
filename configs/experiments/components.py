"""Does animating help, and which component of it? The quickstart's world and model.

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/components.py --config.seed=$seed --sweep \\
            --workdir=runs/components/$seed
    done
    python -m benchmarks.evidence components runs/components/* --base still --write \\
        --against pan+speed=pan pan+acceleration=pan pan+sampling=pan pan+motion_blur=pan \\
        cut+dissolve=cut cut+wipe=cut cut+fade=cut

Two controls, three presets, and every component alone: in each clip, with the quickstart's framing
and ranges, those of `animclip_jax/animation/config.py` where it has none. What is seen only while
the camera pans, or at a cut, stands beside `pan` or `cut`, and is compared with that. `cut` in
every clip makes three shots of it. `full` is the quickstart's animated arm, so without what four
frames of 64 pixels can't show. `scenes` is left out: it joins two captions, more than the model
reads. 22 arms.
"""

from typing import Any

from ml_collections import ConfigDict

from animclip_jax.animation.config import COMPONENTS
from configs import quickstart

ALONE = ("pan", "tilt", "zoom", "cut", "roll", "shake", "focus", "exposure")
# Those that gain most alone, together.
TOGETHER = (("pan", "tilt"), ("pan", "tilt", "cut"))
AT_A_PAN = ("speed", "acceleration", "sampling", "motion_blur")
AT_A_CUT = ("dissolve", "wipe", "fade")


def get_config() -> ConfigDict:
    """The quickstart's animated arm."""
    return quickstart.get_config()


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    presets = ("repeat", "still", "camera", "shots")
    arms: dict[str, dict[str, Any]] = {"full": {}}
    arms |= {preset: {"animation.preset": preset} for preset in presets}
    arms |= {name: only(name) for name in ALONE}
    arms |= {"+".join(names): only(*names) for names in TOGETHER}
    arms |= {f"pan+{name}": only("pan", name) for name in AT_A_PAN}
    return arms | {f"cut+{name}": only("cut", name) for name in AT_A_CUT}


def only(*names: str) -> dict[str, Any]:
    """These components in every clip, and no other beside the framing."""
    return {
        f"animation.{name}.probability": float(name in (*names, "framing")) for name in COMPONENTS
    }
