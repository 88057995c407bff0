"""A disk that is full, without another disk: no file may have more than so many bytes."""

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from unittest import mock

# What Python compiles on the way would be cut short, too, and read by whoever comes next.
UNCOMPILED = {"PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def room(most: int) -> Iterator[None]:
    """In the block, and in processes started there, writing beyond `most` bytes of a file fails.

    What writes in C++ or Rust, and what maps files, meets the same error: EFBIG, "File too large".
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (
        mock.patch.object(sys, "dont_write_bytecode", True),
        mock.patch.dict(os.environ, UNCOMPILED),
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
