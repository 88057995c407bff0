"""Tests of input_pipeline.video_sets.pickles."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from input_pipeline.video_sets.pickles import load_plain


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
def test_plain_values_are_read(protocol: int) -> None:
    value = {"é": [["a", "b"], ("c", None)], "n": [1, 2.5, True, 2**80], "": {}}
    assert load_plain(io.BytesIO(pickle.dumps(value, protocol)), Path("x")) == value


def test_texts_of_python_2_are_read() -> None:
    # {'vid': ['caf\\xc3\\xa9']}, as Python 2 wrote it with protocol 2.
    data = b"\x80\x02}q\x00U\x03vidq\x01]q\x02U\x05caf\xc3\xa9q\x03as."
    assert load_plain(io.BytesIO(data), Path("x")) == {"vid": ["café"]}


@pytest.mark.parametrize("evil", [Evil, EvilByBuiltin])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_cannot_run_code(
    tmp_path: Path, evil: Callable[[Path], Evil], protocol: int
) -> None:
    data = pickle.dumps({"vid": [evil(tmp_path / "ran")]}, protocol)
    with pytest.raises(ValueError, match="captions.pkl: .*it asks for .*, which could run code"):
        load_plain(io.BytesIO(data), Path("captions.pkl"))
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)
    assert (tmp_path / "ran").exists(), "the test's pickle is harmless"


def test_classes_and_arrays_are_refused() -> None:
    for value in (Path("x"), np.float32(1), {"vid": np.arange(3)}):
        with pytest.raises(ValueError, match="it asks for"):
            load_plain(io.BytesIO(pickle.dumps(value)), Path("x"))


def test_damaged_pickles_are_named() -> None:
    data = pickle.dumps({"vid": ["a caption"] * 5})
    for broken in (data[:-4], b"", b"<html>", b"\x80\x04\x95" + b"\xff" * 8 + data):
        with pytest.raises(ValueError, match="captions.pkl: can't be read"):
            load_plain(io.BytesIO(broken), Path("captions.pkl"))
