"""What can't be used: a list of files with the reason, and the share of a source it may be."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

NAME = "quarantine.jsonl"
# Beyond this the source itself is wrong, not some of its files.
MAX_SHARE = 0.5


def add(path: Path, problems: Iterable[tuple[str, str]]) -> None:
    """Adds (file, reason) pairs, those that are not there yet; an empty file says all are good.

    A JSON object a line: "file", "reason", "count" (how often the pair is among the problems).
    """
    counts = Counter(problems)
    known = read(path) if path.is_file() else set()
    lines = path.read_text(encoding="utf-8") if path.is_file() else ""
    for (file, reason), count in counts.items():
        if file not in known:
            entry = {"file": file, "reason": reason, "count": count}
            lines += json.dumps(entry, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(lines, encoding="utf-8")
    os.replace(temporary, path)


def read(path: Path) -> set[str]:
    """The files that are quarantined."""
    with path.open(encoding="utf-8") as lines:
        return {json.loads(line)["file"] for line in lines}


def report(name: str, num_bad: int, total: int, path: Path, advice: str) -> None:
    """Prints how many of a source's files can't be used, where there are any, and what to do.

    Raises ValueError where that is over MAX_SHARE of them.
    """
    if not num_bad:
        return
    message = f"{name}: {num_bad} of {total} files can't be used, see {path}; {advice}"
    if num_bad > MAX_SHARE * total:
        raise ValueError(f"over half of the files are bad: {message}")
    print(message, file=sys.stderr)
