"""A damaged index: one error, which names the file; never a traceback, never a wrong answer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animclip_jax import index, search
from animclip_jax.video_index import spoken
from animclip_jax.video_index.catalogue import Video
from animclip_jax.video_index.reader import Index


def array(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda path: np.save(path, change(np.load(path)))


def text(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return spoil


def nan(values: np.ndarray) -> np.ndarray:
    values.flat[3] = np.nan
    return values


def empty(path: Path) -> None:
    path.write_bytes(b"")


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def huge(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"'shape': (8,", b"'shape': (8" + b"0" * 25 + b","))


def objects(path: Path) -> None:
    np.save(path, np.array([{}], object), allow_pickle=True)


def video(**changes: object) -> Callable[[Path], None]:
    """Changes of a video's place: its stamp, shard, first row and number of segments."""

    def change(document: dict) -> dict:
        (stamp, *place) = document["videos"]["red.mp4"]
        names = Video._fields[1:]
        place = [changes.get(name, value) for name, value in zip(names, place, strict=True)]
        document["videos"]["red.mp4"] = [stamp, *place]
        return document

    return text(change)


ARRAYS = ("embedding.npy", "code_values.npy", "code_scales.npy", "times.npy", "thumbnail_ends.npy")
SHARD = "shards/00000000"


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        *((f"{SHARD}/{name}", spoil) for name in ARRAYS for spoil in (empty, short, objects)),
        *((f"{SHARD}/{name}", array(lambda x: x[:0])) for name in ARRAYS),
        *((f"{SHARD}/{name}", array(lambda x: x[:-1])) for name in ARRAYS if "times" not in name),
        *((f"{SHARD}/{name}", array(nan)) for name in ("embedding.npy", "times.npy")),
        (f"{SHARD}/embedding.npy", array(lambda x: x.astype(np.int64))),
        (f"{SHARD}/embedding.npy", array(lambda x: x[..., None])),
        (f"{SHARD}/embedding.npy", huge),
        (f"{SHARD}/thumbnail_ends.npy", array(lambda x: x[::-1])),
        (f"{SHARD}/thumbnails.bin", empty),
        *(("catalogue.json", spoil) for spoil in (empty, short)),
        ("catalogue.json", lambda path: path.write_text('{"format": ' + "[" * 100_000)),
        ("catalogue.json", lambda path: path.write_bytes(b"\xff\xfe{\x00}\x00")),
        ("catalogue.json", text(lambda document: document | {"videos": []})),
        ("catalogue.json", text(lambda document: document | {"root": 3})),
        ("catalogue.json", text(lambda document: document | {"code_dtype": "int3"})),
        ("catalogue.json", video(first=-1)),
        ("catalogue.json", video(first=7, segments=2)),
        ("catalogue.json", video(segments=10**30)),
        ("catalogue.json", video(segments="1")),
        ("catalogue.json", video(shard="../../videos")),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    indexed, search_model_path, tmp_path, capsys, file, spoil
):
    out = tmp_path / "index"
    shutil.copytree(indexed, out)
    spoil(out / file)
    with pytest.raises(ValueError) as raised:
        Index(out)
    said = str(raised.value)
    named = file if "thumbnail" not in file else "thumbnail"
    assert named in said and "\n" not in said and len(said) < 1000, said
    assert said.endswith(f"remove {out} and index again")
    assert "0x7" not in said, "no address of memory"


def test_a_code_that_is_not_finite_is_named_when_it_is_met(indexed, tmp_path):
    out = tmp_path / "index"
    shutil.copytree(indexed, out)
    array(nan)(out / SHARD / "code_scales.npy")
    opened = Index(out)
    with pytest.raises(ValueError, match="code_scales.npy: holds numbers that are not finite"):
        opened.features(np.arange(len(opened)))


@pytest.mark.parametrize("page", range(6))
def test_damage_of_what_is_said_is_named_when_it_is_met(indexed, tmp_path, page):
    out = tmp_path / "index"
    shutil.copytree(indexed, out)
    speak(out, page)
    with pytest.raises(ValueError) as raised:
        opened = Index(out)
        opened.said('"kettle"', 3)
        spoken_there: Any = opened.parts["00000000"].said
        assert [*spoken_there] and [*spoken_there.texts()]
    said = str(raised.value)
    assert said.startswith(f"{out}/{SHARD}/said.sqlite: "), said
    assert said.endswith(f"; remove {out} and index again")


def speak(out: Path, damaged_page: int) -> None:
    """Gives all segments words, and one page of these zeros; of pages 2 and 4 a search knows."""
    data = bytearray(spoken.pack([f"the kettle whistles {n}" for n in range(8)]))
    size = int.from_bytes(data[16:18], "big")
    data[size * damaged_page : size * (damaged_page + 1)] = bytes(size)
    (out / SHARD / "said.sqlite").write_bytes(data)


def test_a_search_tells_of_damage_that_opening_does_not_meet(
    indexed, search_model_path, tmp_path, capsys
):
    out = tmp_path / "index"
    shutil.copytree(indexed, out)
    speak(out, 2)
    assert search.main([str(out), "kettle", "--by=said", f"--model={search_model_path}"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{out}/{SHARD}/said.sqlite: database disk image is" in said


def test_the_commands_tell_of_it_in_a_line(indexed, search_model_path, tmp_path, capsys):
    out = tmp_path / "index"
    shutil.copytree(indexed, out)
    empty(out / SHARD / "embedding.npy")
    videos = str(indexed.parent / "videos")
    for main, arguments in (
        (search.main, [str(out), "a dog", f"--model={search_model_path}"]),
        (index.main, [videos, f"--model={search_model_path}", f"--out={out}"]),
    ):
        assert main(arguments) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"{out}/{SHARD}/embedding.npy: can't be read" in said
