"""Compiled programs of a process, each of which is mapped into its memory several times.

Linux allows a process 65,530 mappings; one that compiles where there is none left dies.
"""

import sys
from pathlib import Path

MOST = 10_000


def count() -> int:
    """Mappings of this process; 0 where the system does not list them."""
    maps = Path("/proc/self/maps")
    return maps.read_bytes().count(b"\n") if maps.exists() else 0


def let_programs_go(most: int = MOST) -> None:
    """Lets go of all compiled programs if there are more mappings than that."""
    if "jax" in sys.modules and count() > most:
        sys.modules["jax"].clear_caches()
