"""Weights that lie, of every family and layout: one error that names the file, nothing written."""

import copy
import dataclasses
import functools
import json
import operator
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from animclip_jax import convert
from animclip_jax.exporting import open_clip
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import CLIP
from animclip_jax.weights import big_vision, folder, safetensors_file, source
from animclip_jax.weights.architecture import SIGLIP_TOKENIZERS
from tests import vocabularies
from tests.small_model import drawn
from tests.weights import families, shards
from tests.weights.reference import GOLDEN_CLIP

FAMILIES = {name: families.FAMILIES[name] for name in ("pe_core", "siglip")}
FAMILIES |= {"clip": GOLDEN_CLIP, "siglip_2": families.SIGLIP_2}


class Layout(NamedTuple):
    """A way to publish weights: how they are written, and in which files what is told."""

    write: Callable[[Path, ClipConfig], None]
    config: str
    tensors: str
    torch: str = ""


def hugging_face(directory: Path, config: ClipConfig) -> None:
    """In two shards."""
    directory.mkdir()
    folder.write_hugging_face(directory, weights(config), config)
    shards.write(directory, safetensors_file.read(directory / folder.TENSORS))


def published_by_open_clip(directory: Path, config: ClipConfig) -> None:
    """With timm's names, except for CLIP; open_clip itself knows no towers as small as these."""
    directory.mkdir()
    document = families.open_clip_document(config)
    (directory / "open_clip_config.json").write_text(json.dumps(document))
    tensors = open_clip.tensors_of(weights(config), config)
    folder.write_tensors(directory / "open_clip_model.safetensors", tensors)


@functools.cache
def weights(config: ClipConfig) -> dict[str, np.ndarray]:
    return drawn(config)


SHARD = "model-00002-of-00002.safetensors"
LAYOUTS = {
    "hugging_face": Layout(hugging_face, "config.json", SHARD, "pytorch_model.bin"),
    "open_clip": Layout(
        published_by_open_clip,
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.bin",
    ),
    "big_vision": Layout(
        lambda directory, config: big_vision.save(directory, weights(config), config),
        "",
        "model.npz",
        "model.npz",
    ),
    "ours": Layout(
        lambda directory, config: folder.save(directory, weights(config), config),
        "config.json",
        "model.safetensors",
    ),
}
WRITTEN_BY = {"hugging_face": ("clip", "siglip"), "big_vision": ("siglip",)}
KNOWN = [
    (family, layout)
    for family in FAMILIES
    for layout in LAYOUTS
    if family.startswith(WRITTEN_BY.get(layout, ""))
]


@pytest.fixture(autouse=True)
def known_sizes(monkeypatch) -> None:
    for size, kind in ((vocabularies.GEMMA_SIZE, "gemma"), (vocabularies.T5_SIZE, "c4_en")):
        monkeypatch.setitem(SIGLIP_TOKENIZERS, size, kind)


def publish(tmp_path: Path, family: str, layout: str) -> Path:
    """A folder of that layout, with the vocabulary that is of its family."""
    config = FAMILIES[family]
    if family == "siglip":
        (tmp_path / "t5").mkdir()
        config = dataclasses.replace(config, tokenizer=str(vocabularies.t5(tmp_path / "t5")))
    LAYOUTS[layout].write(tmp_path / "there", config)
    if config.tokenizer and not folder_has_vocabulary(tmp_path / "there"):
        name = "spiece.model" if family == "siglip" else "tokenizer.json"
        (tmp_path / "there" / name).write_bytes(Path(config.tokenizer).read_bytes())
    return tmp_path / "there"


def folder_has_vocabulary(directory: Path) -> bool:
    return any((directory / name).is_file() for name in ("tokenizer.model", "tokenizer.json"))


def source_of(directory: Path, layout: str) -> Path:
    """What `animclip convert` is given."""
    return directory / "model.npz" if layout == "big_vision" else directory


def assert_one_error(directory: Path, layout: str, capsys, said: str, *given: str) -> None:
    """It begins with the file's name or path, and leaves all as it was."""
    home = directory.parent
    before = {path: path.stat().st_mtime_ns for path in sorted(home.rglob("*"))}
    out = home / "out"
    assert convert.main([str(source_of(directory, layout)), f"--out={out}", *given]) == 1
    error = capsys.readouterr().err
    assert error.startswith("animclip convert: ") and error.count("animclip convert") == 1
    assert re.search(said, error.split("\n")[0]), error
    assert {path: path.stat().st_mtime_ns for path in sorted(home.rglob("*"))} == before


@pytest.mark.parametrize(("family", "layout"), KNOWN)
def test_they_convert_as_long_as_they_tell_the_truth(tmp_path, family, layout):
    there = publish(tmp_path, family, layout)
    out = tmp_path / "out"
    assert convert.main([str(source_of(there, layout)), f"--out={out}"]) == 0
    params, config = folder.load_clip(out)
    assert config.towers == FAMILIES[family].towers
    assert params.keys() == weights(FAMILIES[family]).keys()


