"""Several processes as one: how they find each other, wait for each other and end together."""

import contextlib
import importlib.util
import itertools
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax

from animclip_jax.cli import signals

# A process that says nothing for so long is given up, and the others end.
HEARTBEAT_SECONDS = 30
# How long processes wait for each other at the start.
SECONDS_TO_COME = 300
# What the first process that fails leaves for the others, and what each of these says that read it.
REASON, HEARD = "animclip/reason", "animclip/heard"
# How long process 0 waits until the others have read it, which may be on a machine that stalls; and
# how long one whose connection broke waits for the reason. Together less than HEARTBEAT_SECONDS.
SECONDS_TO_HEAR, SECONDS_TO_READ = 15, 5
# From what a process says that it has heard to its end.
SECONDS_TO_LEAVE = 1
# How long they wait for the slowest of them, which may decode, compile or write. One that has ended
# is found much earlier, by its silence.
SECONDS_TO_WAIT = 24 * 3600
# Of the times that this process has waited; the same in all of them.
_waits = itertools.count()


class Processes(NamedTuple):
    """How many processes belong together, which of them this is, and who says so."""

    total: int
    number: int
    said_by: str


def initialize(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    *,
    until_a_step_ends: bool = True,
) -> None:
    """Joins the processes of a TPU pod, of SLURM or Open MPI, or those that the arguments name.

    A process that stands alone is left alone; several are announced on stderr before they wait for
    each other. Where not all come, the process ends with a reason and exit code 1.

    Args:
      coordinator: HOST:PORT of process 0. processes: how many. process: which this one is.
      until_a_step_ends: SIGTERM ends several processes after a step that they agree on
        (`training/interruption.py`), and does nothing by itself.

    Raises:
      ValueError: of the three only some are given. OSError: they can't be joined.
    """
    jax.config.update("jax_enable_preemption_service", until_a_step_ends)
    given = [argument is not None for argument in (coordinator, processes, process)]
    if any(given) and not all(given):
        raise ValueError("--coordinator, --processes and --process: give all three, or none")
    if processes is not None and process is not None:
        named = Processes(processes, process, f"--processes, at {coordinator}")
        _join(named, coordinator, processes, process)
    elif found := _launched():
        # Which one, and where the others are, JAX reads from the same variables.
        _join(found, None, found.total, None)
    elif _on_a_tpu():
        _join(None, None, None, None)


def _launched() -> Processes | None:
    """Those of SLURM's step, or of Open MPI; None where this process stands alone."""
    if step := _several("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"):
        return step
    if job := _several("SLURM_NTASKS", "SLURM_PROCID"):
        # The shell of an interactive job and a batch script are one process of it.
        print(
            f"animclip: SLURM_NTASKS is {job.total}, but this command runs once: it runs alone. "
            "Use srun to start one process for each task",
            file=sys.stderr,
            flush=True,
        )
    return _several("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")


def _several(count: str, number: str) -> Processes | None:
    found = [os.environ.get(name, "") for name in (count, number)]
    size, rank = (int(text) if text.isdecimal() else 0 for text in found)
    return Processes(size, rank, count) if size > 1 else None


def _on_a_tpu() -> bool:
    """Whether this may be one of a pod's hosts; JAX asks the metadata server."""
    has_tpu = Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()
    wanted = os.environ.get("JAX_PLATFORMS", "tpu")
    return has_tpu and "tpu" in wanted and importlib.util.find_spec("libtpu") is not None


def _join(
    known: Processes | None, coordinator: str | None, processes: int | None, process: int | None
) -> None:
    who = "this process"
    if known is not None:
        who = f"process {known.number} of {known.total} ({known.said_by})"
        print(f"animclip: {who} waits for the others", file=sys.stderr, flush=True)
    failed: list[Exception] = []

    def connect() -> None:
        try:
            jax.distributed.initialize(
                coordinator,
                processes,
                process,
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
                initialization_timeout=10 * SECONDS_TO_COME,
            )
        except Exception as error:
            failed.append(error)

    # JAX waits where no signal reaches Python, and aborts the process when it has waited enough.
    waiting = threading.Thread(target=connect, daemon=True)
    try:
        waiting.start()
        waiting.join(SECONDS_TO_COME)
    except KeyboardInterrupt as stop:
        _end(f"{who}: {signals.reason(stop)}", 0 if isinstance(stop, signals.Terminated) else 130)
    if waiting.is_alive():
        _end(
            f"{who}: not all of the others joined within {SECONDS_TO_COME} seconds. Start the same "
            "command in each of them (under SLURM with srun, not in the shell of srun --pty), and "
            "check whether one has ended with an error, or can't reach the host of process 0"
        )
    if failed:
        raise OSError(f"{who} can't join the others: {failed[0]}") from failed[0]


