"""A folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def require_new(directory: Path) -> None:
    """Raises FileExistsError where a folder would be written over."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(f"{directory}: there already; remove it, or choose another folder")
    if not directory.absolute().parent.is_dir():
        raise FileNotFoundError(f"{directory}: there is no folder {directory.absolute().parent}")


@contextlib.contextmanager
def new_folder(directory: Path) -> Iterator[Path]:
    """Gives a hidden folder beside it, which takes its name when the block ends normally.

    All of it is on the disk by then. An exception leaves nothing behind; what a kill leaves is
    removed by the next one who writes there.

    Raises:
      FileExistsError: the folder is there already, or another process is writing it.
    """
    directory = directory.absolute()
    require_new(directory)
    temporary = directory.with_name(f".{directory.name}.partial")
    lock = _claim(temporary)
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, directory)
        _sync(directory.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def _claim(temporary: Path) -> int:
    """Makes the folder anew, and an open descriptor that keeps others from doing so."""
    import fcntl  # Not on Windows.

    while True:
        temporary.mkdir(exist_ok=True)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise FileExistsError(f"{temporary}: another process is writing it") from None
        # Who held it before may have renamed or removed it since it was opened.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(temporary)):
                break
        os.close(descriptor)
    for path in temporary.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return descriptor


def _flush(directory: Path) -> None:
    for path in directory.rglob("*"):
        _sync(path)
    _sync(directory)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
