"""An index as files of Parquet: documented columns, whole or as before."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from animclip_jax import index
from animclip_jax.engines.engine import EngineError
from animclip_jax.engines.place import Place
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import outgoing
from animclip_jax.video_index.publish import publish
from animclip_jax.video_index.reader import Index
from tests import searchable
from tests.published import change


@pytest.fixture
def home(indexed, tmp_path):
    return searchable.copied(indexed, tmp_path / "home")


def test_columns_are_those_of_the_index_and_changes_carry_over(home, tmp_path, monkeypatch):
    monkeypatch.setattr(outgoing, "BATCH", 3)
    to = Place("parquet", str(tmp_path / "out"))
    before = change(home, red=None)
    assert publish(home, to)[:3] == (4, 0, 0)
    change(home, red=before["red.mp4"], shots=None)
    assert publish(home, to)[:3] == (1, 1, 3)
    files = sorted((tmp_path / "out").glob("*.parquet"))
    states = [path.stat().st_ino for path in files]
    assert publish(home, to)[:3] == (0, 0, 4)
    assert [path.stat().st_ino for path in files] == states and len(files) > 1
    table, index = pq.read_table(tmp_path / "out"), Index(home)
    assert table["key"].to_pylist() == list(range(len(index)))
    assert table["video"].to_pylist() == index.names
    np.testing.assert_array_equal(np.stack([table["start"], table["end"]], axis=1), index.times)
    np.testing.assert_array_equal(np.stack(table["embedding"].to_pylist()), index.embedding)
    assert table["thumbnail"][2].as_py() == index.thumbnail(2)
    about = json.loads((tmp_path / "out" / "_about.json").read_text())
    code: Any = index.features(np.arange(1)).code
    assert list(code.values.shape[1:]) == about["code_shape"]
    assert table["code"][0].as_py() == code.values[0].tobytes() + code.scales[0].tobytes()


def test_another_index_and_another_folder_stay_as_they_are(home, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(EngineError, match="holds something else; choose another folder"):
        publish(home, Place("parquet", str(tmp_path / "mine")))
    to = Place("parquet", str(tmp_path / "out"))
    publish(home, to)
    catalogue = catalogues.read(home)
    catalogue.model = "0" * 64
    catalogues.write(home, catalogue)
    with pytest.raises(EngineError, match="an index with another model"):
        publish(home, to)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("step", ["rename", "second rename", "rmtree"])
def test_an_exchange_that_was_cut_short_is_completed(home, tmp_path, monkeypatch, step):
    to = Place("parquet", str(tmp_path / "out"))
    before = change(home, red=None)
    publish(home, to)
    change(home, red=before["red.mp4"])
    rename, rmtree, renamed = Path.rename, shutil.rmtree, []

    def rename_or_die(path, other):
        renamed.append(path)
        if step == ["rename", "second rename", None][min(len(renamed) - 1, 2)]:
            raise KeyboardInterrupt
        return rename(path, other)

    def half_remove(path, **how):
        full = (Path(path) / "_about.json").exists()
        if step == "rmtree" and full and Path(path).name != ".out.next":
            (Path(path) / "_about.json").unlink()
            raise KeyboardInterrupt
        rmtree(path, **how)

    with monkeypatch.context() as kill, pytest.raises(KeyboardInterrupt):
        kill.setattr(Path, "rename", rename_or_die)
        kill.setattr(shutil, "rmtree", half_remove)
        publish(home, to)
    assert publish(home, to).segments == len(Index(home))
    assert pq.read_table(tmp_path / "out").num_rows == len(Index(home))
    assert publish(home, to)[:3] == (0, 0, 5)
    assert not list(tmp_path.glob(".out*"))


def test_a_link_to_another_disk_stays(home, tmp_path):
    (tmp_path / "disk" / "out").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "out")
    to = Place("parquet", str(tmp_path / "out"))
    assert publish(home, to).added == 5 and publish(home, to).unchanged == 5
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "out" / "_about.json").is_file()


@pytest.mark.parametrize(
    "there, told",
    [
        ("something else", "holds something else; choose another folder"),
        ("another model", "an index with another model"),
        ("another folder", "an index with another root"),
        ("no library", "pyarrow"),
    ],
)
def test_what_cannot_be_published_is_said_before_anything_is_indexed(
    home, tmp_path, search_model_path, monkeypatch, capsys, there, told
):
    out, videos = tmp_path / "out", home.parent / "videos"
    if there == "something else":
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    if there.startswith("another"):
        catalogue = catalogues.read(home)
        if there == "another model":
            catalogue.model = "0" * 64
        else:
            catalogue.root = "/films"
        catalogues.write(home, catalogue)
        publish(home, Place("parquet", str(out)))
    if there == "no library":
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    words = [str(videos), f"--model={search_model_path}", f"--out={tmp_path / 'index'}"]
    assert index.main([*words, f"--to=parquet:{out}"]) == 1
    assert told in capsys.readouterr().err and not (tmp_path / "index").exists()
