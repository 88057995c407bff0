"""Tests of input_pipeline.store.partial."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from input_pipeline.store.partial import FRAMES, LOG, Encoded, Partial
from tests import network_drive

STAMP = [10, 20]
A, B = Encoded([b"one", b"two!"], 4, 3), Encoded([b"three"], 8, 6)


def fill(directory: Path) -> None:
    with Partial(directory, {"size": 1}) as partial:
        partial.add("a", STAMP, A)
        partial.add("b", STAMP, B)


def read_in_turn(directory: Path, turns: multiprocessing.Queue) -> None:
    turns.put("there")
    with Partial(directory, {"size": 1}) as partial:
        turns.put(sorted(name for name in ("a", "late") if name in partial))


def test_what_was_added_is_there_when_opened_again(tmp_path: Path) -> None:
    fill(tmp_path / "p")
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        assert partial.read("b") == B and partial.read("a") == A
        assert "a" in partial and "c" not in partial and partial.stamp("b") == STAMP
        # The file has changed since.
        partial.add("a", [10, 21], B)
        assert partial.read("a") == B and partial.stamp("a") == [10, 21]
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        assert partial.read("a") == B


@pytest.mark.parametrize("cut", range(1, 85, 5))
def test_a_log_cut_anywhere_loses_its_last_lines_alone(tmp_path: Path, cut: int) -> None:
    fill(tmp_path / "p")
    log = tmp_path / "p" / LOG
    log.write_bytes(log.read_bytes()[:-cut])
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        assert partial.read("a") == A and "b" not in partial
        partial.add("b", STAMP, B)
        assert partial.read("b") == B
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        assert (partial.read("a"), partial.read("b")) == (A, B)
    assert (tmp_path / "p" / FRAMES).stat().st_size == 12


def test_a_log_that_holds_no_json_is_believed_up_to_there(tmp_path: Path) -> None:
    fill(tmp_path / "p")
    log = tmp_path / "p" / LOG
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0] + b"\0" * 40 + b"\n")
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        assert partial.read("a") == A and "b" not in partial


def test_frames_cut_short_are_not_believed(tmp_path: Path) -> None:
    fill(tmp_path / "p")
    frames = tmp_path / "p" / FRAMES
    frames.write_bytes(frames.read_bytes()[:-1])
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        assert partial.read("a") == A and "b" not in partial


def test_other_settings_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "p")
    with (
        pytest.raises(ValueError, match='begun with {"size": 1}, wanted {"size": 2}'),
        Partial(tmp_path / "p", {"size": 2}),
    ):
        pass
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        assert partial.read("a") == A


def test_nothing_is_left_of_an_empty_or_a_removed_one(tmp_path: Path) -> None:
    with Partial(tmp_path / "p", {}):
        assert (tmp_path / "p").is_dir()
    fill(tmp_path / "q")
    with Partial(tmp_path / "q", {"size": 1}) as partial:
        partial.remove()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_on_a_network_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network_drive.like_nfs(monkeypatch)
    with Partial(tmp_path / "empty", {}):
        pass
    fill(tmp_path / "store")
    with Partial(tmp_path / "store", {"size": 1}) as partial:
        partial.remove()
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    turns = context.Queue()
    with Partial(tmp_path / "p", {"size": 1}) as partial:
        partial.add("a", STAMP, A)
        process = context.Process(target=read_in_turn, args=(tmp_path / "p", turns))
        process.start()
        assert turns.get(timeout=300) == "there"
        process.join(1.0)
        assert process.is_alive() and turns.empty()
        partial.add("late", STAMP, B)
    assert turns.get(timeout=300) == ["a", "late"]
    process.join()
