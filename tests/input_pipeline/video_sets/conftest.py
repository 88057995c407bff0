"""Small downloads, written literally, and the real annotation files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes {name: text or what becomes JSON} into a folder and returns it."""

    def write_all(files: dict[str, Any], folder: str = "download") -> Path:
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                text = content if isinstance(content, str) else json.dumps(content)
                path.write_text(text, encoding="utf-8")
        return tmp_path / folder

    return write_all


@pytest.fixture
def real(shared_data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copies real annotation files of a set, by their names without .gz, into a folder."""

    def copy(kind: str, *names: str) -> Path:
        source, folder = shared_data / "annotations" / kind, tmp_path / "real"
        folder.mkdir()
        for name in names:
            # The merged and the derived file are in the layout of the file without that word.
            plain = name.replace(".merged", "").replace(".derived", "")
            shutil.copyfile(source / f"{name}.gz", folder / f"{plain}.gz")
        return folder

    return copy
