"""Two real processes as one: they train and evaluate as one does, stop as one, fail as one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animclip_jax import distributed, evaluate, train
from animclip_jax.evaluation import comparison, results
from input_pipeline.drawn import cache
from tests import processes
from tests.a_run import SHRUNK, assert_same_losses, losses
from tests.input_pipeline.fake_gcs import fake_gcs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flags(tmp_path_factory) -> list[str]:
    cache = f"--config.data.cache_dir={tmp_path_factory.mktemp('cache')}"
    # Each of four devices encodes so many at once, which share two cores.
    return [*SHRUNK, cache, "--config.evaluation.batch_size=4"]


@pytest.fixture(scope="module")
def straight(flags, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "straight"
    assert train.main([*flags, f"--workdir={workdir}"]) == 0
    return workdir


def start(flags: list[str], workdir: Path, fail: bool = False) -> list[subprocess.Popen]:
    """Both processes, of four devices each; with `fail`, the second's third batch is an error."""
    train = [sys.executable, "-m", "animclip_jax.train"]
    failing = processes.program("failing_train")
    given = [*flags, f"--workdir={workdir}"]
    programs = [[*train, *given], [*(failing if fail else train), *given]]
    return together(programs, 4, FAILED=f"{workdir}.failed")


def together(programs: list[list[str]], devices: int, **more: str) -> list[subprocess.Popen]:
    """Command lines as processes of so many devices that find each other. more: environment."""
    coordinator = f"--coordinator=localhost:{processes.free_port()}"
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = processes.environment(XLA_FLAGS=flags, **more)
    return [
        processes.started(
            [*command, coordinator, f"--processes={len(programs)}", f"--process={number}"],
            env=environment,
            **pipes,
        )
        for number, command in enumerate(programs)
    ]


def wait(started: list[subprocess.Popen], seconds: float) -> list[tuple[int, str]]:
    """Exit codes, and what was said."""
    try:
        ended = [(process.communicate(timeout=seconds)[1], process) for process in started]
        return [(process.returncode, said) for said, process in ended]
    finally:
        for process in started:
            process.kill()


def test_stopped_together_and_gone_on_with_by_one(flags, straight, tmp_path):
    """SIGTERM to one of two processes; the rest on another mesh, by a single one."""
    several = [*flags, "--config.mesh.fsdp=4"]
    started = start([*several, "--config.steps=1000000"], tmp_path / "endless")
    try:
        until(lambda: bool(losses(tmp_path / "endless")), started)
        started[1].send_signal(signal.SIGTERM)
        ended = wait(started, 120)
    finally:
        for process in started:
            process.kill()
    assert [code for code, _ in ended] == [0, 0], ended
    assert "SIGTERM: stopped after step" in ended[0][1]
    assert not (tmp_path / "endless" / "finished").exists()
    run = tmp_path / "run"
    validating = ["--config.validation.source=drawn:val:6", "--config.validation.every=4"]
    # Split over fsdp, products round otherwise, and the coarse scores of siblings in motion tie.
    ended = wait(start([*flags, *validating], run), 600)
    assert [code for code, _ in ended] == [0, 0], ended
    assert ended[0][1].count(" on drawn:val:6, the best") == 2
    assert "on drawn:val:6" not in ended[1][1]
    assert (run / "finished").exists() and (run / "report.html").exists()
    assert_same_losses(run, straight)
    found = results.read(run / "results.json")
    (run / "results.json").unlink()
    assert train.main([*flags, *validating, f"--workdir={run}"]) == 0
    assert_same_scores(results.read(run / "results.json"), found)


@pytest.mark.parametrize("devices, is_bucket", [(4, False), (1, True)])
def test_two_evaluate_as_one(flags, straight, tmp_path, devices, is_bucket):
    """Another machine has another cache; the bucket, which a folder plays, they have in common."""
    out, alone = tmp_path / "out", tmp_path / "alone"
    shutil.copytree(straight, run := tmp_path / "run")
    (run / "results.json").unlink()
    where = [f"--workdir={run}", *([] if is_bucket else [f"--out={out}"])]
    command = [*processes.program("evaluating"), *where]
    there = [*command, f"--config.data.cache_dir={tmp_path / 'there'}"]
    bucket = str(run) if is_bucket else ""
    ended = wait(together([command, there], devices, BUCKET=bucket), 600)
    assert [code for code, _ in ended] == [0, 0], ended
    assert not list((tmp_path / "there").rglob("results.json"))  # the first one alone writes
    assert evaluate.main([f"--workdir={straight}", f"--out={alone}"]) == 0
    found = comparison.read((run if is_bucket else out) / "results.json")
    wanted = comparison.read(alone / "results.json")
    assert_same_scores(found.results, wanted.results)
    for name, ranks in wanted.ranks.items():
        np.testing.assert_array_equal(found.ranks[name], ranks, name)
    shown = [one.path.parent / "rankings" / "rankings.json" for one in (found, wanted)]
    assert_close(*(json.loads(path.read_text()) for path in shown))
    assert (found.path.parent / "report.html").exists()


