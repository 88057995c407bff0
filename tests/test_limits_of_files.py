"""Files that unpack to far more than they hold, nest too deeply or lost a field are named."""

import dataclasses
import gzip
import json

import numpy as np
import pytest

from animclip_jax import files
from animclip_jax.weights import folder as weights_folder
from animclip_jax.weights import hugging_face_config, source
from input_pipeline.media import quarantine
from input_pipeline.sources import folder
from input_pipeline.video_sets import download
from tests.weights.reference import GOLDEN, GOLDEN_CLIP


def test_arrays_that_unpack_to_far_more_than_they_hold_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_UNPACKED", 0)
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(10**6))
    with pytest.raises(ValueError, match=r"a.npz: can't be read: 8000\d+ bytes, unpacked; do so"):
        files.read_arrays(tmp_path / "a.npz", "do so")
    np.savez_compressed(tmp_path / "a.npz", noise=np.random.default_rng(0).random(99))
    assert files.read_arrays(tmp_path / "a.npz")["noise"].shape == (99,)


def test_a_small_gz_that_unpacks_to_much_is_no_annotation_file(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 1 << 20)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b" " * (1 << 21)))
    with pytest.raises(ValueError, match="a.json.gz: over 1 MiB, unpacked"):
        download.Download(tmp_path).json("a.json")


@pytest.mark.parametrize("name", ["config.json", "open_clip_config.json"])
def test_a_configuration_of_weights_that_nests_too_deeply_is_named(tmp_path, name):
    (tmp_path / name).write_text('{"model_cfg": ' * 100_000)
    (tmp_path / "open_clip_model.safetensors").write_bytes(
        (GOLDEN / "model.safetensors").read_bytes()
    )
    with pytest.raises(ValueError, match=f"{name}: not JSON: nested too deeply"):
        source.read(tmp_path)


LINES = [b"{", b"[1]\n", b'{"file": 3}\n', b"[" * 100_000, b"\xff\n", b'{"reason": "empty"}\n']


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_damaged_line_of_a_quarantine_is_named_with_what_to_do(tmp_path, line):
    path = tmp_path / quarantine.NAME
    path.write_bytes(b'{"file": "a", "reason": "empty"}\n' + line)
    for use in (lambda: quarantine.read(path), lambda: quarantine.add(path, [("b", "empty")])):
        with pytest.raises(ValueError) as raised:
            use()
        said = str(raised.value)
        assert said.startswith(f"{path} line 2: ") and said.endswith(f"; {quarantine.ADVICE}")
        assert "\n" not in said
    assert path.read_bytes().endswith(line), "it stays as it was"


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_damaged_line_of_checked_pictures_is_named_with_what_to_do(tmp_path, line):
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    files.write_lines(
        tmp_path / "pictures" / "captions.jsonl", [{"image": "a.png", "captions": ["a"]}]
    )
    listing = folder.read_listing(str(tmp_path / "pictures"))
    cache = listing.cache(tmp_path / "cache")
    assert len(folder.checked_pictures(listing, tmp_path / "cache")[0]) == 1
    with (cache / folder.CHECKED).open("ab") as checked:
        checked.write(line)
    with pytest.raises(ValueError) as raised:
        folder.checked_pictures(listing, tmp_path / "cache")
    said = str(raised.value)
    assert said.startswith(f"{cache / folder.CHECKED} line 2: ") and "\n" not in said
    assert said.endswith(f"remove {cache}, and the pictures are checked again")


WRONG_FIELDS = [
    ("vision.heads", 0, "heads 0: wanted a whole number from 1"),
    ("vision.layers", -1, "layers -1: wanted a whole number from 1"),
    ("vision.layers", 10**9, "layers 1000000000: wanted a whole number from 1 to 10,000,000"),
    ("vision.width", "20", "width '20': wanted a whole number"),
    ("patch_size", 0, "patch_size 0: wanted a whole number"),
    ("embed_dim", None, "embed_dim None: wanted a whole number"),
    ("context_length", 1.5, "context_length 1.5: wanted a whole number"),
    ("vocab_size", 10**12, "vocab_size 1000000000000: wanted"),
    ("activation", [1], r"activation \[1\]: wanted one of"),
]


def with_field(document, where, value):
    """The document with one field, "section.name", changed."""
    *sections, name = where.split(".")
    inner = document
    for section in sections:
        inner = inner[section]
    inner[name] = value
    return json.dumps(document)


@pytest.mark.parametrize(("where", "value", "said"), WRONG_FIELDS)
def test_a_field_of_a_model_that_can_not_be_is_named(tmp_path, where, value, said):
    document = {"format": weights_folder.FORMAT, "version": weights_folder.VERSION}
    clip = dataclasses.asdict(GOLDEN_CLIP)
    del clip["tokenizer"]  # of a vocabulary that has no file
    document["clip"] = clip
    (tmp_path / weights_folder.CONFIG).write_text(with_field(document, f"clip.{where}", value))
    with pytest.raises(ValueError, match=said) as raised:
        weights_folder.read_config(tmp_path)
    assert str(raised.value).startswith(str(tmp_path / weights_folder.CONFIG))


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("vision_config.num_attention_heads", 0, "heads 0: wanted a whole number"),
        ("text_config.vocab_size", "99", "not the fields of a CLIPModel or SiglipModel"),
        ("vision_config", 7, "not the fields of a CLIPModel or SiglipModel"),
        ("projection_dim", None, "embed_dim None: wanted"),
    ],
)
def test_a_field_of_hugging_faces_that_can_not_be_is_named(where, value, said):
    document = json.loads(with_field(hugging_face_config.write(GOLDEN_CLIP), where, value))
    with pytest.raises(ValueError, match=said) as raised:
        hugging_face_config.read(document, "a/config.json")
    assert str(raised.value).startswith("a/config.json: ")
