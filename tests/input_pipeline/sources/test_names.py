"""Tests of input_pipeline.sources.names, and of the names that indexing gives with it."""

from __future__ import annotations

import gc
import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from animclip_jax import files
from benchmarks.many_pairs import memory
from input_pipeline.sources import shards
from input_pipeline.sources.names import Names
from tests.room import room

NAMES = 400_000
# A set of them would take over 40 MB; of a file, 8 MiB are kept in memory.
MOST_BYTES = 20_000_000


@pytest.mark.long
def test_many_names_take_no_memory(tmp_path: Path) -> None:
    with Names(tmp_path / "names") as names:
        names.add("first")
        gc.collect()
        before = memory()["anonymous_bytes"]
        for number in range(NAMES):
            names.add(f"{number:09d}")
        held = memory()["anonymous_bytes"] - before
        assert "000000000" in names and f"{NAMES - 1:09d}" in names and f"{NAMES:09d}" not in names
    assert held < MOST_BYTES
    assert not [*tmp_path.iterdir()]


def test_names_are_texts_of_any_kind(tmp_path: Path) -> None:
    odd = ["", "ä", "a\0b", "\udc80", "1", "1 ", "x" * 10_000]
    (tmp_path / "names").write_bytes(b"what a kill left")
    with Names(tmp_path / "names") as names:
        for name in odd:
            assert name not in names
            names.add(name)
            names.add(name)
            assert name in names
        names.clear()
        assert not [name for name in odd if name in names]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with (
        Names(tmp_path / "names") as names,
        room(1_000_000),
        pytest.raises(files.DiskError, match=r"names: can't be written: .*; "),
    ):
        for number in range(NAMES):
            names.add(f"{number:040d}")
    assert not [*tmp_path.iterdir()]


def test_many_keys_get_the_names_that_a_set_of_them_would_give(tmp_path: Path) -> None:
    """Keys that come again, in one file and in others, some with nothing that can be used."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    chance = random.Random(0)
    keys = ["0", "1", "2", "0 again", "b 0", "b 0 again", "ä"]
    held: dict[str, list[shards.Found | tuple[str, str]]] = {}
    for file in "abcd":
        some = [shards.Found(chance.choice(keys), ["x"], buffer.getvalue(), 0, 1) for _ in range(9)]
        held[file] = [(one.id, "broken") if chance.random() < 0.4 else one for one in some]

    def read(file: str) -> Iterator[shards.Found | tuple[str, str]]:
        yield from held[file]

    missing: dict[str, str] = {}
    rows = [row.id for row in shards._rows([*held], read, tmp_path, missing)]
    assert (rows, missing) == named_in_memory(held)
    assert len({*rows}) == len(rows) > 10
    assert not {".names", ".used"} & {path.name for path in tmp_path.iterdir()}


def named_in_memory(
    held: dict[str, list[shards.Found | tuple[str, str]]],
) -> tuple[list[str], dict[str, str]]:
    """The names of what can be used, and why the others can't be."""
    rows, missing = [], {}
    names: set[str] = set()
    for file, several in held.items():
        used: dict[str, str] = {}
        for found in several:
            key = found[0]
            name = key if key not in names else f"{file} {key}"
            if key in used:
                name = f"{used[key]} again"
                missing[name] = f"{file}: its file has this name already: the first one counts"
            elif isinstance(found, shards.Found):
                rows.append(name)
                used[key] = name
            else:
                missing[name] = f"{file}: broken"
            names.add(name)
    return rows, missing
