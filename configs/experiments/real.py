"""Does animating help on real videos? Trained from nothing on captioned photos, minutes an arm.

    for seed in 0 1 2 3 4; do
        animclip train --config=configs/experiments/real.py --config.seed=$seed --sweep \\
            --workdir=runs/real/$seed --config.data.train=folder:PICTURES \\
            --config.data.eval=folder:VIDEOS
    done
    python -m benchmarks.evidence real runs/real/* --base still --write

and the same for pictures that were not trained on, each arm evaluated on them:

    animclip evaluate --workdir=runs/real/0/full --out=runs/pictures/0/full \\
        --config.data.eval=folder:PICTURES@split=dev
    python -m benchmarks.evidence pictures runs/pictures/* --base still --write --arms full still \\
        repeat camera shots

PICTURES and VIDEOS as configs/folders.py has them: a captions.jsonl beside the files. Settings are
chosen with other pictures or videos as data.eval, a part that the folder's lines call something,
such as folder:PICTURES@split=dev.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import folders


def get_config() -> ConfigDict:
    """The tiny model on folders."""
    return folders.get_config()


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    presets = ("repeat", "still", "camera", "shots")
    return {"full": {}} | {preset: {"animation.preset": preset} for preset in presets}
