"""Two real processes as one run: it trains as one does, stops as one, and fails as one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from animclip_jax import train
from animclip_jax.training import distributed
from tests import processes
from tests.a_run import SHRUNK, assert_same_losses, losses

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flags(tmp_path_factory) -> list[str]:
    return [*SHRUNK, f"--config.data.cache_dir={tmp_path_factory.mktemp('cache')}"]


@pytest.fixture(scope="module")
def straight(flags, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "straight"
    assert train.main([*flags, f"--workdir={workdir}"]) == 0
    return workdir


def start(flags: list[str], workdir: Path, fail: bool = False) -> list[subprocess.Popen]:
    """Both processes, of four devices each; with `fail`, the second's third batch is an error."""
    coordinator = f"--coordinator=localhost:{processes.free_port()}"
    environment = processes.environment(
        XLA_FLAGS=f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4",
        FAILED=f"{workdir}.failed",
    )
    started = []
    for number in range(2):
        train = [sys.executable, "-m", "animclip_jax.train"]
        if fail and number == 1:
            train = processes.program("failing_train")
        several = [coordinator, "--processes=2", f"--process={number}", f"--workdir={workdir}"]
        command = [*train, *flags, *several]
        started.append(
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        )
    return started


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
    ended = wait(start(several, run), 300)
    assert [code for code, _ in ended] == [0, 0], ended
    assert (run / "finished").exists()
    assert_same_losses(run, straight)
    assert train.main([*flags, f"--workdir={run}"]) == 0
    assert (run / "results.json").exists()


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
