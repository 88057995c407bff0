"""Files and folders that appear whole or not at all, JSON, and locks; errors name the file.

The only writer of this library. It imports neither JAX nor TensorFlow. A path in a bucket, such as
`epath.Path("gs://BUCKET/FILE")`, may stand wherever a function says so: there a file appears whole
by itself, when it is closed.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import io
import json
import os
import pickle
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from etils import epath

Fields = Mapping[str, type]
NONE: Fields = {}
_KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "a JSON object"}
# An .npz may be larger unpacked than packed: by so many bytes, and so many times.
MOST_UNPACKED, MOST_PACKED = 1 << 28, 100
# What a disk of ours can't do, whatever is written, and what to do about it.
_ROOM = "make room there, then run the same command again"
_DISK = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: "choose a folder that can be written",
    errno.EIO: "check that disk, then run the same command again",
    errno.ENOLCK: "choose a folder on a disk that has locks, as this one has none",
}
# What file systems say that know no fsync of a folder.
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


class DiskError(OSError):
    """A disk that we write to is full, read-only or broken: no file that we read is to blame."""

    def __str__(self) -> str:
        advice = _DISK.get(self.errno or 0, _ROOM)
        return f"{self.filename}: can't be written: {self.strerror}; {advice}"


@contextlib.contextmanager
def writing(path: Path | str, *others: type[Exception]) -> Iterator[None]:
    """Raises errors of the disk in its block as a DiskError that names `path`.

    Args:
      others: exceptions of other libraries, which say in words what the disk said.
    """
    told: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except DiskError:
        raise
    except told as error:
        number = error.errno if isinstance(error, OSError) else _errno_in(str(error))
        if number not in _DISK:
            raise
        raise DiskError(number, os.strerror(number), str(path)) from error


def require_room(folder: Path | epath.Path, needed: int) -> None:
    """Raises DiskError where the disk of a folder has fewer than `needed` bytes left."""
    if (free := shutil.disk_usage(folder).free) < needed:
        said = f"needs {needed / 1e6:.1f} MB and the disk has {free / 1e6:.1f} MB left"
        raise DiskError(errno.ENOSPC, said, str(folder))


def is_remote(path: os.PathLike[str] | str) -> bool:
    """Whether a path is in a bucket, such as gs://BUCKET/FOLDER."""
    return "://" in str(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the name of a hidden file beside `path`, which takes its place when the block ends.

    Folders above it are made. All of it is on the disk by then, so that even after a power cut the
    file is the old or the new one. An exception leaves the old one, and nothing beside it.

    Raises:
      DiskError: the disk is full, read-only or broken.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            # Not in `finally`: after the rename there is no such file.
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync(path.parent)


def write_bytes(path: Path | epath.Path, data: bytes | bytearray) -> None:
    """Writes a file whole or not at all, in a bucket too. Raises DiskError."""
    if is_remote(path):
        path.write_bytes(bytes(data))
        return
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | epath.Path, text: str) -> None:
    """Writes text as UTF-8, whole or not at all, in a bucket too. Raises DiskError."""
    write_bytes(path, text.encode())


def write_json(path: Path | epath.Path, value: Any, indent: int | None = None) -> None:
    """Writes a value as JSON, whole or not at all, in a bucket too.

    Raises:
      ValueError: a number in it is not finite, which JSON can't hold. DiskError: as `replacing`.
    """
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Writes an object a line as JSON, whole or not at all. Raises as `write_json`."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(as_line(line) for line in lines)


def as_line(value: dict[str, Any]) -> bytes:
    """A line of a file of JSON lines, with its end. Raises ValueError for a NaN or an infinity."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # Half of a surrogate pair, such as in the name of a file.
        return json.dumps(value, allow_nan=False).encode() + b"\n"


def read_json(path: Path | epath.Path, advice: str = "", finite: bool = True) -> Any:
    """What a JSON file holds, in a bucket too.

    Args:
      advice: what to do about a file that is damaged. finite: whether Infinity and NaN, which
        Python's json writes, are damage.

    Raises:
      FileNotFoundError: there is no such file. ValueError: it is empty, not UTF-8, not JSON, nested
        too deeply, or holds a number that is not finite; names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return _parse(data, str(path), advice, finite)


def read_object(
    path: Path | epath.Path, advice: str = "", fields: Fields = NONE, finite: bool = True
) -> dict[str, Any]:
    """An object of a JSON file that has `fields`, by name, of those types; the rest as `read_json`.

    Raises as `read_json`, and ValueError where it is no such object.
    """
    return _object(read_json(path, advice, finite), str(path), advice, fields)


def read_lines(
    path: Path | epath.Path, advice: str = "", fields: Fields = NONE
) -> list[dict[str, Any]]:
    """Objects of a file of JSON lines. Raises as `read_object`, with the number of the line."""
    return [*each_line(path, advice, fields)]


def each_line(
    path: Path | epath.Path, advice: str = "", fields: Fields = NONE
) -> Iterator[dict[str, Any]]:
    """Yields what `read_lines` returns, a line at a time, for files that memory does not hold."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{path} line {number}"
            yield _object(_parse(line, where, advice), where, advice, fields)


def as_text(data: bytes, where: object, errors: str = "strict") -> str:
    """The text of a file in UTF-8, without the byte order mark that some editors begin it with.

    Args:
      where: names the file. errors: as `bytes.decode` takes it.

    Raises:
      ValueError: it is UTF-16; or it is not UTF-8, where errors is "strict".
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{where}: is UTF-16, wanted UTF-8: save it again as UTF-8")
    try:
        return data.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        found = f"{data[error.start]:#x}"
        raise ValueError(f"{where}: not UTF-8, byte {error.start} is {found}") from None


