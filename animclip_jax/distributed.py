"""Several processes as one run: how they find each other, and how they end together."""

import contextlib
import importlib.util
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import jax

# A process that says nothing for so long is given up, and the others end.
HEARTBEAT_SECONDS = 30
# What the first process that fails leaves for the others, and how long it waits for them to read.
REASON = "animclip/reason"
SECONDS_TO_READ = 5


def initialize(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Joins the processes of a TPU pod, of SLURM or Open MPI, or those that the arguments name.

    A process that stands alone is left alone.

    Args:
      coordinator: HOST:PORT of process 0. processes: how many. process: which this one is.

    Raises:
      ValueError: of the three only some are given.
    """
    given = [argument is not None for argument in (coordinator, processes, process)]
    if any(given) and not all(given):
        raise ValueError("--coordinator, --processes and --process: give all three, or none")
    if any(given) or _in_a_cluster():
        jax.distributed.initialize(
            coordinator, processes, process, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )


def _in_a_cluster() -> bool:
    sizes = (os.environ.get(name, "1") for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"))
    if any(size.isdecimal() and int(size) > 1 for size in sizes):
        return True
    # A TPU VM may be one of many; JAX asks its metadata server.
    has_tpu = Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()
    wanted = os.environ.get("JAX_PLATFORMS", "tpu")
    return has_tpu and "tpu" in wanted and importlib.util.find_spec("libtpu") is not None


@contextlib.contextmanager
def ending_together() -> Iterator[None]:
    """Within it, an error of one process ends all of them, each with that error's text.

    The others may be waiting for the one that failed in the middle of a step, where no exception
    reaches them: they end without unwinding, with exit code 1. So does the one that failed, because
    leaving the run in order means waiting for the others.
    """
    # JAX has no public way to this key-value store.
    from jax._src.distributed import global_state

    client, done = global_state.client, threading.Event()
    if client is None:
        yield
        return

    def watch() -> None:
        while not done.is_set():
            with contextlib.suppress(jax.errors.JaxRuntimeError):
                _end(client.blocking_key_value_get(REASON, 1000))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except BaseException as error:
        # That of a broken connection is a consequence: whoever broke it says more.
        if isinstance(error, jax.errors.JaxRuntimeError):
            time.sleep(SECONDS_TO_READ)
        expected = isinstance(error, OSError | ValueError)
        text = str(error) if expected else "".join(traceback.format_exception(error))
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            client.key_value_set(REASON, f"process {jax.process_index()}: {text}")
            time.sleep(SECONDS_TO_READ)
        _end(f"process {jax.process_index()}: {text}")
    finally:
        done.set()
        watcher.join()


def _end(reason: str) -> None:
    print(f"animclip: {reason}", file=sys.stderr, flush=True)
    os._exit(1)
