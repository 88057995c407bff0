"""A folder appears whole or not at all, whoever dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from animclip_jax.new_folder import new_folder


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
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("renamed"), replace(a, b)))
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "file").write_text("x")
    before = {Path(name).name for name in done[: done.index("renamed")]}
    assert before == {"file", "below", ".a.partial"}
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
    with pytest.raises(FileNotFoundError, match="no folder"), new_folder(tmp_path / "no" / "a"):
        raise AssertionError
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "letter"]


def test_only_one_writes(tmp_path):
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "file").touch()
        with pytest.raises(FileExistsError, match="another process"), new_folder(tmp_path / "a"):
            raise AssertionError
    assert (tmp_path / "a" / "file").exists()


WRITER = """
import sys, time
from pathlib import Path
from animclip_jax.new_folder import new_folder
with new_folder(Path(sys.argv[1])) as temporary:
    (temporary / "half").mkdir()
    (temporary / "half" / "file").write_text("x")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_kill_leaves_is_removed_by_the_next(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        with pytest.raises(FileExistsError, match="another process"), new_folder(tmp_path / "a"):
            raise AssertionError
        writer.send_signal(signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir()] == [".a.partial"]
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "file"]
