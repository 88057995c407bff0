"""Which processes train one run: SLURM's, Open MPI's or none; what is said before they wait."""

import os
import signal
import threading

import jax
import pytest

from animclip_jax import distributed
from animclip_jax.cli import signals

VARIABLES = ("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "OMPI_COMM_WORLD_SIZE")
STEP = {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}


@pytest.fixture(autouse=True)
def joined(monkeypatch):
    """The arguments that JAX was given; nobody is waited for."""
    calls = []
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **_: calls.append(args))
    return calls


def launch(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    distributed.initialize(None, None, None)


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_NTASKS": "4"},  # the shell of salloc
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"},  # a batch script
        # The shell of salloc as a step of its own, which keeps the job's number of tasks.
        {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    ],
)
def test_one_process_of_a_slurm_job_trains_alone_and_says_so(
    variables, joined, capsys, monkeypatch
):
    launch(monkeypatch, variables)
    assert joined == []
    assert "SLURM_NTASKS is 4, but this command runs once" in capsys.readouterr().err


@pytest.mark.parametrize(
    "variables", [{}, {"SLURM_NTASKS": "1"}, STEP | {n: "1" for n in VARIABLES[:2]}]
)
def test_one_task_is_no_news(variables, joined, capsys, monkeypatch):
    launch(monkeypatch, variables)
    assert joined == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("variables", "count", "said"),
    [
        (STEP, 4, "process 2 of 4 (SLURM_STEP_NUM_TASKS) waits for the others"),
        (
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"},
            2,
            "process 1 of 2 (OMPI_COMM_WORLD_SIZE) waits for the others",
        ),
    ],
)
def test_several_are_announced_before_they_wait(
    variables, count, said, joined, capsys, monkeypatch
):
    def wait(*args, **_):
        joined.append((args, capsys.readouterr().err))

    monkeypatch.setattr(jax.distributed, "initialize", wait)
    launch(monkeypatch, variables)
    (((coordinator, processes, _), heard),) = joined
    assert (coordinator, processes) == (None, count) and said in heard


@pytest.fixture
def ended(monkeypatch):
    """A process that ends without unwinding ends this test's command alone."""

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", leave)
    forever = threading.Event()
    yield forever
    forever.set()


def test_others_that_do_not_come_end_it_with_the_reason(ended, capsys, monkeypatch):
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: ended.wait(60))
    monkeypatch.setattr(distributed, "SECONDS_TO_COME", 0.1)
    with pytest.raises(SystemExit) as end:
        launch(monkeypatch, STEP)
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert "process 2 of 4 (SLURM_STEP_NUM_TASKS): not all of the others joined" in said
    assert "srun --pty" in said


@pytest.mark.parametrize(
    ("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 0)]
)
def test_a_signal_ends_the_waiting(number, name, code, ended, capsys, monkeypatch):
    def wait(*_, **__):
        os.kill(os.getpid(), number)
        ended.wait(60)

    @signals.stoppable("animclip x")
    def main(argv=None):
        launch(monkeypatch, STEP)

    monkeypatch.setattr(jax.distributed, "initialize", wait)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    assert f"process 2 of 4 (SLURM_STEP_NUM_TASKS): stopped by {name}" in capsys.readouterr().err


def test_what_jax_says_against_joining_is_one_error(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no way there")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    with pytest.raises(OSError, match=r"process 1 of 2 \(.*\) can't join the others: no way there"):
        distributed.initialize("localhost:1", 2, 1)
