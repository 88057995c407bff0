"""Processes of tests: the programs of tests/programs, and commands where packages are missing."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from tests.repository import ROOT

PROGRAMS = ROOT / "tests" / "programs"
# Of Linux's prctl: who loses its parent becomes a child of this process.
_ADOPT = 36
TENSORFLOW = ("tensorflow", "tensorflow_datasets")


def program(name: str, *arguments: object) -> list[str]:
    """The command line of a program of tests/programs."""
    return [sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)]


def without(missing: tuple[str, ...], module: str, *arguments: object) -> list[str]:
    """The command line of a module, or a program's file, where some packages are not installed."""
    return program("without", ",".join(missing), module, *arguments)


def environment(**more: str) -> dict[str, str]:
    """This process's, with this repository first on the path."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


def run(
    command: list[str], given: str | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end. given: its standard input. more: of its environment."""
    return subprocess.run(
        command, input=given, env=environment(**more), capture_output=True, text=True
    )


def started(command: list[str], **more: Any) -> subprocess.Popen[str]:
    """The process of a command. more: arguments of Popen, beside its environment."""
    return subprocess.Popen(command, **{"env": environment(), "text": True, **more})


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """Kills at its end whatever began in the block, however it ends: no other test meets it.

    On Linux alone, where this process adopts those that their parents left behind.
    """
    if sys.platform != "linux":
        yield
        return
    resource_tracker.ensure_running()  # That of multiprocessing lives as long as this process.
    adopt = ctypes.CDLL(None).prctl
    before = below(os.getpid())
    adopt(_ADOPT, 1, 0, 0, 0)
    try:
        yield
    finally:
        while left := below(os.getpid()) - before:
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            for process in left:
                with contextlib.suppress(ChildProcessError):  # Its parent is not gone yet.
                    os.waitpid(process, 0)
            time.sleep(0.01)
        adopt(_ADOPT, 0, 0, 0, 0)


def below(process: int) -> set[int]:
    """The processes that a process started, those that these started, and so on; of Linux."""
    started: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            started.setdefault(parent, []).append(int(path.name))
    found, todo = set(), [process]
    while todo:
        new = started.get(todo.pop(), [])
        found |= set(new)
        todo += new
    return found


def imported_without_tensorflow(*modules: str) -> dict[str, str]:
    """Why some of the modules can't be imported where there is no TensorFlow."""
    done = run(without(TENSORFLOW, str(PROGRAMS / "imports.py"), *modules))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]