def test_two_evaluate_what_is_in_a_bucket_as_one_does_on_its_disk(flags, straight, tmp_path):
    """Google's, which a server plays: each process reads its share of the videos there."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here, which makes the server's certificate")
    store = cache.prepared("val", 12, flags[-2].partition("=")[2])
    files = {f"bucket/val/{path.name}": path.read_bytes() for path in store.iterdir()}
    out, alone = tmp_path / "out", tmp_path / "alone"
    command = [sys.executable, "-m", "animclip_jax.evaluate", f"--workdir={straight}"]
    command += ["--config.data.eval=folder:gs://bucket/val", f"--out={out}"]
    there = [*command, f"--config.data.cache_dir={tmp_path / 'there'}"]
    with fake_gcs(files, tmp_path) as bucket:
        ended = wait(together([command, there], 1, **bucket), 600)
    assert [code for code, _ in ended] == [0, 0], ended
    here = [f"--config.data.eval=folder:{store}", f"--out={alone}"]
    assert evaluate.main([f"--workdir={straight}", *here]) == 0
    found, wanted = (comparison.read(one / "results.json") for one in (out, alone))
    assert found.results.pop("dataset") != wanted.results.pop("dataset")
    assert_same_scores(found.results, wanted.results)
    for name, ranks in wanted.ranks.items():
        np.testing.assert_array_equal(found.ranks[name], ranks, name)


@pytest.mark.parametrize(
    "fails, said",
    [("video", "process 1: drawn:val:12: 'v7' can't"), ("disk", "process 0: ranks.npz: can't be")],
)
def test_an_evaluation_that_fails_in_one_process_ends_in_both(straight, tmp_path, fails, said):
    command = [*processes.program("evaluating"), f"--workdir={straight}", f"--out={tmp_path}"]
    for code, heard in wait(together([command, command], 1, FAILS=fails), 600):
        assert code == 1, heard
        assert heard.count(said) == 1 and "Traceback" not in heard
    assert not (tmp_path / "results.json").exists()


def assert_same_scores(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Of two results.json: all but seconds is the same, and scores to 1e-6."""
    for one in (found, wanted):
        for name in ("seconds", "git_commit", "config", "config_overrides"):
            del one[name]
        for direction in results.DIRECTIONS:
            for size in one[direction]["k_sweep"]:
                del size["milliseconds"]
    assert_close(found, wanted)


def assert_close(found: Any, wanted: Any) -> None:
    """Of values from JSON."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert_close(found[name], value)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            assert_close(ours, theirs)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    else:
        assert found == wanted


def test_a_process_that_fails_ends_the_other_with_its_reason(flags, tmp_path):
    started = start(flags, tmp_path / "run", fail=True)
    try:
        # Not until the first loss is written: the error may end the other one before it.
        until((tmp_path / "run.failed").exists, started)
    finally:
        ended = wait(started, 240)
    for code, said in ended:
        assert code == 1, said
        assert "process 1: the disk of this machine is gone" in said


@pytest.mark.parametrize("victim", [0, 1])
def test_one_that_vanishes_ends_the_other(flags, tmp_path, victim):
    """The first one holds what the processes find each other by."""
    started = start([*flags, "--config.steps=1000000"], tmp_path / "run")
    try:
        until(lambda: bool(losses(tmp_path / "run")), started)
        started[victim].kill()
    finally:
        ended = wait(started, 240)
    assert ended[victim][0] == -signal.SIGKILL
    assert ended[1 - victim][0] not in (0, -signal.SIGKILL), ended


@pytest.mark.parametrize("failing, stalled", [(0, 2), (2, 1), (1, 0)])
def test_one_that_stalls_still_hears_the_reason(failing, stalled, tmp_path):
    """Its machine is busy with other things; whoever ends in the meantime doesn't abort it."""
    started = three_joined(tmp_path)
    try:
        started[stalled].send_signal(signal.SIGSTOP)
        (tmp_path / f"fail-{failing}").touch()
        time.sleep(distributed.SECONDS_TO_READ + 3)
        started[stalled].send_signal(signal.SIGCONT)
    finally:
        ended = wait(started, 60)
    for code, said in ended:
        assert code == 1, said
        assert said.count(f"process {failing}: the disk of this machine is gone") == 1, said


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_process_that_is_stopped_ends_all_of_them_with_its_own_code(stopped, tmp_path):
    started = three_joined(tmp_path)
    started[stopped].send_signal(signal.SIGTERM)
    for number, (code, said) in enumerate(wait(started, 60)):
        assert code == (143 if number == stopped else 1), said
        assert said.count(f"process {stopped}: stopped by SIGTERM") == 1, said


def three_joined(folder: Path) -> list[subprocess.Popen]:
    """Three of tests/programs/one_that_fails.py that wait for an end."""
    where = f"localhost:{processes.free_port()}"
    numbers = range(3)
    started = [
        processes.started(
            processes.program("one_that_fails", where, 3, number, folder), stderr=subprocess.PIPE
        )
        for number in numbers
    ]
    until(lambda: all((folder / str(number)).exists() for number in numbers), started)
    return started


def until(ready, started: list[subprocess.Popen]) -> None:
    end = time.monotonic() + 240
    while True:
        over = all(process.poll() is not None for process in started)
        try:
            if ready():
                return
        except (OSError, json.JSONDecodeError):
            pass
        if over:
            pytest.fail("\n".join(process.communicate()[1] for process in started))
        assert time.monotonic() < end
        time.sleep(0.02)


def test_all_three_arguments_or_none():
    with pytest.raises(ValueError, match="give all three"):
        distributed.initialize("localhost:1", None, 0)
