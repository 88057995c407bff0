"""Parts of one job, for machines that share nothing but a folder: --part=I/N, then --merge=N."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple


class Part(NamedTuple):
    """One of so many parts; `number` from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, name: str) -> bool:
        """Whether a file is this part's, by its name alone: others come and go without effect."""
        digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:8]) % self.of == self.number - 1

    def place(self, out: Path) -> Path:
        """The folder of this part, beside what all parts become."""
        return out.with_name(f"{out.name}.part-{self.number}-of-{self.of}")


def parse(text: str) -> Part:
    """A part, such as "3/8". Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"found {text!r}, wanted I/N, from 1/N to N/N")
    return Part(int(found[1]), int(found[2]))


def all_of(count: int, out: Path) -> list[Part]:
    """All parts, each of which has a folder.

    Raises FileNotFoundError where one is missing, and ValueError where there are others, too.
    """
    wanted = [Part(number, count) for number in range(1, count + 1)]
    places = {part.place(out) for part in wanted}
    for path in sorted(out.parent.glob("*")):
        if path.name.startswith(f"{out.name}.part-") and path not in places:
            raise ValueError(
                f"{path}: not one of {count} parts; remove it, or say by --merge how many there are"
            )
    for part in wanted:
        if not part.place(out).is_dir():
            raise missing(part, out)
    return wanted


def missing(part: Part, out: Path) -> FileNotFoundError:
    """What to raise of a part that is not there, or not finished."""
    return FileNotFoundError(
        f"{part.place(out)}: missing or not finished; run the same command with --part={part}"
    )
