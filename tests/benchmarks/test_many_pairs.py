"""Tests of benchmarks.many_pairs."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from pathlib import Path

import pytest

from benchmarks import many_pairs


@pytest.mark.long
def test_pairs_that_are_written_fast_are_those_that_indexing_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_pairs, "CHUNK", 100)
    for name in ("compiled", "extended"):
        (tmp_path / name).mkdir()
    wanted = many_pairs.make(tmp_path / "compiled", 250)["columns"]
    made = many_pairs.make(tmp_path / "extended", many_pairs.PICTURES)["columns"]
    assert not many_pairs.same_files(wanted, made)
    many_pairs.extend(made, 250)
    assert many_pairs.same_files(wanted, made)


def grown() -> dict[str, int]:
    """By how much 64 MiB that are written make a process grow."""
    before = many_pairs.memory()
    block = bytearray(64 << 20)
    block[:: 1 << 12] = bytes(len(block) >> 12)
    after = many_pairs.memory()
    return {name: after[name] - before[name] for name in ("private_bytes", "anonymous_bytes")}


def test_memory_is_counted() -> None:
    """In a process of its own: what other tests left in this one may be given back meanwhile."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as alone:
        found = alone.submit(grown).result()
    assert all(60 << 20 < bytes_ < 80 << 20 for bytes_ in found.values()), found