def read_arrays(path: Path, advice: str = "") -> dict[str, np.ndarray]:
    """The arrays of a NumPy .npz file by name. Raises as `unpacking`."""
    import numpy as np

    with unpacking(path, advice), np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@contextlib.contextmanager
def unpacking(path: Path, advice: str = "") -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive, such as an .npz; its block reads it.

    Raises:
      FileNotFoundError: there is no such file. ValueError: it is damaged, or far larger unpacked
        than packed; names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    broken = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, SyntaxError)
    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(one.file_size for one in packed.infolist())
            if unpacked > MOST_UNPACKED + MOST_PACKED * path.stat().st_size:
                raise ValueError(f"{unpacked} bytes, unpacked")
            yield packed
    except (*broken, ValueError, OSError, MemoryError) as error:
        raise ValueError(f"{path}: can't be read: {error}{_and(advice)}") from error


class PlainUnpickler(pickle.Unpickler):
    """Reads a pickle of plain values alone: a pickle that names a function or a class can run code.

    Python 2's texts are taken for UTF-8. A subclass says which names it knows, and what each means.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")

    def find_class(self, module: str, name: str) -> Any:
        """What a name of the pickle means; raises UnpicklingError where it means nothing."""
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which could run code")


def require_new(directory: Path) -> None:
    """Raises FileExistsError where a folder would be written over."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(f"{directory}: there already; remove it, or choose another folder")


@contextlib.contextmanager
def new_folder(directory: Path) -> Iterator[Path]:
    """Gives a hidden folder beside it, which takes its name when the block ends normally.

    All of it is on the disk by then. An exception leaves nothing behind; what a kill leaves is
    removed by the next one who writes there. Folders above it are made.

    Raises:
      FileExistsError: the folder is there already, or another process is writing it.
      DiskError: the disk is full, read-only or broken.
    """
    directory = directory.absolute()
    require_new(directory)
    temporary = directory.with_name(f".{directory.name}.partial")
    lock = directory.with_name(f".{directory.name}.lock")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, f"{temporary}: another process is writing it"))
        except BlockingIOError as error:
            raise FileExistsError(str(error)) from None
        # Whoever waits for the lock finds that its file is gone, and makes another one.
        stack.callback(lock.unlink, missing_ok=True)
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        shutil.rmtree(temporary, ignore_errors=True)
        with writing(directory):
            temporary.mkdir()
        try:
            yield temporary
        except DiskError as error:
            error.filename = error.filename.replace(str(temporary), str(directory))
            raise
        require_new(directory)
        with writing(directory):
            sync(temporary)
            os.replace(temporary, directory)
            _sync(directory.parent)


@contextlib.contextmanager
def locked(path: Path, taken: str, wait: bool = False) -> Iterator[None]:
    """Has the lock file `path` for this process alone; its folder is made, and it stays there.

    Args:
      taken: what to say where another process has it. wait: say so on stderr, and wait for it.

    Raises:
      BlockingIOError: another process has it, and it is not waited for. DiskError.
    """
    import filelock

    lock, timeout = filelock.FileLock(path), 0
    while not lock.is_locked:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=timeout)
            except FileNotFoundError:
                continue  # Who had it removed its folder meanwhile.
            except filelock.Timeout:
                if not wait:
                    raise BlockingIOError(taken) from None
                print(taken, file=sys.stderr, flush=True)
                timeout = -1
    try:
        yield
    finally:
        lock.release()


def sync(folder: Path) -> None:
    """Waits until a folder, all in it and its name are on the disk. Raises DiskError."""
    with writing(folder):
        for path in (*folder.rglob("*"), folder, folder.parent):
            _sync(path)


def checksum(path: Path) -> str:
    """A file's SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _errno_in(words: str) -> int | None:
    return next((number for number in _DISK if os.strerror(number) in words), None)


def _parse(data: bytes, where: str, advice: str, finite: bool = True) -> Any:
    def constant(name: str) -> float:
        if not finite:
            return float(name)
        raise ValueError(f"found {name}, wanted a finite number or null")

    try:
        text = as_text(data, where)
    except ValueError as error:
        raise ValueError(f"{error}{_and(advice)}") from None
    try:
        if not data.strip():
            raise ValueError("it is empty")
        return json.loads(text, parse_constant=constant)
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:
        problem = str(error)
    raise ValueError(f"{where}: not JSON: {problem}{_and(advice)}")


def _object(value: Any, where: str, advice: str, fields: Fields) -> dict[str, Any]:
    if not isinstance(value, dict):
        found = type(value).__name__
        raise ValueError(f"{where}: found {found}, wanted a JSON object{_and(advice)}")
    for name, kind in fields.items():
        if not isinstance(value.get(name), kind) or (kind is int and isinstance(value[name], bool)):
            found = f"{value[name]!r:.80}" if name in value else "nothing"
            raise ValueError(
                f"{where}: found {found} as {name!r}, wanted {_KINDS[kind]}{_and(advice)}"
            )
    return value


def _and(advice: str) -> str:
    return f"; {advice}" if advice else ""


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
