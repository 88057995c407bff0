"""Baked batches: the run they make is the run that their source makes, without TensorFlow."""

import json
from pathlib import Path

import pytest

from animclip_jax import files, prepare, settings, train
from animclip_jax.training import bake, data
from configs import quickstart
from input_pipeline import baked
from tests import processes
from tests.a_run import losses
from tests.repository import ROOT

CHANGES = {
    "steps": 3, "batch_size": 8, "log_every": 1, "data.train": "drawn:train:16",
    "data.eval": "drawn:val:6", "data.group_size": 1, "model.vision.layers": 1,
    "model.text.layers": 1, "evaluation.rerank_k": 3,
}  # fmt: skip


def flags(workdir: Path, **changes: object) -> list[str]:
    both = CHANGES | {name.replace("__", "."): value for name, value in changes.items()}
    settings = [f"--config.{name}={value}" for name, value in both.items()]
    return ["--config=configs/quickstart.py", *settings, f"--workdir={workdir}"]


@pytest.mark.slow
def test_a_machine_without_tensorflow_trains_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    cache = tmp_path / "cache"
    assert train.main(flags(tmp_path / "source", data__cache_dir=cache)) == 0
    *settings, _ = flags(tmp_path / "run", data__cache_dir=cache)
    assert prepare.main([*settings, "--bake=3", f"--out={tmp_path / 'baked'}"]) == 0
    changes = {"data__train": f"baked:{tmp_path / 'baked'}", "data__cache_dir": cache}
    arguments = flags(tmp_path / "run", **changes)
    run = processes.run(
        processes.without(processes.TENSORFLOW, "animclip_jax", "train", *arguments)
    )
    assert run.returncode == 0, run.stderr
    assert losses(tmp_path / "run") == losses(tmp_path / "source")
    assert "trained, not evaluated: reading " in run.stderr
    assert "needs TensorFlow, which is not installed here" in run.stderr
    assert not (tmp_path / "run" / "results.json").exists()
    # Where TensorFlow is, the same command has only to evaluate.
    assert train.main(arguments) == 0
    assert (tmp_path / "run" / "results.json").exists()


def test_batches_of_another_configuration_are_refused(tmp_path: Path, capsys) -> None:
    config = quickstart.get_config()
    config.update_from_flattened_dict(CHANGES | {"data.cache_dir": str(tmp_path / "cache")})
    data_settings = config.data.train, config.data.cache_dir
    bake.bake(*data_settings, settings.batches(config), tmp_path / "baked", 1)
    said = files.read_json(tmp_path / "baked" / baked.SUMMARY)
    assert said["source"] == "drawn:train:16" and len(said["digest"]) == 64
    changes = {"data__train": f"baked:{tmp_path / 'baked'}", "batch_size": 16}
    assert train.main(flags(tmp_path / "run", **changes)) == 1
    assert "baked with batch_size 8, but the run needs 16" in capsys.readouterr().err


def test_a_folder_that_an_earlier_version_baked_is_read(tmp_path: Path) -> None:
    config = quickstart.get_config()
    config.update_from_flattened_dict(CHANGES | {"data.cache_dir": str(tmp_path / "cache")})
    data_settings = config.data.train, config.data.cache_dir
    bake.bake(*data_settings, settings.batches(config), tmp_path / "baked", 1)
    recorded = {
        "batch_size": 8,
        "seed": 0,
        "canvas_size": 96,
        "group_size": 1,
        "footage": False,
        "context_length": 24,
        "vocab_size": 8192,
        "animation": config.animation.to_dict(),
    }
    summary = tmp_path / "baked" / "baked.json"
    summary.write_text(json.dumps({"version": 1, "count": 1, "settings": recorded}))
    config.data.train = f"baked:{tmp_path / 'baked'}"
    assert len(next(data.open_batches(settings.training(config), None, 0, (0, 1))).index) == 8


def test_baking_asks_for_what_it_lacks(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    asked = ["--bake", "2", "--config=configs/quickstart.py", f"--out={tmp_path}"]
    assert prepare.main(["folder:somewhere", *asked]) == 1
    assert "--bake takes its source from --config.data.train" in capsys.readouterr().err
    assert prepare.main(asked) == 1
    assert str(tmp_path) in capsys.readouterr().err
    assert prepare.main([*asked, "--short-side=9"]) == 1
    assert "--short-side: not for --bake, which take --out, --bake, --config" in (
        capsys.readouterr().err
    )
    assert prepare.main([*asked[:2], asked[3]]) == 1
    assert "--bake needs --config=FILE" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        prepare.main(asked[:3])