@pytest.mark.parametrize("part", ["text", "vision"])
@pytest.mark.parametrize(("family", "layout"), [one for one in KNOWN if LAYOUTS[one[1]].config])
def test_a_configuration_of_another_size(tmp_path, capsys, family, layout, part):
    there = publish(tmp_path, family, layout)
    path = there / LAYOUTS[layout].config
    document = json.loads(path.read_text())
    change_size(document, layout, part)
    path.write_text(json.dumps(document))
    tensors = LAYOUTS[layout].tensors.replace(SHARD, "model.safetensors.index.json")
    named = "|".join(map(re.escape, (LAYOUTS[layout].config, tensors)))
    assert_one_error(there, layout, capsys, rf"/there/({named}): ")


def change_size(document: dict, layout: str, part: str) -> None:
    """Of the layout's own settings, one layer more."""
    if layout == "ours":
        document["clip"][part]["layers"] += 1
    elif layout == "hugging_face":
        document[f"{part}_config"]["num_hidden_layers"] += 1
    elif part == "text":
        document["model_cfg"]["text_cfg"]["layers"] += 1
    else:
        document["model_cfg"]["embed_dim"] += 16


OF_ALL_TYPES: list[Any] = [0, None, "x", [], {"a": 1}]


@pytest.mark.long
@pytest.mark.parametrize(
    ("family", "layout"),
    [
        *(("clip", "hugging_face"), ("siglip", "hugging_face")),
        *(("clip", "open_clip"), ("siglip", "open_clip"), ("pe_core", "ours")),
    ],
)
def test_a_setting_of_another_type(tmp_path, family, layout):
    """Wherever it stands, it can be read, or an error names the file."""
    there = publish(tmp_path, family, layout)
    say_pixels(there, layout)
    for path in [*there.glob("*config.json")]:
        document = json.loads(path.read_text())
        for place in places(document):
            for value in OF_ALL_TYPES:
                changed = copy.deepcopy(document)
                functools.reduce(operator.getitem, place[:-1], changed)[place[-1]] = value
                path.write_text(json.dumps(changed))
                try:
                    source.deferred(there)
                except (OSError, ValueError) as error:
                    assert str(there) in str(error), (path.name, place, value)
        path.write_text(json.dumps(document))
        source.deferred(there)


def say_pixels(there: Path, layout: str) -> None:
    """What others publish of how pictures are prepared."""
    half = [0.5, 0.5, 0.5]
    if layout == "hugging_face":
        size = {"shortest_edge": 24}
        document = {"size": size, "resample": 3, "image_mean": half, "image_std": half}
        (there / source.PIXELS).write_text(json.dumps(document))
    elif layout == "open_clip":
        path = there / source.OPEN_CLIP_CONFIG
        pixels = {"mean": half, "std": half, "interpolation": "bilinear", "resize_mode": "squash"}
        document = json.loads(path.read_text()) | {"preprocess_cfg": pixels}
        path.write_text(json.dumps(document))


def places(document: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """Keys and indices, from the outermost on, of all that a document holds."""
    inside = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in inside:
        yield *above, key
        if isinstance(value, dict | list):
            yield from places(value, *above, key)


@pytest.mark.parametrize(("family", "layout"), KNOWN)
def test_tensors_that_were_cut_off(tmp_path, capsys, family, layout):
    there = publish(tmp_path, family, layout)
    path = there / LAYOUTS[layout].tensors
    path.write_bytes(path.read_bytes()[:-500])
    assert_one_error(there, layout, capsys, f"/there/{path.name}: ")


@pytest.mark.parametrize(("family", "layout"), KNOWN)
def test_a_vocabulary_of_another_family(tmp_path, capsys, family, layout):
    there = publish(tmp_path, family, layout)
    if FAMILIES[family].towers.tokenizer == CLIP.tokenizer:
        given = f"--tokenizer={vocabularies.GEMMA}"
        assert_one_error(there, layout, capsys, "gemma.model: the model reads CLIP's", given)
        return
    (other,) = (path for path in there.iterdir() if path.name.startswith(("spiece", "tokenizer.")))
    other.unlink()
    lie = there / "tokenizer.model"
    if layout == "ours":
        lie = other
    if family == "siglip":
        lie.write_bytes(vocabularies.GEMMA.read_bytes())
    else:
        vocabularies.t5(there).rename(lie)
    assert_one_error(there, layout, capsys, f"/there/{lie.name}: ")


@pytest.mark.parametrize(("family", "layout"), [one for one in KNOWN if LAYOUTS[one[1]].torch])
def test_a_file_with_code_inside(tmp_path, capsys, family, layout):
    there, mark = publish(tmp_path, family, layout), tmp_path / "ran"
    for path in there.glob("*model*.safetensors*"):
        path.unlink()
    path = there / LAYOUTS[layout].torch
    if path.suffix == ".npz":
        with zipfile.ZipFile(path, "w") as file, file.open("params/t.npy", "w") as member:
            np.lib.format.write_array(member, np.array([Runs(mark)]))
        said = "pickle|objects"
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model/data.pkl", pickle.dumps({"logit_scale": Runs(mark)}, protocol=2))
        said = r"\.mkdir"
    assert_one_error(there, layout, capsys, rf"/there/{path.name}: .*({said})")
    assert not mark.exists()


class Runs:
    """Who unpickles it makes a folder."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)
