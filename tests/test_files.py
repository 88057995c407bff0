"""Files and folders appear whole or not at all, whoever dies; errors name the file."""

import contextlib
import errno
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from animclip_jax import files
from animclip_jax.files import new_folder
from tests import processes
from tests.repository import ROOT


def test_a_writer_that_is_stopped_anywhere_leaves_the_old_file_or_the_new_one(tmp_path):
    """Killed before each line that it runs, and out of room at many sizes of the file."""
    program = ROOT / "tests" / "programs" / "killed_writer.py"
    run = subprocess.run(
        [sys.executable, program, tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout) > 20, "so many times it was stopped"


def note_renaming(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def noted(old: Path, new: Path) -> None:
        done.append("renamed")
        replace(old, new)

    monkeypatch.setattr(os, "replace", noted)


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(os.readlink(f"/proc/self/fd/{fd}")))
    note_renaming(done, monkeypatch)
    files.write_text(tmp_path / "file", "x")
    assert [Path(name).name for name in done] == [f".file.{os.getpid()}", "renamed", tmp_path.name]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_an_error_of_the_disk_names_the_file_and_leaves_it(tmp_path, monkeypatch, number):
    files.write_text(tmp_path / "file", "old")

    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(files.DiskError) as raised:
        files.write_text(tmp_path / "file", "new")
    assert raised.value.errno == number
    assert str(raised.value).startswith(f"{tmp_path}/file: can't be written: {os.strerror(number)}")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value), "as another process tells it"


def test_other_errors_stay_what_they_are(tmp_path):
    (tmp_path / "no").touch()
    with pytest.raises(FileExistsError):
        files.write_text(tmp_path / "no" / "file", "x")
    with pytest.raises(OSError, match="mine") as raised, files.replacing(tmp_path / "file"):
        raise OSError("mine")
    assert not isinstance(raised.value, files.DiskError)
    with pytest.raises(files.DiskError, match="No space left"), files.writing("x", KeyError):
        raise KeyError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b'{"a": 1', "delimiter"),
        (b'{"a": \xff}', "not UTF-8, byte 6 is 0xff"),
        (b'{"a": NaN}', "found NaN, wanted a finite number or null"),
        (b'{"a": -Infinity}', "found -Infinity"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1]", "found list, wanted a JSON object"),
        (b"null", "found NoneType, wanted a JSON object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
    ],
)
def test_a_damaged_json_file_is_named_with_what_is_wrong_and_what_to_do(tmp_path, content, found):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    for read, where in ((files.read_object, f"{path}: "), (files.read_lines, f"{path} line 1: ")):
        if content == b"" and read is files.read_lines:
            assert read(path) == []
            continue
        with pytest.raises(ValueError, match=found) as raised:
            read(path, "copy it again")
        assert str(raised.value).startswith(where)
        assert str(raised.value).endswith("; copy it again")
        assert raised.value.__context__ is None or raised.value.__suppress_context__


@pytest.mark.parametrize("value", ["true", "false", '"1"', "1.5"])
def test_what_is_no_whole_number_is_named(tmp_path, value):
    (tmp_path / "a.json").write_text(f'{{"n": {value}}}')
    with pytest.raises(ValueError, match="as 'n', wanted a whole number"):
        files.read_object(tmp_path / "a.json", fields={"n": int})


def test_a_missing_json_file_is_named(tmp_path):
    for read in (files.read_json, files.read_object, files.read_lines):
        for path in (tmp_path / "a.json", tmp_path):
            with pytest.raises(FileNotFoundError, match=f"{path}: no such file"):
                read(path)


def test_what_is_written_is_read_back(tmp_path):
    lines: list[dict] = [{"a": "ä", "b": None}, {"name": "half of a pair \udcff"}]
    files.write_lines(tmp_path / "lines", lines)
    assert files.read_lines(tmp_path / "lines") == lines
    assert "ä" in (tmp_path / "lines").read_text()
    files.write_json(tmp_path / "object", {"a": [1, 2.5]}, indent=1)
    assert files.read_object(tmp_path / "object") == {"a": [1, 2.5]}
    (tmp_path / "object").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "object").read_bytes())
    assert files.read_json(tmp_path / "object") == {"a": [1, 2.5]}, "with a byte order mark"
    (tmp_path / "numbers").write_text("[Infinity, NaN]")
    assert str(files.read_json(tmp_path / "numbers", finite=False)) == "[inf, nan]"
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "object", {"a": float("nan")})


