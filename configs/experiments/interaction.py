"""What is each part of the re-ranker worth? The quickstart's world and model, minutes an arm.

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/interaction.py --config.seed=$seed --sweep \\
            --workdir=runs/interaction/$seed
        animclip report runs/interaction/$seed
    done
    python -m benchmarks.seeds runs/interaction/0 runs/interaction/1 runs/interaction/2

Every arm has its coarse score beside the re-ranked one. Settings are chosen with
--config.data.eval=drawn:val; the default, drawn:test, is for the table that is published.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart


def get_config() -> ConfigDict:
    """Our re-ranker in the quickstart's animated arm."""
    return quickstart.get_config()


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    return {
        "fused": {},  # cross-attention into the video code, and the coarse score
        "unfused": {"reranker.fusion": False},  # the same, ranking by its own score alone
        # CLIP4Clip's joint transformer over the caption and a token a frame, which ranks alone.
        "tight": {
            "reranker.interaction": "tight",
            "reranker.tokens": "cls",
            "reranker.fusion": False,
        },
        "coarse": {"loss.matching_weight": 0.0},  # the dual encoders; re-ranking changes nothing
    }
