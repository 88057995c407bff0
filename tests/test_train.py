"""The command itself, on a shrunk copy of the shipped quickstart: end to end, killed, resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from animclip_jax import evaluate, settings, train
from animclip_jax.evaluation import arm, results
from animclip_jax.runs import run_config
from animclip_jax.training import data, loop, watch
from animclip_jax.training.interruption import Interruption
from tests.a_run import SHRUNK, STEPS, assert_same_losses, losses
from tests.input_pipeline.shard_files import encoded


@pytest.fixture(scope="module")
def flags(tmp_path_factory) -> list[str]:
    return [*SHRUNK, f"--config.data.cache_dir={tmp_path_factory.mktemp('cache')}"]


@pytest.fixture(scope="module")
def straight(flags, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "straight"
    assert train.main([*flags, f"--workdir={workdir}"]) == 0
    return workdir


def figures(workdir: Path) -> dict:
    """What the run found, but for how long it took."""
    found = results.read(workdir / "results.json")["text_to_video"]
    for row in found["k_sweep"]:
        row.pop("milliseconds")
    return found


def test_a_run_leaves_results_that_hold_together(straight):
    found = results.read(straight / "results.json")
    assert (found["num_videos"], found["num_queries"], found["rerank_k"]) == (12, 36, 4)
    assert found["config_overrides"]["batch_size"] == 8
    assert found["config"]["model"]["vision"]["layers"] == 1
    for direction in ("text_to_video", "video_to_text"):
        stages = found[direction]
        for k in ("R@1", "R@5", "R@10"):
            assert stages["ceiling"][k] >= max(stages["coarse"][k], stages["reranked"][k])
        assert stages["coarse"]["R@1"] <= stages["coarse"]["R@5"] <= stages["coarse"]["R@10"]
    assert found["chance"]["text_to_video"]["R@1"] == pytest.approx(100 / 12)
    assert list(losses(straight)) == list(range(1, STEPS + 1))
    assert np.isfinite(list(losses(straight).values())).all()


def test_a_run_leaves_pictures_to_look_at(straight):
    samples = json.loads((straight / "samples" / "samples.json").read_text())
    rankings = json.loads((straight / "rankings" / "rankings.json").read_text())
    assert len(samples) == data.NUM_SAMPLES
    assert sum(rankings["counts"].values()) == 36
    named = {item["id"] for query in rankings["queries"] for item in query["reranked"]}
    assert named <= set(rankings["strips"])


def start(flags: list[str], workdir: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "animclip_jax.train", *flags, f"--workdir={workdir}"]
    # Slow enough to be hit in the middle, whatever the machine.
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, -9),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        (signal.SIGTERM, 0),
    ],
)
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(flags, straight, tmp_path, number, code):
    workdir = tmp_path / "run"
    process = start(flags, workdir)
    try:
        wait_until(lambda: stop_here(workdir, number), process)
        process.send_signal(number)
        message = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == code, message
    assert not (workdir / "results.json").exists()
    if number != signal.SIGKILL:
        assert f"{number.name}: stopped after step" in message
    saved = {path.name for path in (workdir / "checkpoints").iterdir() if path.name.isdecimal()}
    assert saved, "no checkpoint was kept"
    assert train.main([*flags, f"--workdir={workdir}"]) == 0
    assert_same_losses(workdir, straight)
    assert figures(straight) == figures(workdir)


def stop_here(workdir: Path, number: signal.Signals) -> bool:
    """A kill waits for the first checkpoint; what may save for itself is stopped before."""
    if number == signal.SIGKILL:
        return (workdir / "checkpoints" / "4").exists()
    return (workdir / "metrics.jsonl").exists() and bool(losses(workdir))


def wait_until(ready, process: subprocess.Popen) -> None:
    end = time.monotonic() + 180
    while not ready():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_run_says_when_it_is_finished_and_how_fast_it_was(straight):
    assert (straight / "finished").read_text() == f"{STEPS} steps\n"
    lines = (straight / "metrics.jsonl").read_text().splitlines()
    for line in map(json.loads, lines):
        assert line["step_seconds"] > 0 and 0 <= line["input_wait"] <= 1
        assert line["clips_per_second"] == pytest.approx(8 / line["step_seconds"])


@pytest.mark.slow  # tests/test_sharding.py compares the gradients of one step
def test_parts_of_a_batch_give_the_same_run(flags, straight, tmp_path):
    assert train.main([*flags, "--config.microbatch=2", f"--workdir={tmp_path / 'parts'}"]) == 0
    assert_same_losses(tmp_path / "parts", straight)


@pytest.mark.slow
def test_a_run_begins_with_anothers_weights_and_keeps_its_best_step(
    flags, straight, tmp_path, capsys
):
    more = ["--config.init_from=" + str(straight), "--config.optimizer.learning_rate=0.0"]
    more += ["--config.validation.every=3", "--config.validation.source=drawn:val:8"]
    more += ["--config.optimizer.average_decay=0.9", "--config.optimizer.frozen=clip/text"]
    run = tmp_path / "more"
    assert train.main([*flags, *more, f"--workdir={run}", "--profile"]) == 0
    said = capsys.readouterr().err
    assert f"init_from={straight}: took" in said and "starts fresh" not in said
    # 4 frames of 17 tokens of 64 numbers and a scale of 2 bytes.
    assert f"re-ranking: {4 * 17 * 66 / 1024:.1f} KiB a video as int8" in said
    assert "GFLOP a pair of 16 caption tokens" in said
    assert "step 3: R@1" in said and "drawn:val:8, the best so far" in said
    # Nothing learns: the first step looked at stays the best, and scores as the other run did.
    found, wanted = results.read(run / "results.json"), results.read(straight / "results.json")
    assert (found["steps"], wanted["steps"]) == (3, STEPS)
    assert figures(run) == figures(straight)
    assert list((run / "profile").rglob("*.xplane.pb"))


def test_a_step_is_not_chosen_on_the_test(flags, tmp_path, capsys):
    wrong = ["--config.validation.every=3", "--config.validation.source=drawn:val:12"]
    assert train.main([*flags, *wrong, f"--workdir={tmp_path / 'x'}"]) == 1
    assert "validation.source is data.eval" in capsys.readouterr().err


def test_other_data_is_refused_unless_told(flags, tmp_path, capsys, monkeypatch):
    run = [*flags, f"--workdir={tmp_path / 'run'}"]
    monkeypatch.setattr(data, "fingerprint", lambda *_: "first")
    assert train.main(run) == 0
    monkeypatch.setattr(data, "fingerprint", lambda *_: "second")
    assert train.main(run) == 1
    assert "began with other items or captions" in capsys.readouterr().err
    assert train.main([*run, "--other-data"]) == 0


def test_a_run_that_is_no_longer_finite_keeps_its_last_good_checkpoint(flags, tmp_path, capsys):
    run = tmp_path / "run"
    wrong = ["--config.optimizer.learning_rate=1e30", "--config.optimizer.warmup_steps=3"]
    more = ["--config.checkpoint.every=1", f"--workdir={run}"]
    assert train.main([*flags, *wrong, *more]) == 1
    said = capsys.readouterr().err
    assert "is not finite: " in said and "loss nan" in said and "Its batch was made of " in said
    bad = int(said.split("step ")[-1].split(" is not finite")[0])
    saved = [int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdecimal()]
    assert max(saved) == bad - 1
    assert len((run / "not_finite.txt").read_text().splitlines()) == 1 + 8


def test_a_sweep_lists_its_runs(flags, tmp_path, capsys):
    listed = [*flags, "--sweep", "--dry-run", f"--workdir={tmp_path / 'sweep'}"]
    assert train.main(listed) == 0
    assert f"{tmp_path / 'sweep' / 'repeat'}: to run: " in capsys.readouterr().out
    assert not (tmp_path / "sweep").exists()
    assert train.main([*flags, "--dry-run", f"--workdir={tmp_path}"]) == 1


def test_another_configuration_in_the_same_folder_is_refused(straight, flags, capsys):
    assert train.main([*flags, "--config.seed=5", f"--workdir={straight}"]) == 1
    assert "seed: there 0, here 5" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sweep_runs_each_arm_once(flags, tmp_path, capsys):
    sweep = [*flags, "--config.steps=2", "--sweep", f"--workdir={tmp_path}"]
    assert train.main(sweep) == 0
    for name, preset in (("animated", "full"), ("repeat", "repeat"), ("still", "still")):
        found = results.read(tmp_path / name / "results.json")
        assert found["config"]["animation"]["preset"] == preset
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/results.json")}
    assert train.main(sweep) == 0
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/results.json")}
    assert len(list(tmp_path.glob("*/report.html"))) == 3
    assert "finished already" in capsys.readouterr().out


def test_an_arm_begins_with_the_weights_of_another(tmp_path, monkeypatch):
    begun = {}

    def fake(config, workdir, overrides, options):
        begun[workdir.name] = config.init_from, overrides.get("init_from")
        workdir.mkdir()
        (workdir / "results.json").touch()
        (workdir / "finished").touch()
        return 0

    monkeypatch.setattr(train, "train", fake)
    sweep = ["--config=configs/experiments/finetune.py", "--sweep", f"--workdir={tmp_path}"]
    assert train.main([*sweep, f"--config.data.cache_dir={tmp_path / 'cache'}"]) == 0
    assert begun["still"] == ("", None)
    assert begun["still+100"] == (str(tmp_path / "still"),) * 2
    assert begun["none+1000"] == ("", None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["data.train=folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["data.eval=folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["evaluation.protocol=msvd"], "protocol msvd: found the source 'drawn:val:12'"),
        (
            ["evaluation.normalization=qb_norm"],
            "qb_norm, and nothing else, needs a bank of training captions",
        ),
        (
            ["validation.every=2", "validation.source=folder:/nowhere/at/all"],
            "/nowhere/at/all",
        ),
        (["init_from=/nowhere/at/all"], "init_from=/nowhere/at/all: found neither"),
        (["loss.hard_negatives=8"], "loss.hard_negatives is 8: wanted 1 to 7"),
        (["animation.preset=fool"], "fool"),
    ],
)
def test_a_typo_is_found_before_the_first_step_and_leaves_no_folder(
    flags, tmp_path, capsys, monkeypatch, wrong, said
):
    monkeypatch.setattr(loop, "run_steps", lambda *_: pytest.fail("the first step was begun"))
    changed = [f"--config.{change}" for change in wrong]
    assert train.main([*flags, *changed, f"--workdir={tmp_path / 'run'}"]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_checkpoint_is_no_run(flags, straight, tmp_path, capsys, monkeypatch):
    class Begun(Exception):
        pass

    def begin(*_):
        raise Begun

    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(straight / "config.json", run)
    monkeypatch.setattr(loop, "run_steps", begin)
    other = [*flags, "--config.seed=5", f"--workdir={run}"]
    with pytest.raises(Begun):
        train.main(other)
    assert settings.of_run(run).seed == 5
    # A best step or results without one are somebody's work.
    shutil.copy(straight / "results.json", run)
    assert train.main([*flags, f"--workdir={run}"]) == 1
    assert "seed: there 5, here 0" in capsys.readouterr().err


def test_nobody_else_trains_or_evaluates_in_a_folder_meanwhile(flags, straight, tmp_path, capsys):
    before = (straight / "results.json").read_bytes()
    with run_config.alone(straight):
        assert train.main([*flags, f"--workdir={straight}"]) == 1
        assert evaluate.main([f"--workdir={straight}"]) == 1
        said = capsys.readouterr().err
        assert said.count("another process is training or evaluating there now") == 2
        assert (straight / "results.json").read_bytes() == before
        assert evaluate.main([f"--workdir={straight}", f"--out={tmp_path / 'out'}"]) == 0
    assert (tmp_path / "out" / "results.json").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_in_the_last_step_or_in_the_evaluation_is_obeyed(
    flags, tmp_path, capsys, monkeypatch, number, code
):
    run = [*flags, "--config.steps=2", f"--workdir={tmp_path / 'run'}"]
    started = watch.Watch.started

    def hit(self, step, *rest):
        started(self, step, *rest)
        if step == 2:
            os.kill(os.getpid(), number)

    # Where several processes train, JAX has to be asked after every step.
    asked, stops_after = [], Interruption.stops_after

    def noted(self, step):
        asked.append(step)
        return stops_after(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(watch.Watch, "started", hit)
        patch.setattr(Interruption, "stops_after", noted)
        assert train.main(run) == code
    assert asked == [0, 1, 2]
    said = capsys.readouterr().err
    assert f"{number.name}: stopped after step 2 of 2, saved in " in said
    assert "The same command evaluates it." in said
    with monkeypatch.context() as patch:
        patch.setattr(arm, "embed", lambda *_: os.kill(os.getpid(), number))
        assert train.main(run) == code
    name = {signal.SIGINT: "Ctrl-C"}.get(number, number.name)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "stopped" in line]
    assert line.startswith(f"animclip train: stopped by {name}; run the same command again")
    assert not (tmp_path / "run" / "finished").exists()
    assert train.main(run) == 0
    assert (tmp_path / "run" / "finished").exists()


def test_a_home_that_cannot_be_written_is_answered_by_the_setting(tmp_path, capsys):
    (tmp_path / "home").touch()
    cache = f"--config.data.cache_dir={tmp_path / 'home' / '.cache'}"
    assert train.main([*SHRUNK, cache, f"--workdir={tmp_path / 'run'}"]) == 1
    said = capsys.readouterr().err
    assert "data.cache_dir is " in said and "can't be written: Not a directory" in said
    assert "--config.data.cache_dir=FOLDER" in said


def test_a_sweep_leaves_other_runs_and_sweeps_alone(flags, straight, tmp_path, capsys):
    sweep = [*flags, "--sweep"]
    assert train.main([*sweep, f"--workdir={straight}"]) == 1
    assert "holds a single run" in capsys.readouterr().err
    other = tmp_path / "other"
    (other / "moving").mkdir(parents=True)
    (other / "sweep.json").write_text('{"main": "moving", "arms": ["moving"]}')
    assert train.main([*sweep, f"--workdir={other}"]) == 1
    assert "holds another sweep, whose arm 'moving'" in capsys.readouterr().err
    assert "animated" not in (other / "sweep.json").read_text()


@pytest.mark.slow
def test_a_folder_that_was_moved_ends_its_run(tmp_path, capsys):
    pictures = tmp_path / "before"
    pictures.mkdir()
    with (pictures / "captions.jsonl").open("w") as listing:
        for number in range(8):
            (pictures / f"{number}.jpg").write_bytes(encoded(number, (80, 60)))
            line = {"image": f"{number}.jpg", "captions": [f"picture {number}"]}
            listing.write(json.dumps(line) + "\n")
    cache = f"--config.data.cache_dir={tmp_path / 'cache'}"
    run = [*SHRUNK, cache, "--config.steps=2", f"--workdir={tmp_path / 'run'}"]
    assert train.main([*run, f"--config.data.train=folder:{pictures}"]) == 0
    shutil.move(pictures, tmp_path / "after")
    assert train.main([*run, f"--config.data.train=folder:{tmp_path / 'after'}"]) == 0
    assert settings.of_run(tmp_path / "run").data.train == f"folder:{tmp_path / 'after'}"
    (tmp_path / "after" / "captions.jsonl").write_text(
        (tmp_path / "after" / "captions.jsonl").read_text().replace("picture 3", "another")
    )
    assert train.main([*run, f"--config.data.train=folder:{tmp_path / 'after'}"]) == 1
    assert "began with other items or captions" in capsys.readouterr().err
