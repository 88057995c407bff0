"""Pickled annotation files, read without the means to run code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any


def load_plain(file: IO[bytes], path: Path) -> Any:
    """What a pickle holds, of dicts, lists, tuples, sets, texts, bytes, numbers and None alone.

    Python 2's texts are taken for UTF-8. Raises ValueError for a pickle that names a function or a
    class, which is how one runs code, and for what is no pickle.
    """
    try:
        return _PlainUnpickler(file, encoding="utf-8").load()
    # A damaged pickle can raise nearly anything.
    except Exception as error:
        raise ValueError(f"{path}: can't be read as a pickle of plain values: {error}") from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which could run code")
