"""What can't be used: a list of files with the reason, and the share of a source it may be."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from animclip_jax import files
from animclip_jax.words import count, on_a_terminal

NAME = "quarantine.jsonl"
FIELDS = {"file": str, "reason": str}
ADVICE = "remove the folder it is in, to read those files again"
# Beyond this the source itself is wrong, not some of its files.
MAX_SHARE = 0.5
# Reasons in a line of words.
SHOWN = 3


def lines(
    problems: Iterable[tuple[str, str]], fields: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """A JSON object for each (file, reason): "file", "reason", "count", how often it is met.

    "fields" is what else is known of the file, where that is given.
    """
    known = fields or {}
    return [
        {"file": file, "reason": reason, "count": count}
        | ({"fields": known[file]} if known.get(file) else {})
        for (file, reason), count in Counter(problems).items()
    ]


def add(path: Path, problems: Iterable[tuple[str, str]]) -> None:
    """Adds (file, reason) pairs, those that are not there yet; an empty file says all are good."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with files.locked(lock, f"{path}: waiting for the process that writes it", wait=True):
        known = files.read_lines(path, ADVICE, FIELDS) if path.is_file() else []
        there = {line["file"] for line in known}
        new = [line for line in lines(problems) if line["file"] not in there]
        files.write_lines(path, [*known, *new])


def read(path: Path) -> dict[str, str]:
    """The files that are quarantined, each with the reason."""
    return {line["file"]: line["reason"] for line in files.read_lines(path, ADVICE, FIELDS)}


def check_share(
    source: str, bad: Mapping[str, str], total: int, most: float, unit: str = "file"
) -> None:
    """Raises ValueError, with one of the reasons, where more than that share can't be used."""
    if len(bad) > most * total:
        file, reason = next(iter(bad.items()))
        raise ValueError(
            f"{source}: {len(bad):,} of {count(total, unit)} can't be used, wanted {most:.0%} at "
            f"most; such as {on_a_terminal(f'{file}: {reason}')}"
        )


def report(name: str, bad: Mapping[str, str], total: int, path: Path, advice: str) -> None:
    """Prints how many of a source's files can't be used, where there are any, why, and what to do.

    Args:
      bad: the reason of each; the first SHOWN that differ are printed.

    Raises ValueError where that is over MAX_SHARE of them.
    """
    if not bad:
        return
    reasons: dict[str, str] = {}
    for file, reason in bad.items():
        reasons.setdefault(reason, file)
    some = list(reasons.items())[:SHOWN]
    shown = on_a_terminal("; ".join(f"{file}: {reason}" for reason, file in some))
    message = (
        f"{name}: {len(bad):,} of {count(total, 'file')} can't be used, such as {shown}; "
        f"all are listed in {path}; {advice}"
    )
    if len(bad) > MAX_SHARE * total:
        raise ValueError(f"over half of the files are bad: {message}")
    print(message, file=sys.stderr)
