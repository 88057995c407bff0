"""Tests of animclip_jax.serving.shelf."""

import errno
import os
import time
from pathlib import Path

import pytest

from animclip_jax.serving.shelf import FullError, Shelf
from tests.room import room

NAMES = [f"{n:064x}.mp4" for n in range(9)]
LONG_AGO = time.time_ns() - 10**12


def let_lie(path: Path, order: int = 0) -> None:
    """As if it was not asked for in a long time."""
    os.utime(path, ns=(LONG_AGO + order, LONG_AGO))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_not_asked_for_longest_goes_first(tmp_path):
    shelf = Shelf(tmp_path / "new", 3000)
    for number in range(3):
        shelf.keep(NAMES[number], b"x" * 1000)
        let_lie(tmp_path / "new" / NAMES[number], number)
    assert shelf.find(NAMES[0]) is not None and shelf.find(NAMES[8]) is None
    shelf.keep(NAMES[3], b"x" * 1500)
    assert names(tmp_path / "new") == [NAMES[0], NAMES[3]]


def test_a_file_that_is_found_is_the_same_for_a_browser_that_holds_a_part_of_it(tmp_path):
    shelf = Shelf(tmp_path, 3000)
    shelf.keep(NAMES[0], b"12345")
    let_lie(tmp_path / NAMES[0])
    found = shelf.find(NAMES[0])
    assert found is not None
    path, before = found
    assert path.read_bytes() == b"12345" and before.st_size == 5
    assert path.stat().st_mtime_ns == before.st_mtime_ns == LONG_AGO
    assert path.stat().st_atime_ns > before.st_atime_ns


def test_what_may_be_under_way_to_a_client_stays_and_the_limit_is_kept(tmp_path):
    shelf = Shelf(tmp_path, 2500)
    shelf.keep(NAMES[0], b"x" * 1000)
    shelf.keep(NAMES[1], b"x" * 1000)
    with pytest.raises(FullError, match="0.0 MiB do not fit into 0.0 MiB: .* 60 seconds"):
        shelf.keep(NAMES[2], b"x" * 1000)
    assert names(tmp_path) == NAMES[:2]
    with pytest.raises(FullError):
        Shelf(tmp_path / "other", 500).keep(NAMES[2], b"x" * 1000)


def test_other_files_of_the_folder_are_never_touched(tmp_path):
    others = ["holiday.mp4", f"{'0' * 63}.mp4", f"{'0' * 64}.mov", f"{'0' * 64}.mp4.bak", "folder"]
    for name in others[:-1]:
        (tmp_path / name).write_bytes(b"x" * 5000)
        let_lie(tmp_path / name)
    (tmp_path / "folder").mkdir()
    Shelf(tmp_path, 1000).keep(NAMES[0], b"x" * 1000)
    assert names(tmp_path) == sorted([*others, NAMES[0]])


def test_what_a_kill_left_counts_and_goes(tmp_path):
    left = tmp_path / f".{NAMES[5]}.123"
    left.write_bytes(b"x" * 900)
    let_lie(left)
    Shelf(tmp_path, 1000).keep(NAMES[0], b"x" * 500)
    assert names(tmp_path) == [NAMES[0]]


def test_a_full_disk_is_told_and_nothing_is_left_by_halves(tmp_path):
    with room(1000), pytest.raises(OSError) as error:
        Shelf(tmp_path, 10**6).keep(NAMES[0], b"x" * 2000)
    assert error.value.errno == errno.EFBIG and names(tmp_path) == []
