"""A disk that is full, without another disk: no file may have more than so many bytes."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def room(most: int) -> Iterator[None]:
    """In the block, and in processes started there, writing beyond `most` bytes of a file fails.

    What writes in C++ or Rust, and what maps files, meets the same error: EFBIG, "File too large".
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
