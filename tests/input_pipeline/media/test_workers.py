"""Tests of input_pipeline.media.workers."""

from __future__ import annotations

import errno
import math
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from input_pipeline.media import workers
from input_pipeline.media.workers import Failure, Limits

LIMITS = Limits(60.0, 1.0)


def act(what: str) -> Any:
    """What a file can do to its decoder."""
    if what == "crash":
        os.abort()
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "disk":
        raise OSError(errno.EIO, "Input/output error", "a.mp4")
    if what == "endless":
        time.sleep(600)
    if what == "bomb":
        return int(np.ones(3 * 2**30, np.uint8)[-1])
    if what == "raise":
        raise ValueError("broken")
    if what == "silent":
        raise KeyError
    return what


def act_and_tell(where: tuple[Path, str]) -> int:
    directory, name = where
    (directory / name).write_text(str(os.getpid()))
    time.sleep(0.2 if name == "short" else 600)
    return 0


def crash_at_once(*_: object) -> None:
    os._exit(3)


def test_each_argument_has_its_result() -> None:
    todo = [f"{n}" for n in range(20)]
    assert sorted(workers.run(act, todo, 3, LIMITS)) == list(enumerate(todo))
    assert list(workers.run(act, [], 3, LIMITS)) == []


@pytest.mark.parametrize("processes", [1, 3])
def test_what_goes_wrong_costs_one_file(processes: int) -> None:
    todo = ["a", "crash", "b", "bomb", "raise", "silent", "c", "crash", "d"]
    results = dict(workers.run(act, todo, processes, LIMITS))
    crash = Failure("the decoder crashed (exit code -6)")
    assert [results[n] for n in range(len(todo))] == [
        "a",
        crash,
        "b",
        Failure("decoding it takes more than 1 GiB of memory"),
        Failure("broken"),
        Failure("KeyError"),
        "c",
        crash,
        "d",
    ]


def test_what_this_machine_does_is_no_fault_of_a_file() -> None:
    results = dict(workers.run(act, ["killed", "disk", "crash"], 1, LIMITS))
    assert [results[n].later for n in range(3)] == [True, True, False]
    assert results[0].reason == "the decoder was killed (exit code -9): out of memory?"
    assert results[1].reason == "can't be read: Input/output error"


def test_an_endless_file_is_given_up() -> None:
    results = dict(workers.run(act, ["a", "endless", "b", "c"], 2, Limits(4.0, 1.0)))
    assert results == {0: "a", 1: Failure("not decoded after 4 seconds"), 2: "b", 3: "c"}


def test_no_process_outlives_the_run(tmp_path: Path) -> None:
    todo = [(tmp_path, "short"), (tmp_path, "long")]
    for number, _ in workers.run(act_and_tell, todo, 2, LIMITS):
        assert number == 0
        while not (tmp_path / "long").exists():
            time.sleep(0.01)
        break  # As an exception of whoever reads the results would.
    for name in ("short", "long"):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / name).read_text()), 0)


def test_workers_that_cannot_start_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_work", crash_at_once)
    with pytest.raises(RuntimeError, match="ended at its start"):
        list(workers.run(act, ["a"], 1, LIMITS))


def act_in(what: str) -> Any:
    return os.getpid(), act(what)


def test_a_caller_keeps_its_process_until_something_fails_in_it() -> None:
    caller = workers.Caller(act_in, LIMITS)
    first, second = caller("a"), caller("b")
    assert first[0] == second[0] and (first[1], second[1]) == ("a", "b")
    assert caller("crash") == Failure("the decoder crashed (exit code -6)")
    assert caller("raise") == Failure("broken")
    third = caller("c")
    assert third[1] == "c" and third[0] != first[0]
    caller.close()
    with pytest.raises(RuntimeError, match="no process starts any more"):
        while caller("d"):
            time.sleep(0.01)  # The process is about to end.


def test_a_caller_that_is_closed_lets_nobody_wait_for_an_endless_file() -> None:
    caller = workers.Caller(act_in, LIMITS)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(caller, "endless")
        while not answer.done() and (caller.worker is None or caller.worker.number is None):
            time.sleep(0.01)
        caller.close()
        assert answer.result(60) == Failure("the decoder crashed (exit code -15)")


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
def test_a_time_that_no_file_could_keep_is_an_error(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"time limit {seconds:g}: wanted more than 0 seconds"):
        Limits(seconds=seconds)
    Limits(seconds=math.inf)


@pytest.mark.parametrize("gibibytes", [0.0, -1.0, math.nan, math.inf])
def test_a_memory_that_no_file_could_keep_is_an_error(gibibytes: float) -> None:
    with pytest.raises(ValueError, match=f"memory limit {gibibytes:g}: wanted more than 0 GiB"):
        Limits(gibibytes=gibibytes)
