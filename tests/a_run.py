"""A small run: its command line, what it logs, and results as it may write them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

STEPS = 8
# The shipped quickstart, shrunk.
SHRUNK = [
    "--config=configs/quickstart.py",
    f"--config.steps={STEPS}",
    "--config.batch_size=8",
    "--config.log_every=1",
    "--config.data.train=drawn:train:48",
    "--config.data.eval=drawn:val:12",
    "--config.model.vision.layers=1",
    "--config.model.text.layers=1",
    "--config.evaluation.rerank_k=4",
    "--config.checkpoint.every=4",
]


def losses(workdir: Path) -> dict[int, float]:
    """The loss of every logged step."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return {line["step"]: line["loss"] for line in map(json.loads, lines)}


def assert_same_losses(found: Path, wanted: Path) -> None:
    """Of two runs' folders."""
    ours, theirs = losses(found), losses(wanted)
    assert ours.keys() == theirs.keys()
    for step, loss in theirs.items():
        assert ours[step] == pytest.approx(loss, rel=1e-5), f"step {step}"


def scores(first: float) -> dict[str, Any]:
    """One stage's, with R@1 `first` and intervals of one to each side."""
    found = {"R@1": first, "R@5": first + 10, "R@10": first + 20, "R@50": first + 25}
    found |= {"MdR": 12.0, "MnR": 33.25}
    return found | {"intervals": {name: [value - 1, value + 1] for name, value in found.items()}}


def told_apart(reranked: float = 76.0) -> dict[str, Any]:
    """What a run on drawn videos says of motion and siblings beside the rest."""
    of_motion = {"coarse": scores(10.0), "reranked": scores(21.5), "ceiling": scores(60.0)}
    others = {"coarse": scores(12.0), "reranked": scores(13.5), "ceiling": scores(61.0)}
    found = {
        name: {
            "captions": count,
            "pairs": count // 3,
            "coarse": {"above": 50.5, "interval": [45.0, 56.0]},
            "reranked": {"above": reranked, "interval": [reranked - 4, reranked + 4]},
        }
        for name, count in (("motion", 120), ("others", 90), ("colour", 90), ("slide", 120))
    }
    by_motion = {"motion": {"captions": 200} | of_motion, "others": {"captions": 312} | others}
    return {"by_motion": by_motion, "siblings": found}


def results(preset: str = "full", coarse: float = 10.0, reranked: float = 18.0) -> dict[str, Any]:
    """The document of a run on drawn videos, whole and valid."""
    stages: dict[str, Any] = {
        "coarse": scores(coarse),
        "reranked": scores(reranked),
        "ceiling": scores(60.0),
    }
    stages["k_sweep"] = [
        {"k": k, "R@1": reranked, "ceiling": 10.0 + k, "milliseconds": k / 10} for k in (5, 10, 20)
    ]
    recalls = {"R@1": 0.2, "R@5": 1.0, "R@10": 2.0, "R@50": 10.0}
    return {
        "dataset": "drawn:test",
        "protocol": {
            "name": "drawn",
            "split": "test",
            "captions": "all",
            "num_frames": 4,
            "video_to_text": "each caption",
        },
        "coverage": {"wanted": 512, "found": 512},
        "normalization": "none",
        "queries": "0a1b",
        "stage_one": "exact",
        "num_queries": 512,
        "num_videos": 512,
        "seed": 0,
        "steps": 600,
        "git_commit": "0123456789abcdef-dirty",
        "config": {"data": {"train": "drawn:train"}, "animation": {"preset": preset}},
        "config_overrides": {"batch_size": 96},
        "rerank_k": 20,
        "text_to_video": stages,
        "video_to_text": copy.deepcopy(stages),
        "chance": {"text_to_video": recalls, "video_to_text": dict(recalls)},
        "seconds": {"train": 131.2, "embed": 6.1, "coarse": 0.4, "rerank": 3.9},
    }
