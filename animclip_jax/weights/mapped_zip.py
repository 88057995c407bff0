"""Entries of a zip archive that are stored as they are, as views of the file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

# Bytes that are checked at once; where an entry's header says how long its name is.
_CHUNK, _LENGTHS = 1 << 20, 26


def view(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """The bytes of an entry that is not compressed, uint8 [entry.file_size]; takes no memory.

    Raises BadZipFile where they are not as they were written.
    """
    with archive.open(entry) as member:  # Its end raises an error where the checksum is another.
        while member.read(_CHUNK):
            pass
    with path.open("rb") as file:
        # Behind the entry's own header, whose name and extra field may be longer than the index's.
        file.seek(entry.header_offset + _LENGTHS)
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    begin = entry.header_offset + _LENGTHS + 4 + name + extra
    return np.asarray(np.memmap(path, np.uint8, "r", begin, (entry.file_size,)))
