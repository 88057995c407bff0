"""Does it last? Three times the quickstart's steps, with and without animation.

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/steps.py --config.seed=$seed --sweep \\
            --workdir=runs/steps/$seed
    done
    python -m benchmarks.evidence steps runs/steps/* --base still --write \\
        --against animated-1350=still-1350

A gain that a longer training without animation would bring as well were none. It also says whether
the re-ranker, which starts from nothing, earns more once it has seen more.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart


def get_config() -> ConfigDict:
    """The quickstart's animated arm."""
    return quickstart.get_config()


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    longer = {"steps": 3 * get_config().steps}
    still = {"animation.preset": "still"}
    return {"animated": {}, "still": still, "animated-1350": longer, "still-1350": longer | still}
