"""Writes a file again and again, and is stopped at every point: killed, or out of room.

`killed_writer.py FOLDER`. Prints how often a writer was stopped; exits 1 when one of them left
anything else than the old file or the new one. It is a program of its own because it forks, which
a process with JAX's threads must not.
"""

import functools
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from animclip_jax import files

OLD, NEW = b"old\n" * 1000, b"the new one\n" * 1000
DONE, FULL = 0, 3


def child(work: Callable[[], None]) -> int:
    """The exit code of a process that does the work; 128 and more is a signal's."""
    if pid := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return 128 - code if code < 0 else code
    try:
        work()
        os._exit(DONE)
    except files.DiskError:
        os._exit(FULL)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)


def killed_at(line: int, work: Callable[[], None]) -> None:
    """Works until that many lines of files.py have run, then ends as by `kill -9`."""
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != files.__file__:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    work()


def out_of_room(most: int, work: Callable[[], None]) -> None:
    """Works where no file may have more than so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    work()


def main(folder: Path) -> int:
    """Stops a writer at every line of it, and at many sizes of the file."""
    path = folder / "file"

    def write() -> None:
        files.write_bytes(path, NEW)

    def check(code: int, stopped: int) -> bool:
        found = path.read_bytes()
        right = found == NEW if code == DONE else found in (OLD, NEW)
        left = [one.name for one in folder.iterdir() if one != path]
        return code in (DONE, stopped) and right and (code != FULL or (found == OLD and not left))

    stops = 0
    for stop, stopped in ((killed_at, 128 + signal.SIGKILL), (out_of_room, FULL)):
        step = 1 if stop is killed_at else 997
        for point in range(0, 10**6, step):
            for left in folder.iterdir():
                left.unlink()
            path.write_bytes(OLD)
            code = child(functools.partial(stop, point, write))
            if not check(code, stopped):
                print(f"{stop.__name__}({point}): code {code}, {list(folder.iterdir())}")
                return 1
            if code == DONE:
                break
            stops += 1
    print(stops)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
