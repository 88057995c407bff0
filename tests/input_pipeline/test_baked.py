"""Tests of input_pipeline.baked."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from animclip_jax.animation.batch import Batch, Filmed, Footage
from animclip_jax.animation.config import MOTIONS, AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline import baked
from input_pipeline.baked import bake, baked_batches, fingerprint
from input_pipeline.examples import BatchConfig

CONFIG = BatchConfig(AnimationConfig(), batch_size=4, seed=0, canvas_size=6, context_length=7)
COUNT = 3


def made(count: int = COUNT) -> Iterator[Batch]:
    random = np.random.default_rng(0)
    for _ in range(count):
        yield Filmed(
            canvas=random.integers(0, 256, (4, 6, 6, 3), np.uint8),
            plan=ShotPlan(*(random.random((4, 5, 4), np.float32) for _ in ShotPlan._fields)),
            tokens=random.integers(0, 99, (4, 7), np.int32),
            index=random.integers(0, 99, 4, np.int32),
            told=random.integers(-1, 2, (4, 7)).astype(np.float32),
        )


def same(ours: Batch, theirs: Batch, rows: slice = slice(None)) -> bool:
    def equal(a: np.ndarray, b: np.ndarray) -> bool:
        return a.dtype == b.dtype and np.array_equal(a, b[rows])

    return all(jax.tree.leaves(jax.tree.map(equal, ours, theirs)))


@pytest.fixture
def source(tmp_path: Path) -> str:
    bake(made(99), tmp_path / "baked", COUNT, CONFIG)
    return f"baked:{tmp_path / 'baked'}"


def read(source: str, steps: int, start_step: int = 0, **process: int) -> list[Batch]:
    batches = baked_batches(source, CONFIG, start_step=start_step, **process)
    return list(itertools.islice(batches, steps))


def test_the_same_batches_come_out(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = list(made())
    assert all(map(same, read(source, COUNT), wanted))
    assert same(read(source, 1, start_step=2)[0], wanted[2])
    assert capsys.readouterr().err == ""
    for n in range(2):
        rows = slice(2 * n, 2 * n + 2)
        parts = read(source, COUNT, process_index=n, process_count=2)
        assert all(same(part, whole, rows) for part, whole in zip(parts, wanted, strict=True))


def test_clips_that_the_host_renders_come_out(tmp_path: Path) -> None:
    host = dataclasses.replace(CONFIG, animation=AnimationConfig(render="host"))
    clips = [
        Footage(np.full((4, 2, 6, 6, 3), n, np.uint8), whole.tokens, whole.index, whole.told)
        for n, whole in enumerate(made())
    ]
    bake(iter(clips), tmp_path / "baked", COUNT, host)
    read_again = baked_batches(f"baked:{tmp_path / 'baked'}", host, start_step=0)
    assert all(map(same, itertools.islice(read_again, COUNT), clips))


def test_processes_share_whole_batches(source: str) -> None:
    with pytest.raises(ValueError, match="batches of 4, wanted a multiple of process_count 3"):
        read(source, 1, process_index=0, process_count=3)


def test_past_the_last_they_come_again(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = list(made())
    assert all(map(same, read(source, 7), (wanted * 3)[:7]))
    assert capsys.readouterr().err.count("is past its 3 batches: they repeat") == 1
    assert same(read(source, 1, start_step=COUNT * 10**6 + 1)[0], wanted[1])


def test_other_settings_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match="baked with batch_size 4, but the run needs 8"):
        baked_batches(source, dataclasses.replace(CONFIG, batch_size=8), start_step=0)
    summary = Path(source.removeprefix("baked:")) / "baked.json"
    found = json.loads(summary.read_text())
    del found["settings"]["seed"]
    summary.write_text(json.dumps(found))
    with pytest.raises(ValueError, match="baked with seed None, but the run needs 0"):
        baked_batches(source, CONFIG, start_step=0)


def test_batches_of_a_version_that_knew_clips_tokens_alone_are_read(source: str) -> None:
    summary = Path(source.removeprefix("baked:")) / "baked.json"
    found = json.loads(summary.read_text())
    for name in ("tokens", "tokenizer"):
        del found["settings"][name]
    summary.write_text(json.dumps(found))
    assert len(read(source, 1)) == 1


def test_batches_of_a_version_that_moved_no_things_are_read(source: str) -> None:
    directory = Path(source.removeprefix("baked:"))
    found = json.loads((directory / "baked.json").read_text())
    for name in ("thing", *MOTIONS, "told"):
        del found["settings"]["animation"][name]
    (directory / "baked.json").write_text(json.dumps(found))
    things = ("plan.home", "plan.fill", "plan.thing_boxes", "plan.thing_shear", "plan.thing_smear")
    with np.load(directory / "00000000.npz") as arrays:
        rest = {name: arrays[name] for name in arrays if name not in (*things, "told")}
    np.savez(directory / "00000000.npz", allow_pickle=False, **rest)
    (batch,) = read(source, 1)
    (wanted,) = made(1)
    assert isinstance(batch, Filmed) and isinstance(wanted, Filmed)
    plan = batch.plan
    assert plan.home.shape == (4, 0) and plan.thing_boxes.shape == (4, 0, 4)
    np.testing.assert_array_equal(plan.boxes, wanted.plan.boxes)
    np.testing.assert_array_equal(batch.told, np.zeros((4, 7), np.float32))
    moving = dataclasses.replace(CONFIG, animation=AnimationConfig("things"))
    with pytest.raises(ValueError, match="baked with animation "):
        baked_batches(source, moving, start_step=0)


def test_batches_of_another_source_are_other_data(tmp_path: Path) -> None:
    """Those of the same ids and captions are the same, whatever their source is called now."""
    made_of = {"a": ("folder:a", "1"), "b": ("folder:b", "2"), "moved": ("folder:a2", "1")}
    found = {}
    for name, (source, digest) in made_of.items():
        bake(made(1), tmp_path / name, 1, CONFIG, source=source, digest=digest)
        found[name] = fingerprint(f"baked:{tmp_path / name}")
        assert baked.made_of(f"baked:{tmp_path / name}") == source
    assert found["a"] == found["moved"] != found["b"]


def test_what_older_batches_were_made_of_is_not_known(source: str) -> None:
    """Their fingerprint is that of their description, byte for byte: runs go on."""
    summary = Path(source.removeprefix("baked:")) / baked.SUMMARY
    assert fingerprint(source) == hashlib.sha256(summary.read_bytes()).hexdigest()
    assert baked.made_of(source) == source
    assert baked.made_of("drawn:train") == "drawn:train"


def test_what_is_not_whole_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no baked batches"):
        baked_batches(f"baked:{tmp_path}", CONFIG, start_step=0)
    with np.load(tmp_path / "baked" / "00000001.npz") as arrays:
        rest = {name: arrays[name] for name in arrays if name not in ("index", "plan.at")}
    np.savez(tmp_path / "baked" / "00000001.npz", allow_pickle=False, **rest)
    with pytest.raises(ValueError, match="00000001.npz: found no index, plan.at: bake it again"):
        read(source, 2)
    (tmp_path / "baked" / "00000001.npz").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(ValueError, match="00000001.npz: can't be read"):
        read(source, 2)
    (tmp_path / "baked" / "00000001.npz").unlink()
    with pytest.raises(FileNotFoundError, match="00000001.npz: missing, of 3"):
        baked_batches(source, CONFIG, start_step=0)
    summary = tmp_path / "baked" / "baked.json"
    whole = summary.read_text()
    summary.write_text(whole[:-9])
    with pytest.raises(ValueError, match="baked.json: not JSON"):
        baked_batches(source, CONFIG, start_step=0)
    summary.write_text(whole)
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"version": 0}))
    with pytest.raises(ValueError, match="version 0, wanted 1"):
        baked_batches(source, CONFIG, start_step=0)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    def breaks() -> Iterator[Batch]:
        yield from made(1)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        bake(breaks(), tmp_path / "baked", COUNT, CONFIG)
    assert list(tmp_path.iterdir()) == []
    bake(made(), tmp_path / "baked", COUNT, CONFIG)
    with pytest.raises(FileExistsError, match="remove it first"):
        bake(made(), tmp_path / "baked", COUNT, CONFIG)
