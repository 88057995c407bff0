"""`animclip evaluate` on a run of its own making; on several devices and processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flax import traverse_util

from animclip_jax import evaluate, settings, train
from animclip_jax.evaluation import arm, comparison, results
from animclip_jax.evaluation.table import table
from animclip_jax.models import parameters
from animclip_jax.models.reranker import CAPTION_BUCKETS
from animclip_jax.runs import layout, mirror, run_config
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.step import TrainState
from configs import quickstart
from input_pipeline.drawn.captions import write
from input_pipeline.drawn.scene import scene
from input_pipeline.media.video import write_video
from tests import processes
from tests.a_run import SHRUNK
from tests.reported import text_of


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("evaluate")
    flags = [*SHRUNK, "--config.steps=2", f"--config.data.cache_dir={folder / 'cache'}"]
    assert train.main([*flags, f"--workdir={folder / 'run'}"]) == 0
    return folder / "run"


def test_evaluates_a_finished_run_again(run, tmp_path, capsys):
    first = results.read(run / "results.json")
    again = ["--workdir", str(run), "--out", str(tmp_path / "again")]
    assert evaluate.main(again) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / "again" / "report.html") in printed
    assert "<h2>Scores</h2>" in (tmp_path / "again" / "report.html").read_text()
    second = results.read(tmp_path / "again" / "results.json")
    for direction in ("text_to_video", "video_to_text"):
        for stage in results.STAGES:
            assert first[direction][stage] == second[direction][stage]
        assert [one["k"] for one in first[direction]["k_sweep"]] == [4]
        last = first[direction]["k_sweep"][-1]
        assert last["R@1"] == first[direction]["reranked"]["R@1"]
        assert last["ceiling"] == first[direction]["ceiling"]["R@1"]
    assert first["protocol"]["name"] == "drawn" and first["protocol"]["split"] == "val:12"
    assert first["coverage"] == {"wanted": 12, "found": 12}
    limit = first["shared_captions"]
    assert (
        limit["captions"] <= 12
        and limit["greatest_R@1"] >= first["text_to_video"]["ceiling"]["R@1"]
    )
    for name in ("chance", "queries", "protocol"):
        assert first[name] == second[name]
    assert evaluate.main([*again, "--config.data.eval=drawn:val:6"]) == 0
    other = results.read(tmp_path / "again" / "results.json")
    assert other["num_videos"] == 6 and other["queries"] != first["queries"]


def test_a_run_leaves_the_files_of_an_evaluation_and_no_other_than_its_page_names(run, tmp_path):
    assert evaluate.main(["--workdir", str(run), "--out", str(tmp_path)]) == 0
    left = {path.name for path in run.iterdir()}
    assert {"report.html", "results.json"} <= {path.name for path in tmp_path.iterdir()} <= left
    assert "<h2>Scores</h2>" in (run / "report.html").read_text()
    assert left <= {name for key, name in vars(layout).items() if key.isupper()}


def test_a_run_in_a_bucket(run, tmp_path, monkeypatch, capsys):
    """Here a folder plays the bucket."""
    bucket, cache = tmp_path / "bucket", tmp_path / "cache"
    shutil.copytree(run, bucket)
    (bucket / "report.html").unlink(missing_ok=True)
    monkeypatch.setattr(mirror, "is_remote", lambda workdir: str(workdir) == str(bucket))
    assert evaluate.main([f"--workdir={bucket}", f"--config.data.cache_dir={cache}"]) == 0
    assert str(bucket / "report.html") in capsys.readouterr().out
    assert "<h2>Scores</h2>" in (bucket / "report.html").read_text()
    found = results.read(bucket / "results.json")
    there = results.read(run / "results.json")
    for stage in results.STAGES:
        assert found["text_to_video"][stage] == there["text_to_video"][stage]
    assert any((cache / "runs").rglob("results.json"))  # written there first


def test_ranks_beside_the_results_are_those_of_the_scores(run):
    found = comparison.read(run / "results.json")
    for direction in results.DIRECTIONS:
        for stage in results.STAGES:
            ranks = found.ranks[f"{direction}/{stage}"]
            assert found.results[direction][stage]["R@5"] == pytest.approx(
                100 * np.mean(ranks <= 5)
            )
            assert found.results[direction][stage]["MnR"] == pytest.approx(ranks.mean())


def test_drawn_videos_are_reported_by_motion_and_by_sibling(run, tmp_path, capsys):
    assert evaluate.main([f"--workdir={run}", f"--out={tmp_path}"]) == 0
    found = comparison.read(tmp_path / "results.json")
    told = [caption for index in range(12) for caption in write(scene("val", index), 3)]
    motion = np.array([caption.names_motion for caption in told])
    assert found.ranks["motion"].tolist() == motion.tolist() and motion.any()
    for name, chosen in (("motion", motion), ("others", ~motion)):
        one = found.results["by_motion"][name]
        assert one["captions"] == chosen.sum()
        for stage in results.STAGES:
            ranks = found.ranks[f"text_to_video/{stage}"][chosen]
            assert one[stage]["R@10"] == pytest.approx(100 * np.mean(ranks <= 10))
    moving = found.ranks["siblings/motion"]
    for stage in ("coarse", "reranked"):
        above = found.ranks[f"siblings/{stage}"]
        assert set(above.tolist()) <= {0, 0.5, 1}
        for name, chosen in (("motion", moving), ("others", ~moving)):
            one = found.results["siblings"][name]
            assert one["captions"] == chosen.sum() > 0
            assert one[stage]["above"] == pytest.approx(100 * above[chosen].mean())
    printed = capsys.readouterr().out
    assert "captions that name a motion" in printed and "own video above its sibling" in printed
    page = text_of((tmp_path / "report.html").read_text())
    pairs = json.loads((tmp_path / "rankings" / "rankings.json").read_text())["pairs"]
    assert pairs and all(said["caption"] in page for pair in pairs for said in pair["captions"])


def test_a_folder_that_names_siblings_is_reported_by_them(run, tmp_path):
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    frames[np.arange(8), :, 4 * np.arange(8)] = 255
    write_video(tmp_path / "right.mp4", frames, 8)
    write_video(tmp_path / "left.mp4", frames[::-1].copy(), 8)
    lines = [
        {"video": "right.mp4", "caption": "to the right", "sibling": "left.mp4"},
        {"video": "left.mp4", "caption": "to the left", "sibling": "right.mp4"},
        {"video": "left.mp4", "caption": "a bar"},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "out"
    command = [f"--workdir={run}", f"--out={out}", f"--config.data.eval=folder:{tmp_path}"]
    assert evaluate.main(command) == 0
    found = results.read(out / "results.json")
    assert set(found["siblings"]) == {"motion"}
    assert (found["siblings"]["motion"]["captions"], found["siblings"]["motion"]["pairs"]) == (2, 1)
    assert found["by_motion"]["others"]["captions"] == 1
    (pair,) = json.loads((out / "rankings" / "rankings.json").read_text())["pairs"]
    assert {*pair["videos"]} == {"left.mp4", "right.mp4"} and pair["differs"] == "motion"


def test_against_another_run(run, tmp_path, capsys):
    command = ["--workdir", str(run), "--out", str(tmp_path)]
    assert evaluate.main([*command, f"--against={run / 'results.json'}"]) == 0
    printed = capsys.readouterr().out
    assert "ours - theirs" in printed and printed.count("the same") == 30
    other = "--config.data.eval=drawn:val:6"
    assert evaluate.main([*command, f"--against={run / 'results.json'}", other]) == 1
    assert "its protocol's split is 'val:12', here it is 'val:6'" in capsys.readouterr().err
    assert evaluate.main([*command, f"--against={tmp_path / 'nowhere.json'}"]) == 1
    assert "nowhere.json" in capsys.readouterr().err


def test_what_can_not_be_compared_is_said_before_anything_is_evaluated(
    run, tmp_path, capsys, monkeypatch
):
    def embed(*_):
        raise AssertionError("it evaluates")

    monkeypatch.setattr(arm, "embed", embed)
    command = ["--workdir", str(run), "--out", str(tmp_path / "out")]
    against = f"--against={run / 'results.json'}"
    for change, said in {
        "data.eval=drawn:val:6": "its protocol's split is 'val:12', here it is 'val:6'",
        "evaluation.normalization=dsl": "its normalization is 'none', here it is 'dsl'",
    }.items():
        assert evaluate.main([*command, f"--config.{change}", against]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()
    other = json.loads((run / "results.json").read_text()) | {"queries": "0" * 64}
    (tmp_path / "results.json").write_text(json.dumps(other))
    shutil.copy(run / "ranks.npz", tmp_path)
    assert evaluate.main([*command, f"--against={tmp_path / 'results.json'}"]) == 1
    assert "set of videos and captions (a fingerprint) is '0000" in capsys.readouterr().err


def test_normalized_scores_are_marked(run, tmp_path, capsys):
    command = ["--workdir", str(run), "--out", str(tmp_path)]
    assert evaluate.main([*command, "--config.evaluation.normalization=dsl"]) == 0
    printed = capsys.readouterr().out
    assert "coarse DSL" in printed and "which a search engine cannot" in printed
    assert "DSL uses all test queries at once" in (tmp_path / "report.html").read_text()
    assert evaluate.main([*command, f"--against={run / 'results.json'}"]) == 0
    capsys.readouterr()
    bank = [
        "--config.evaluation.normalization=qb_norm",
        "--config.evaluation.query_bank=drawn:train:48",
    ]
    assert evaluate.main([*command, *bank]) == 0
    capsys.readouterr()
    assert evaluate.main([*command, *bank, f"--against={run / 'results.json'}"]) == 1
    assert "its normalization is 'none', here it is 'qb_norm'" in capsys.readouterr().err
    assert "coarse QB-Norm" in table(results.read(tmp_path / "results.json"))
    for wrong in (bank[:1], bank[1:], [bank[0], "--config.evaluation.query_bank=drawn:val:12"]):
        assert evaluate.main([*command, *wrong]) == 1
        assert (
            "qb_norm, and nothing else, needs a bank of training captions"
            in capsys.readouterr().err
        )
    assert evaluate.main([*command, "--config.evaluation.normalization=x"]) == 1
    assert "wanted one of none, dsl, qb_norm" in capsys.readouterr().err


def test_a_protocol_that_is_not_the_sources(run, tmp_path, capsys):
    command = ["--workdir", str(run), "--out", str(tmp_path / "out")]
    assert evaluate.main([*command, "--config.evaluation.protocol=msvd"]) == 1
    assert "wanted folder:STORE@split=test or" in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.parametrize(
    ("change", "array"),
    [
        ("animation.num_frames=1", "coder/frame_embedding"),
        ("reranker.tokens=cls", "coder/place_embedding"),
        ("animation.num_frames=9", "coder/frame_embedding"),
        ("model.image_size=80", "clip/vision/position_embedding"),
    ],
)
def test_a_model_of_other_settings_is_told_by_the_arrays_that_do_not_fit(
    tmp_path, capsys, change, array
):
    """Of other frames or tokens, the positions would be broadcast."""
    config = quickstart.get_config()
    shapes = parameters.shapes(settings.retriever(config))
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    params = traverse_util.unflatten_dict(zeros, sep="/")
    run_config.claim(tmp_path / "run", settings.plain(config))
    with Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(7, TrainState(np.int32(7), params, ()))
    given = [f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'out'}", f"--config.{change}"]
    assert evaluate.main(given) == 1
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert "does not fit this configuration's model: " in said
    assert array in said and str(tmp_path / "run" / "config.json") in said


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit, match="^2$"):
        evaluate.main(["--workdir", str(tmp_path)])
    assert str(tmp_path) in capsys.readouterr().err


def run_oracle(count: int, devices: int, videos: int = 37) -> list[dict]:
    """What tests/programs/oracle.py prints, in each of its processes."""
    port = processes.free_port()
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    # No cache of compiled programs: two processes would read each other's half-written entries.
    given = processes.environment(XLA_FLAGS=flags, JAX_ENABLE_COMPILATION_CACHE="false")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [
        processes.started(
            processes.program("oracle", count, number, port, videos), env=given, **pipes
        )
        for number in range(count)
    ]
    said = [one.communicate(timeout=300) for one in running]
    for one, (_, error) in zip(running, said, strict=True):
        assert one.returncode == 0, error
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


@pytest.mark.parametrize("count, devices", [(1, 8), (2, 4)])
def test_an_oracle_finds_everything_on_eight_devices(count, devices):
    found = run_oracle(count, devices)
    captions = sum(1 + n % 3 for n in range(37))
    for one in found:
        assert one["devices"] == 8
        assert one["text"] == {"worst": [1, 1], "queries": captions}
        assert one["video"] == {"worst": [1, 1], "queries": 37}
        assert one["lengths"] == len(CAPTION_BUCKETS)
    # Every video is decoded once, by one of the processes, which alone keeps its features.
    assert [n for one in found for n in one["decoded"]] == list(range(37))
    sizes = [one["own"] for one in found]
    assert max(sizes) < 1.1 * sum(sizes) / count
    assert count == 1 or all(0 < one["piece"] <= one["most"] for one in found)


def test_a_process_without_a_video_looks_on():
    for one in run_oracle(2, 1, videos=1):
        assert one["text"] == {"worst": [1, 1], "queries": 1}
        assert one["video"] == {"worst": [1, 1], "queries": 1}


def test_the_shells_own_arguments_may_change_settings(tmp_path, monkeypatch, capsys):
    """As `python -m animclip_jax.evaluate` has it; the change is one of a wrong type."""
    run_config.claim(tmp_path / "run", settings.plain(quickstart.get_config()))
    given = [f"--workdir={tmp_path / 'run'}", "--config.seed=many"]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *given])
    with pytest.raises(SystemExit):
        evaluate.main()
    said = capsys.readouterr().err
    assert "--config.seed" in said and "no such flag" not in said
