"""A folder as NFS shows it: a file that is removed while this machine has it open stays, hidden."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HIDDEN = ".nfs"


def like_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has this process remove files and folders so."""
    unlink, rmdir, numbers = os.unlink, os.rmdir, itertools.count()

    def removed(path: Any, *, dir_fd: int | None = None) -> None:
        whole = _whole(path, dir_fd)
        if _is_open(whole):
            whole.rename(whole.with_name(f"{HIDDEN}{next(numbers)}"))
        else:
            unlink(path, dir_fd=dir_fd)

    def removed_folder(path: Any, *, dir_fd: int | None = None) -> None:
        for one in _whole(path, dir_fd).glob(f"{HIDDEN}*"):
            if not _is_open(one):
                unlink(one)
        rmdir(path, dir_fd=dir_fd)

    replaced: dict[str, Callable[..., None]] = {"unlink": removed, "rmdir": removed_folder}
    for name, function in replaced.items():
        monkeypatch.setattr(os, name, function)


def _whole(path: Any, folder: int | None) -> Path:
    below = Path(os.fspath(path))
    return below if folder is None else Path(os.readlink(f"/proc/self/fd/{folder}")) / below


def _is_open(path: Path) -> bool:
    there = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return any(os.path.realpath(one) == os.path.realpath(path) for one in there)
