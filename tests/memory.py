"""How much memory a process takes at most, from a moment on; on Linux."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak() -> int:
    """The most that this process has held since it began, or since `forget`, in kB."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def forget() -> None:
    """Makes what this process holds now its peak. That of `resource.getrusage` never falls."""
    STATUS.with_name("clear_refs").write_text("5")


@contextlib.contextmanager
def rising_less(kilobytes: int) -> Iterator[None]:
    """Asserts that its block takes less than so much memory more than what was held before."""
    forget()
    before = peak()
    yield
    assert peak() - before < kilobytes