class Heard(io.StringIO):
    """A stderr that sets an event once somebody is told that a lock is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def write(self, text: str) -> int:
        if "somebody has it" in text:
            self.event.set()
        return len(text)


def test_a_lock_is_for_one_process_and_others_say_so_or_wait(tmp_path):
    path, order, heard = tmp_path / "new" / "lock", [], Heard()

    def wait() -> None:
        with files.locked(path, "somebody has it", wait=True):
            order.append("second")

    with contextlib.redirect_stderr(heard), files.locked(path, "mine"):
        taken = pytest.raises(BlockingIOError, match="somebody has it")
        with taken, files.locked(path, "somebody has it"):
            raise AssertionError
        thread = threading.Thread(target=wait)
        thread.start()
        assert heard.event.wait(timeout=60)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_who_waits_for_a_lock_whose_folder_is_removed_makes_it_anew(tmp_path):
    path, made, heard = tmp_path / "new" / "lock", [], Heard()

    def wait() -> None:
        with files.locked(path, "somebody has it", wait=True):
            made.append(path.exists())

    with contextlib.redirect_stderr(heard), files.locked(path, "mine"):
        thread = threading.Thread(target=wait)
        thread.start()
        assert heard.event.wait(timeout=60)
        # Renamed first: who waits makes the lock anew the moment that its file is gone.
        path.parent.rename(tmp_path / "removed")
        shutil.rmtree(tmp_path / "removed")
    thread.join()
    assert made == [True]


def test_a_disk_without_locks_is_told_by_the_file(tmp_path, monkeypatch):
    """As NFS is where its lock service does not run."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    told = f"{tmp_path}/lock: can't be written: No locks available; choose a folder on a disk"
    with pytest.raises(files.DiskError, match=told), files.locked(tmp_path / "lock", "taken"):
        raise AssertionError


def test_a_checksum_is_the_usual_one(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert files.checksum(tmp_path / "file").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_neither_jax_nor_tensorflow_nor_numpy_is_imported():
    program = (
        "import sys, json; import animclip_jax; before = set(sys.modules)\n"
        "import animclip_jax.files; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    roots = {name.partition(".")[0] for name in json.loads(run.stdout)}
    assert not roots & {"jax", "tensorflow", "numpy", "etils"}


def test_appears_at_the_end_with_nothing_beside_it(tmp_path):
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "file").write_text("x")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "below" / "file").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_everything_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(os.readlink(f"/proc/self/fd/{fd}")))
    note_renaming(done, monkeypatch)
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "file").write_text("x")
    before = {Path(name).name for name in done[: done.index("renamed")]}
    assert before == {"file", "below", ".a.partial", tmp_path.name}
    assert done[-1] == str(tmp_path), "the name itself"


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), new_folder(tmp_path / "a") as temporary:
        (temporary / "file").write_text("x")
        raise RuntimeError("mine")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "letter").touch()
    with pytest.raises(FileExistsError, match="there already"), new_folder(tmp_path / "a"):
        raise AssertionError
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "letter"]


def test_folders_above_it_are_made(tmp_path):
    with new_folder(tmp_path / "no" / "such" / "a") as temporary:
        (temporary / "file").touch()
    assert [path.name for path in (tmp_path / "no").rglob("*")] == ["such", "a", "file"]


def test_only_one_writes(tmp_path):
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "file").touch()
        with pytest.raises(FileExistsError, match="another process"), new_folder(tmp_path / "a"):
            raise AssertionError
    assert (tmp_path / "a" / "file").exists()


def test_what_a_kill_leaves_is_removed_by_the_next(tmp_path):
    command = processes.program("sleeping_writer", tmp_path / "a")
    with processes.started(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        with pytest.raises(FileExistsError, match="another process"), new_folder(tmp_path / "a"):
            raise AssertionError
        writer.send_signal(signal.SIGKILL)
    assert {path.name for path in tmp_path.iterdir()} == {".a.partial", ".a.lock"}
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "file"]


def test_no_line_holds_a_number_that_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    files.write_lines(path, [{"n": 1.5}])
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            files.write_lines(path, [{"n": wrong}])
    assert files.read_lines(path) == [{"n": 1.5}]
