"""What an installation takes: `python -m benchmarks.installed [--extra train] [--limit MB]`.

Adds up the files of every package that animclip-jax requires, directly or not, as pip recorded
them: in megabytes (10^6 bytes), without the byte-code that Python makes beside them. It measures
the environment that it runs in. Packages that are missing there are named, and count for nothing.
`--package jax --package av` adds up what those two require instead.
"""

from __future__ import annotations

import argparse
import importlib.metadata as metadata
import re
import sys
from collections.abc import Iterable

from packaging.requirements import Requirement

NAME = "animclip-jax"
SHOWN = 12


def closure(names: Iterable[str], extras: Iterable[str] = ()) -> tuple[dict[str, float], set[str]]:
    """All that some packages require, themselves included.

    Args:
      extras: of each of them.

    Returns:
      megabytes of each package by its name, and the names of those that are missing.
    """
    sizes: dict[str, float] = {}
    missing: set[str] = set()
    ahead = [(name, extra) for name in names for extra in ("", *extras)]
    visited = set()
    while ahead:
        if (one := ahead.pop()) in visited:
            continue
        visited.add(one)
        package, extra = one
        try:
            found = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            missing.add(package)
            continue
        sizes.setdefault(package, megabytes(found))
        for line in found.requires or ():
            needs = Requirement(line)
            if needs.marker is None or needs.marker.evaluate({"extra": extra}):
                child = re.sub(r"[-_.]+", "-", needs.name).lower()
                ahead += [(child, ""), *((child, wanted) for wanted in needs.extras)]
    return sizes, missing


def megabytes(found: metadata.Distribution) -> float:
    """The files of a package, without byte-code."""
    files = [file for file in found.files or () if file.suffix != ".pyc"]
    return sum(file.size or 0 for file in files) / 1e6


def main(argv: list[str] | None = None) -> int:
    """Prints the largest packages and the sum; returns 1 if it is over --limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", action="append", help=f"instead of {NAME}; may be repeated")
    parser.add_argument("--extra", action="append", default=[], help="an extra of setup.py")
    parser.add_argument("--limit", type=float, help="the most that all may take, in MB")
    options = parser.parse_args(argv)
    names = options.package or [NAME]
    sizes, missing = closure(names, options.extra)
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    for package, size in largest[:SHOWN]:
        print(f"{size:7.1f} MB  {package} {metadata.version(package)}")
    rest, total = largest[SHOWN:], sum(sizes.values())
    print(f"{sum(size for _, size in rest):7.1f} MB  {len(rest)} other packages")
    extras = f"[{','.join(options.extra)}]" if options.extra else ""
    print(f"{total:7.1f} MB  {', '.join(name + extras for name in names)}")
    if missing:
        print(f"not installed here: {', '.join(sorted(missing))}")
    if options.limit is not None and total > options.limit:
        print(f"wanted {options.limit:g} MB at most", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
