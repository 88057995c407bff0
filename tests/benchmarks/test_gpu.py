"""The script for a GPU: a rehearsal on the CPU, where the packages are not that a GPU may lack."""

import json
import math
import os
import sys
from pathlib import Path

import pytest

from animclip_jax import settings
from animclip_jax.training import bake
from benchmarks import gpu
from configs import quickstart
from tests import processes

LACKING = ("tensorflow", "tensorflow_datasets", "ml_collections", "tensorboardX", "clu", "ftfy")


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture
def without(tmp_path: Path) -> str:
    """A path of Python on which the packages of LACKING can't be imported."""
    for name in LACKING:
        (tmp_path / "lacking").mkdir(exist_ok=True)
        missing = f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})\n'
        (tmp_path / "lacking" / f"{name}.py").write_text(missing)
    return os.pathsep.join([str(tmp_path / "lacking"), str(processes.ROOT)])


@pytest.mark.slow
def test_all_of_it_is_rehearsed_without_what_a_gpu_may_lack(tmp_path: Path, without: str) -> None:
    config = quickstart.get_config()
    config.update_from_flattened_dict({"batch_size": 4, "data.cache_dir": str(tmp_path / "cache")})
    bake.bake("drawn:train:4", config.data.cache_dir, settings.batches(config), tmp_path / "b", 2)
    out = tmp_path / "gpu.jsonl"
    command = [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "--minutes", "60"]
    done = processes.run(
        [*command, "--out", str(out), "--baked", str(tmp_path / "b")], PYTHONPATH=without
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = lines(out)
    assert list(dict.fromkeys(row["part"] for row in found)) == list(gpu.PARTS)
    assert not [row for row in found if "error" in row]
    for row in found:
        figures = [value for value in row.values() if isinstance(value, float)]
        assert figures or "torch" in row["skipped"]
        assert all(math.isfinite(value) and value > 0 for value in figures)


def test_a_part_that_does_not_end_or_finds_no_time_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"first": gpu.Part(0.5, gpu.stage_one), "second": gpu.Part(0.5, gpu.stage_one)}
    monkeypatch.setattr(gpu, "PARTS", parts)
    out = tmp_path / "gpu.jsonl"
    assert gpu.main(["--out", str(out), "--minutes", "0.005"]) == 1
    first, second = lines(out)
    assert first["error"].startswith("not done in") and second["skipped"] == "no time left"


def test_what_goes_wrong_becomes_a_line_and_the_next_is_measured() -> None:
    def full(row: gpu.Row) -> gpu.Row:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nwhile allocating")

    row = gpu.attempt({"remat": "none"}, full)
    assert row == {"remat": "none", "error": "RuntimeError: RESOURCE_EXHAUSTED: Out of memory"}
    assert gpu.attempt({"remat": "dots"}, lambda row: row | {"MFU": 0.5})["MFU"] == 0.5
