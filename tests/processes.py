"""Processes of tests: the programs of tests/programs, and commands where packages are missing."""

import json
import os
import socket
import subprocess
import sys
from typing import Any

from tests.repository import ROOT

PROGRAMS = ROOT / "tests" / "programs"
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
