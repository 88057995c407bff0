"""Tests of input_pipeline.store.making: crashes, kills and limits, whatever is prepared."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import workers
from input_pipeline.store import making, records
from input_pipeline.store.making import Effort, Item, Original, Work, prepare_store
from input_pipeline.store.partial import Encoded
from tests.repository import ROOT

EFFORT = Effort()


def encode_or_crash(name: str) -> Encoded:
    if "crash" in name:
        os.abort()
    # Later ones are ready first.
    time.sleep(0.2 / (1 + int("".join(filter(str.isdecimal, name)) or 0)))
    return Encoded([name.encode()], 1, 1)


def named(*names: str, stamp: Any = 1, **more: Any) -> Work:
    items = [Item(name, [f"about {name}"]) for name in names]
    given = {"settings": {"size": 1}} | more
    return Work(
        "test", "thing", items, lambda n: Original(names[n], stamp), encode_or_crash, **given
    )


def bad_files(directory: Path) -> dict[str, str]:
    lines = records.read_lines(directory / "quarantine.jsonl")
    return {line["file"]: line["reason"] for line in lines}


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """What the workers are asked to encode, a list for each run."""
    runs: list[list[Any]] = []
    real = workers.run

    def run(function: Callable, arguments: Iterable[Any], *rest: Any) -> Any:
        taken: list[Any] = []
        runs.append(taken)

        def noted() -> Iterator[Any]:
            for argument in arguments:
                taken.append(argument)
                yield argument

        return real(function, noted(), *rest)

    monkeypatch.setattr(workers, "run", run)
    return runs


def test_a_crash_of_the_decoder_costs_one_file(tmp_path: Path) -> None:
    names = [f"{n}{'crash' if n in (0, 7) else ''}" for n in range(10)]
    summary = prepare_store(named(*names), tmp_path / "store", EFFORT)
    kept = [line["id"] for line in records.read_index(tmp_path / "store")]
    assert kept == [name for name in names if "crash" not in name]
    assert bad_files(tmp_path / "store") == {
        name: "the decoder crashed (exit code -6)" for name in names if "crash" in name
    }
    assert (summary["num_items"], summary["num_quarantined"]) == (8, 2)


def encode_or_die_once(where: tuple[Path, str]) -> Encoded:
    directory, name = where
    try:
        (directory / name).touch(exist_ok=False)
    except FileExistsError:
        return Encoded([name.encode()], 1, 1)
    os.kill(os.getpid(), signal.SIGKILL)  # As a kernel that is out of memory does.
    raise AssertionError


def test_what_this_machine_failed_at_is_tried_once_more(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    work = dataclasses.replace(
        named(*names),
        read=lambda number: Original((tmp_path, names[number]), 1),
        encode=encode_or_die_once,
    )
    summary = prepare_store(work, tmp_path / "store", Effort(max_bad=1.0))
    assert (summary["num_items"], summary["num_quarantined"]) == (3, 0)
    assert [line["id"] for line in records.read_index(tmp_path / "store")] == names


def encode_on_a_failing_disk(name: str) -> Encoded:
    raise OSError(errno.EIO, "Input/output error")


def test_what_fails_twice_is_listed_once(tmp_path: Path, asked: list[list[Any]]) -> None:
    work = dataclasses.replace(named("a", "b"), encode=encode_on_a_failing_disk)
    summary = prepare_store(work, tmp_path / "store", Effort(max_bad=1.0))
    assert asked == [["a", "b"], ["a", "b"]]
    assert summary["num_quarantined"] == 2
    reason = "can't be read: Input/output error"
    assert bad_files(tmp_path / "store") == {"a": reason, "b": reason}


def test_a_stop_keeps_what_is_done_and_the_next_run_goes_on(
    tmp_path: Path, asked: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n}{'crash' if n == 3 else ''}" for n in range(8)]
    prepare_store(named(*names), tmp_path / "straight", EFFORT)

    counted = workers.run

    def stopped(*arguments: Any) -> Any:
        for count, result in enumerate(counted(*arguments)):
            if count == 5:
                raise KeyboardInterrupt
            yield result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(workers, "run", stopped)
        prepare_store(named(*names), tmp_path / "store", EFFORT)
    assert not (tmp_path / "store").exists()
    log = (tmp_path / "store.partial" / "log.jsonl").read_text().splitlines()
    first = [json.loads(line)["id"] for line in log]
    assert len(first) >= 4
    prepare_store(named(*names), tmp_path / "store", EFFORT)
    assert asked[2] == [name for name in names if name not in first]
    assert contents(tmp_path / "store") == contents(tmp_path / "straight")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "straight"]

    assert prepare_store(named(*names), tmp_path / "store", EFFORT)["num_items"] == 7
    assert len(asked) == 3, "what is there is whole"


def test_what_changed_is_encoded_again(tmp_path: Path, asked: list[list[Any]]) -> None:
    """A stamp tells that an original is another one than in the run that was stopped."""
    with pytest.raises(ValueError, match="1 of 2"):
        prepare_store(named("1", "crash"), tmp_path / "store", Effort(max_bad=0.1))
    prepare_store(named("1", "2", stamp=2), tmp_path / "store", EFFORT)
    assert asked[1:] == [["1", "2"]]


def test_what_a_kill_left_beside_a_whole_store_is_removed(
    tmp_path: Path, asked: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(making.Partial, "remove", lambda partial: None)
        prepare_store(named("1", "2"), tmp_path / "store", EFFORT)
    assert (tmp_path / "store.partial").exists()
    assert prepare_store(named("1", "2"), tmp_path / "store", EFFORT)["num_items"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["store"] and len(asked) == 1


def test_a_store_of_other_items_or_settings_is_not_touched(tmp_path: Path) -> None:
    prepare_store(named("1", "2"), tmp_path / "store", EFFORT)
    before = contents(tmp_path / "store")
    with pytest.raises(FileExistsError, match="a store is already there, of test with other"):
        prepare_store(named("1", "3"), tmp_path / "store", EFFORT)
    with pytest.raises(FileExistsError, match="size: found 1, wanted 2"):
        prepare_store(named("1", "2", settings={"size": 2}), tmp_path / "store", EFFORT)
    assert contents(tmp_path / "store") == before
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="already there, and not a store"):
        prepare_store(named("1"), tmp_path / "mine", EFFORT)


def test_too_many_bad_items_stop_the_run_early(tmp_path: Path) -> None:
    names = [f"crash{n}" for n in range(4)] + [str(n) for n in range(16)]
    effort = Effort(processes=1, max_bad=0.1)
    with pytest.raises(ValueError, match="3 of 20 things can't be used, wanted 10% at most") as e:
        prepare_store(named(*names), tmp_path / "store", effort)
    assert str(tmp_path / "store.partial" / "quarantine.jsonl") in str(e.value)
    assert list(bad_files(tmp_path / "store.partial")) == ["crash0", "crash1", "crash2"]
    assert not (tmp_path / "store").exists()
    with pytest.raises(ValueError, match="3 of 20"):
        prepare_store(named(*names), tmp_path / "store", effort)
    assert prepare_store(named(*names), tmp_path / "store", EFFORT)["num_quarantined"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_missing_items_count_as_bad_and_each_split_tells_its_own(tmp_path: Path) -> None:
    missing = {"9": "no file"}
    splits = {"train": {"1": ["a", "b"], "9": ["c"]}, "test": {"2": ["d"]}}
    work = named("1", "2", missing=missing, splits=splits)
    with pytest.raises(ValueError, match="1 of 3 things can't be used.*such as 9: no file"):
        prepare_store(work, tmp_path / "store", Effort(max_bad=0.3))
    summary = prepare_store(work, tmp_path / "store", Effort(max_bad=0.34))
    assert summary["splits"] == {
        "train": {"wanted": 2, "found": 1},
        "test": {"wanted": 1, "found": 1},
    }
    assert bad_files(tmp_path / "store") == missing
    assert records.read_lines(tmp_path / "store" / "splits" / "train.jsonl") == [
        {"id": "1", "captions": ["a", "b"]},
        {"id": "9", "captions": ["c"]},
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_workers_that_cannot_start_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't start")

    monkeypatch.setattr(workers, "run", fail)
    with pytest.raises(RuntimeError, match="can't start"):
        prepare_store(named("1"), tmp_path / "store", EFFORT)
    assert list(tmp_path.iterdir()) == []


def folder_of(directory: Path, kind: str, count: int) -> None:
    directory.mkdir()
    name = {"image": "00.jpg", "video": "00.mp4"}[kind]
    if kind == "image":
        noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
        Image.fromarray(noise).save(directory / name)
    else:
        # Here, since workers import this file.
        from input_pipeline.media.video import write_video

        write_video(directory / name, np.zeros((24, 128, 128, 3), np.uint8), 25)
    with (directory / "captions.jsonl").open("w") as lines:
        for n in range(count):
            file = name.replace("00", f"{n:02}")
            if n:
                os.link(directory / name, directory / file)
            lines.write(json.dumps({kind: file, "captions": [f"{n}"]}) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image", "video"])
def test_kill_9_at_any_moment_loses_only_what_is_in_the_making(tmp_path: Path, kind: str) -> None:
    count = 60 if kind == "image" else 14
    folder_of(tmp_path / "in", kind, count)
    command = [sys.executable, "-m", "animclip_jax.prepare", f"folder:{tmp_path / 'in'}"]
    command += ["--cache-dir", str(tmp_path / "cache")] if kind == "image" else []
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def start(name: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*command, "--out", str(tmp_path / name)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def finish(name: str) -> str:
        told, errors = (process := start(name)).communicate(timeout=600)
        assert process.returncode == 0, errors
        return told

    finish("straight")
    out, log = tmp_path / "store", tmp_path / "store.partial" / "log.jsonl"
    done = 0
    for kill_at in (1, count // 3, count - 2):
        process = start("store")
        while not (log.exists() and log.read_bytes().count(b"\n") >= kill_at):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not out.exists()
        # Nothing that an earlier run did was done again.
        ids = [json.loads(line)["id"] for line in log.read_bytes().splitlines()[:kill_at]]
        assert len(set(ids)) == len(ids) >= done
        done = len(ids)
    told = finish("store")
    assert f"{out}: {count} {'pictures' if kind == 'image' else 'videos'} of folder:" in told
    assert contents(out) == contents(tmp_path / "straight")
    assert not list(tmp_path.glob("*partial*")) and not list(tmp_path.glob(".*"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert finish("store") == told
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
