"""Annotation files that are pickles are read without the means to run code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from input_pipeline.video_sets.download import Download


def load(folder: Path, data: bytes) -> Any:
    (folder / "captions.pkl").write_bytes(data)
    return Download(folder).pickle("captions.pkl")


class Evil:
    """Unpickled by `pickle.load`, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


class EvilByBuiltin(Evil):
    def __reduce__(self) -> tuple:
        return eval, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read(protocol: int, tmp_path: Path) -> None:
    value = {"é": [["a", "b"], ("c", None)], "n": [1, 2.5, True, 2**80], "": {}}
    assert load(tmp_path, pickle.dumps(value, protocol)) == value


def test_texts_of_python_2_are_read(tmp_path: Path) -> None:
    # {'vid': ['caf\\xc3\\xa9']}, as Python 2 wrote it with protocol 2.
    data = b"\x80\x02}q\x00U\x03vidq\x01]q\x02U\x05caf\xc3\xa9q\x03as."
    assert load(tmp_path, data) == {"vid": ["café"]}


@pytest.mark.parametrize("evil", [Evil, EvilByBuiltin])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_cannot_run_code(
    tmp_path: Path, evil: Callable[[Path], Evil], protocol: int
) -> None:
    data = pickle.dumps({"vid": [evil(tmp_path / "ran")]}, protocol)
    with pytest.raises(ValueError, match="captions.pkl: .*it asks for .*, which could run code"):
        load(tmp_path, data)
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)
    assert (tmp_path / "ran").exists(), "the test's pickle is harmless"


def test_classes_and_arrays_are_refused(tmp_path: Path) -> None:
    for value in (Path("x"), np.float32(1), {"vid": np.arange(3)}):
        with pytest.raises(ValueError, match="it asks for"):
            load(tmp_path, pickle.dumps(value))


def test_damaged_pickles_are_named(tmp_path: Path) -> None:
    data = pickle.dumps({"vid": ["a caption"] * 5})
    for broken in (data[:-4], b"", b"<html>", b"\x80\x04\x95" + b"\xff" * 8 + data):
        with pytest.raises(ValueError, match="captions.pkl: can't be read"):
            load(tmp_path, broken)
