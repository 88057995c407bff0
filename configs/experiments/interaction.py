"""What is each part of the re-ranker worth, and does interaction need animation?

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/interaction.py --config.seed=$seed --sweep \\
            --workdir=runs/interaction/$seed
        for arm in fused unfused; do
            animclip evaluate --workdir=runs/interaction/$seed/$arm \\
                --config.evaluation.rerank_k=50 --out=runs/interaction/$seed/$arm-50
        done
    done
    python -m benchmarks.evidence interaction runs/interaction/* --base coarse --write \\
        --arms coarse fused fused-50 unfused unfused-50 tight
    python -m benchmarks.evidence premise runs/interaction/* --base coarse --write \\
        --arms coarse tight coarse-still tight-still coarse-repeat tight-repeat \\
        --against tight-still=coarse-still tight-repeat=coarse-repeat \\
        --gains tight=tight-still tight=tight-repeat

With --config.steps=1350 --workdir=runs/interaction-1350/$seed the same is asked of longer training.

The quickstart's world and model, minutes an arm. Every arm has its coarse score beside the
re-ranked one. The premise of the paper is the rows `tight`, re-ranked: matching by interaction (the
joint transformer alone ranks the whole gallery) against matching by representation (the dual
encoders alone, `coarse`) with animation, and both once more on clips that are held still or repeat
the whole picture. Where interaction lacks animation alone, `tight-still` is below `coarse-still`
and `tight` is not below `coarse`.

Settings are chosen with --config.data.eval=drawn:val; the default, drawn:test, is for the table
that is published.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart

COARSE = {"loss.matching_weight": 0.0}  # the dual encoders; re-ranking changes nothing
# CLIP4Clip's joint transformer over the caption and a token a frame. It ranks by its own score, and
# all of the gallery (text to video), whatever the coarse score thinks of it.
TIGHT = {
    "reranker.interaction": "tight",
    "reranker.tokens": "cls",
    "reranker.fusion": False,
    "evaluation.rerank_k": 600,
}


def get_config() -> ConfigDict:
    """Our re-ranker in the quickstart's animated arm."""
    return quickstart.get_config()


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    arms: dict[str, dict[str, Any]] = {
        "fused": {},  # cross-attention into the video code, and the coarse score
        "unfused": {"reranker.fusion": False},  # the same, ranking by its own score alone
        "tight": TIGHT,
        "coarse": COARSE,
    }
    for preset in ("still", "repeat"):
        arms[f"tight-{preset}"] = TIGHT | {"animation.preset": preset}
        arms[f"coarse-{preset}"] = COARSE | {"animation.preset": preset}
    return arms
