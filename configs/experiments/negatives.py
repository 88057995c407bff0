"""Which negatives does the model need? The quickstart's world and model, three times its steps.

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/negatives.py --config.seed=$seed --sweep \\
            --workdir=runs/negatives/$seed
    done
    python -m benchmarks.evidence negatives runs/negatives/* --base drawn-3 --write

Three questions: how many negatives a clip and direction the re-ranker is trained on (drawn by the
coarse score; 0 trains no re-ranker), whether a scene's sibling is in its batch, and how large the
batch is. Batches of another size see the same number of clips, in more or fewer steps of the same
learning rate; those over 32 are encoded 32 clips at a time, which changes no gradient.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart


def get_config() -> ConfigDict:
    """The quickstart's animated arm: 3 negatives, siblings together, batches of 32."""
    config = quickstart.get_config()
    config.steps *= 3  # in the quickstart's 450 the re-ranker has only begun to learn
    return config


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    arms: dict[str, dict[str, Any]] = {"drawn-3": {}, "drawn-0": {"loss.matching_weight": 0.0}}
    arms |= {f"drawn-{count}": {"loss.hard_negatives": count} for count in (1, 7)}
    arms["siblings-apart"] = {"data.group_size": 1}
    config = get_config()
    clips = config.steps * config.batch_size
    for size in (16, 64, 128):
        arms[f"batch-{size}"] = {
            "batch_size": size,
            "steps": clips // size,
            "microbatch": min(size, config.batch_size),
        }
    return arms