def wait(name: str) -> None:
    """Goes on when all processes have come here, in the same order; at once where there is one.

    XLA gives a collective of a CPU's processes 30 seconds until the last one joins, too few where
    one still decodes, compiles or writes: whoever has such a one ahead waits here first.

    Args:
      name: for what, in the error.

    Raises:
      jax.errors.JaxRuntimeError: one of them has ended.
    """
    if jax.process_count() == 1:
        return
    failed: list[Exception] = []

    def arrive() -> None:
        try:
            _joined().client.wait_at_barrier(
                f"animclip/{next(_waits)}/{name}", 1000 * SECONDS_TO_WAIT
            )
        except Exception as error:
            failed.append(error)

    # The service waits where no signal reaches Python.
    waiting = threading.Thread(target=arrive, daemon=True)
    waiting.start()
    waiting.join()
    if failed:
        raise failed[0]


def _joined() -> Any:
    # JAX has no public way to its key-value store and barriers; no client where a process is alone.
    # jax.process_index() would start the devices, where all processes wait for each other.
    from jax._src.distributed import global_state

    return global_state


@contextlib.contextmanager
def ending_together(after_sigterm: int = 0) -> Iterator[None]:
    """Within it, an error of one process ends all of them, each with that error's text.

    The others may be waiting for the one that failed in the middle of a step, where no exception
    reaches them: they end without unwinding, with exit code 1. So does the one that failed, because
    leaving the run in order means waiting for the others. Process 0 ends last: JAX aborts the
    others as soon as it is gone.

    Args:
      after_sigterm: the exit code of one that SIGTERM ended.
    """
    client, done, ending = _joined().client, threading.Event(), threading.Lock()
    if client is None:
        yield
        return

    def watch() -> None:
        while not done.is_set():
            with contextlib.suppress(jax.errors.JaxRuntimeError):
                reason = client.blocking_key_value_get(REASON, 1000)
                with ending:
                    if not done.is_set():
                        _leave(reason)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except BaseException as error:
        # That of a broken connection is a consequence: whoever broke it says more.
        if isinstance(error, jax.errors.JaxRuntimeError):
            time.sleep(SECONDS_TO_READ)
        text = f"process {_joined().process_id}: {_text(error)}"
        stopped = isinstance(error, KeyboardInterrupt)
        code = after_sigterm if isinstance(error, signals.Terminated) else 130
        with ending:
            done.set()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            client.key_value_set(REASON, text)
        _leave(text, code if stopped else 1)
    finally:
        done.set()
        watcher.join()


def _leave(reason: str, code: int = 1) -> NoReturn:
    """Says why, and ends; process 0 not before the others have heard the reason."""
    print(f"animclip: {reason}", file=sys.stderr, flush=True)
    joined = _joined()
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        joined.client.key_value_set(f"{HEARD}/{joined.process_id}", "")
    if joined.process_id == 0:
        end = time.monotonic() + SECONDS_TO_HEAR
        for other in range(1, joined.num_processes):
            left = max(0, int(1000 * (end - time.monotonic())))
            with contextlib.suppress(jax.errors.JaxRuntimeError):
                joined.client.blocking_key_value_get(f"{HEARD}/{other}", left)
        time.sleep(SECONDS_TO_LEAVE)
    os._exit(code)


def _text(error: BaseException) -> str:
    """What was wrong, in a line where that says it all."""
    if isinstance(error, KeyboardInterrupt):
        return signals.reason(error)
    if isinstance(error, OSError | ValueError):
        return str(error)
    return "".join(traceback.format_exception(error))


def _end(reason: str, code: int = 1) -> NoReturn:
    print(f"animclip: {reason}", file=sys.stderr, flush=True)
    os._exit(code)
