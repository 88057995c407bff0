"""Files that may not be opened, though tests may run as root, whom no mode of a file keeps out."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import av
import pytest


def deny(monkeypatch: pytest.MonkeyPatch, refused: Collection[Path]) -> None:
    """Keeps FFmpeg and Path.open of this process from these files, as long as they are in there."""

    def denying(real: Callable[..., Any], error: Callable[..., Exception]) -> Callable[..., Any]:
        def opened(path: Path | str, *rest: Any, **named: Any) -> Any:
            if Path(path) in refused:
                raise error(13, "Permission denied", os.fspath(path))
            return real(path, *rest, **named)

        return opened

    monkeypatch.setattr(av, "open", denying(av.open, av.error.PermissionError))
    monkeypatch.setattr(Path, "open", denying(Path.open, PermissionError))
