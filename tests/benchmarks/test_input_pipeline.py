"""Tests of benchmarks.input_pipeline and of the ways it compares with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import input_peers, input_pipeline
from tests.input_pipeline.shard_files import encoded


def photo(name: str) -> Image.Image:
    noise = np.random.default_rng(len(name)).integers(0, 256, (300, 400, 3), np.uint8)
    return Image.fromarray(noise).resize((600, 450))


def test_every_way_that_is_installed_makes_clips() -> None:
    ways = input_peers.peers(3, 32)
    named = {line.partition(" (")[0] for line in input_peers.missing()}
    assert set(ways) | named == set(input_peers.NEEDS) and not set(ways) & named
    assert {"PIL resize", "tf crop_and_resize"} <= set(ways)
    for film in ways.values():
        made: Any = film(encoded(90, (80, 60)))
        frames = [np.asarray(frame) for frame in made]
        assert len(frames) == 3
        assert all(sorted(frame.shape) == [3, 32, 32] for frame in frames)
        assert all(abs(float(frame.mean()) - 90) < 4 or frame.max() <= 1 for frame in frames)


def test_the_figures_hold_what_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cost = input_pipeline.Cost
    rows = {"decode only": cost(0.5, 2000), "ours": cost(0.6, 1800)}
    rows |= {input_pipeline.THINGS: cost(0.6, 1800), "PIL resize": cost(6.0, 160)}
    rows |= {input_pipeline.BY_JAX: cost(9.0, 200), input_pipeline.IN_TF_DATA: cost(3.0, 300)}
    monkeypatch.setattr(input_pipeline, "measure", lambda examples, seconds: rows)
    monkeypatch.setattr(input_pipeline, "NUM_PHOTOS", 6)
    monkeypatch.setattr(input_peers, "sample_photo", photo)
    monkeypatch.setattr(sys, "argv", ["x", "--quick", "--json", str(tmp_path / "f.json")])
    assert input_pipeline.main() == 0
    ratios = json.loads((tmp_path / "f.json").read_text())["ratios"]
    for suffix in ("", "_raw"):
        assert ratios[f"ours_over_decode_only{suffix}"] == pytest.approx(1.2)
        assert ratios[f"things_over_decode_only{suffix}"] == pytest.approx(1.2)
        assert ratios[f"best_antialiased_peer_over_ours{suffix}"] == pytest.approx(10)
        assert ratios[f"rate_over_decode_only{suffix}"] == pytest.approx(0.9)
        assert ratios[f"jax_over_best_antialiased_peer{suffix}"] == pytest.approx(1.5)
        assert ratios[f"host_over_best_antialiased_peer{suffix}"] == pytest.approx(0.5)
    assert 0.5 < ratios["flicker_over_pil"] <= 1
    assert "not installed, not measured: " in capsys.readouterr().out


def test_the_photos_are_as_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_pipeline, "NUM_PHOTOS", 6)
    monkeypatch.setattr(input_peers, "sample_photo", photo)
    raw, prepared = input_pipeline.make_photos(tmp_path)
    assert (raw.sizes == [375, 500]).all() and (prepared.sizes == [320, 427]).all()
    clips = input_pipeline.decoding(prepared)
    assert sum(next(clips) for _ in range(9)) == 9
