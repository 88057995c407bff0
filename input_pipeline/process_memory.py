"""How the C library keeps memory that is freed and soon asked for again, as that of batches is."""

import ctypes
import platform

# glibc gives larger blocks back to the system at once, and a new one costs as much as filling it.
LARGEST_KEPT = 32 << 20

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER = (1 << 31) - 1


def keep_what_is_freed() -> None:
    """Tells glibc to keep all that this process frees; other C libraries go on as they do."""
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
