"""What can't be used: a list of files with the reason, and the share of a source it may be."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NAME = "quarantine.jsonl"
# Beyond this the source itself is wrong, not some of its files.
MAX_SHARE = 0.5


def lines(problems: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """A JSON object for each (file, reason): "file", "reason", "count", how often it is met."""
    counts = Counter(problems)
    return [{"file": f, "reason": why, "count": n} for (f, why), n in counts.items()]


def add(path: Path, problems: Iterable[tuple[str, str]]) -> None:
    """Adds (file, reason) pairs, those that are not there yet; an empty file says all are good."""
    known = read(path) if path.is_file() else set()
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for line in lines(problems):
        if line["file"] not in known:
            text += json.dumps(line, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
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
