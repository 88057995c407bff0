"""What do a few training videos add, with and without animated pictures before them?

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/finetune.py --config.seed=$seed --sweep \\
            --workdir=runs/finetune/$seed
    done
    python -m benchmarks.evidence finetune runs/finetune/* --base still --write \\
        --against animated+100=still+100 repeat+100=still+100 none+1000=still+1000 \\
        animated+1000=still+1000 repeat+1000=still+1000

The quickstart's world and model. An arm's name says how pictures became clips, and on how many
videos of `drawn:finetune` the model was trained after that: none, 100 or 1,000, on their own
frames. `none+1000` has seen videos alone, in as many steps as pictures and videos are given.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart

# By the number of videos: steps and learning rate, chosen on drawn:val, where more of either make
# 100 videos do harm.
FINETUNING = {100: (50, 5e-5), 1000: (150, 5e-4)}


def get_config() -> ConfigDict:
    """The quickstart's animated arm."""
    return quickstart.get_config()


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    arms: dict[str, dict[str, Any]] = {"animated": {}}
    arms |= {preset: {"animation.preset": preset} for preset in ("repeat", "still")}
    pretrained = list(arms)
    for count, (steps, rate) in FINETUNING.items():
        for name in pretrained:
            begun = {"init_from": name, "steps": steps, "optimizer.learning_rate": rate}
            arms[f"{name}+{count}"] = begun | videos(count)
    steps = get_config().steps + FINETUNING[1000][0]
    return arms | {"none+1000": {"steps": steps} | videos(1000)}


def videos(count: int) -> dict[str, Any]:
    """Trains on the own frames of so many videos, a random part of the picture."""
    return {
        "data.train": f"drawn:finetune:{count}",
        "data.footage": True,
        "animation.preset": "still",
    }
