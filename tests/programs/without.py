"""`without.py PACKAGE,... PROGRAM ARGUMENT...` runs a program where some packages are missing.

They are not found, as if they had never been installed. PROGRAM is a file or a module's name.
"""

import runpy
import sys
from typing import Any

missing = sys.argv[1].split(",")


class Without:
    """A finder of modules that finds all except those."""

    def __init__(self, finder: Any) -> None:
        self.finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] in missing:
            return None
        return self.finder.find_spec(name, path, target)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
del sys.argv[:2]
if sys.argv[0].endswith(".py"):
    sys.path[0] = "."
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
