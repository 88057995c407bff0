"""How small may a video's stored code be? The quickstart's world and model, three times its steps.

    for seed in 0 1 2; do
        animclip train --config=configs/experiments/codes.py --config.seed=$seed --sweep \\
            --workdir=runs/codes/$seed
        for dtype in bfloat16 float32; do
            animclip evaluate --workdir=runs/codes/$seed/pooled-4x4 \\
                --config.reranker.code_dtype=$dtype --out=runs/codes/$seed/$dtype
        done
    done
    python -m benchmarks.evidence codes runs/codes/* --base pooled-4x4 --write \\
        --arms pooled-4x4 bfloat16 float32 pooled-2x2 pooled-1x1 cls width-128 width-32 width-16

The re-ranker starts from nothing: the quickstart's 450 steps teach it too little to tell what its
codes are worth (docs/experiments/steps.md).

A code has tokens x width numbers a frame: of the 17 tokens x 64 of the main arm, fewer tokens or
another width. How it is stored changes no training, so the two other types are evaluations of the
main arm. The same goes for K: results.json has R@1, ceiling and milliseconds at each K up to
evaluation.rerank_k, and `animclip evaluate --config.evaluation.rerank_k=100 --out=...` goes on.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import quickstart


def get_config() -> ConfigDict:
    """The quickstart's animated arm, whose code has every patch, as int8."""
    config = quickstart.get_config()
    config.steps *= 3
    return config


def sweep() -> dict[str, dict[str, Any]]:
    """Arms by name, the main one first: what each changes."""
    arms: dict[str, dict[str, Any]] = {"pooled-4x4": {}}  # [CLS] and 16 tokens a frame
    arms |= {f"pooled-{side}x{side}": {"reranker.pooled_grid": side} for side in (2, 1)}
    arms["cls"] = {"reranker.tokens": "cls"}
    return arms | {f"width-{width}": {"reranker.code_width": width} for width in (128, 32, 16)}
