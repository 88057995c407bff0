"""JSON files that hold one object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """An object of a JSON file. Raises FileNotFoundError, or ValueError if it is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: found {type(document).__name__}, wanted an object")
    return document
