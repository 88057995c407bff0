"""Downloads: one commit, only what is read, safetensors unless a commit is named; no network."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from animclip_jax import convert
from animclip_jax.weights import folder, hub
from tests.stand_in_hub import COMMIT, OTHER, Hub, opened
from tests.weights.reference import GOLDEN, GOLDEN_CLIP

CONFIG = (GOLDEN / "one_head.json").read_bytes()
TENSORS = (GOLDEN / "model.safetensors").read_bytes()
HF = {"config.json": CONFIG, "model.safetensors": TENSORS}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    yield from opened(dict(HF), monkeypatch, tmp_path)


def test_a_name_alone_is_enough_for_safetensors_and_its_commit_is_kept(stand_in, tmp_path, capsys):
    stand_in.files |= {"README.md": b"", "pytorch_model.bin": b"", "tf_model.h5": b""}
    assert convert.main(["some/clip", "--out", str(tmp_path / "out")]) == 0
    assert set(stand_in.gets) == {"config.json", "model.safetensors"}
    assert f"from some/clip at commit {COMMIT}" in capsys.readouterr().out
    document = json.loads((tmp_path / "out/config.json").read_text())
    assert document["origin"] == {"repository": "some/clip", "commit": COMMIT}
    assert folder.load(tmp_path / "out")[1] == GOLDEN_CLIP


def test_what_is_in_the_cache_needs_no_network(stand_in, tmp_path):
    assert hub.download("some/clip") == hub.download("some/clip", COMMIT)
    stand_in.close()
    stand_in.gets.clear()
    for revision in (None, COMMIT):
        assert hub.download("some/clip", revision).commit == COMMIT
    with pytest.raises(OSError, match=f"some/clip at {OTHER}: can't be downloaded"):
        hub.download("some/clip", OTHER)


def test_what_another_program_left_out_of_the_cache_is_downloaded(stand_in):
    stand_in.files["preprocessor_config.json"] = b"{}"
    (hub.download("some/clip", COMMIT).path / "preprocessor_config.json").unlink()
    found = hub.download("some/clip", COMMIT)
    assert (found.path / "preprocessor_config.json").is_file()


@pytest.mark.parametrize(
    "there, wanted",
    [
        (["open_clip_model.safetensors", "open_clip_config.json", *HF], (3, 2)),
        (["model.safetensors.index.json", "model-00001-of-00002.safetensors"], None),
        (["spiece.model", "tokenizer_config.json", "merges.txt", *HF], None),
        (["processor_config.json", "preprocessor_config.json", *HF], None),
        (["vocab.json", "tokenizer.json", "merges.txt", *HF], None),
    ],
    ids=["open_clip", "shards", "vocabulary", "pixels", "clip's vocabulary"],
)
def test_only_what_is_read_is_downloaded(stand_in, there, wanted):
    # Each with other bytes, for the Hub's client downloads equal files once.
    stand_in.files = {name: name.encode() for name in [*there, "config.json", "optimizer.bin"]}
    expected = set(there) - {"merges.txt"} | {"config.json"}
    if wanted:
        expected = {"open_clip_model.safetensors", "open_clip_config.json"}
    if "model-00001-of-00002.safetensors" in there:
        with pytest.raises(ValueError, match="some/clip: no weights that can be read"):
            hub.download("some/clip")
        stand_in.files["model-00002-of-00002.safetensors"] = b"2"
        expected |= {"model-00002-of-00002.safetensors"}
    found = hub.download("some/clip")
    assert set(stand_in.gets) == expected == {path.name for path in found.path.iterdir()}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "open_clip_pytorch_model.bin", "PE-Core.pt"])
def test_other_weights_want_a_commit(stand_in, name):
    stand_in.files = {"config.json": CONFIG, "open_clip_config.json": b"{}", name: b"weights"}
    with pytest.raises(ValueError, match=rf"some/clip: .*not safetensors, give --revision.*{name}"):
        hub.download("some/clip")
    assert stand_in.gets == []
    found = hub.download("some/clip", OTHER)
    assert found.commit == OTHER and name in stand_in.gets
    assert found.path.is_file() == name.endswith(".pt")


def test_a_branch_is_no_commit_and_a_repository_without_weights_says_what_it_has(stand_in):
    with pytest.raises(ValueError, match="wanted a commit, 40 hexadecimal digits"):
        hub.download("openai/clip-vit-base-patch32", "main")
    stand_in.files = {"README.md": b""}
    with pytest.raises(ValueError, match="no weights that can be read, .*; it has README.md"):
        hub.download("some/clip")
    assert stand_in.gets == []


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json"])
def test_a_clip_with_a_vocabulary_of_its_own_is_not_converted(stand_in, tmp_path, capsys, name):
    document = {"model": {"vocab": {"a": 0}}} if name == "tokenizer.json" else {"a": 0}
    stand_in.files[name] = json.dumps(document).encode()
    assert convert.main(["some/clip", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"{name}: found another vocabulary's tokens, wanted OpenAI CLIP's 49408" in said
    assert said.count("\n") == 1 and not (tmp_path / "out").exists()


def test_names_that_the_hub_could_have():
    assert hub.is_repository("openai/clip-vit-base-patch32")
    for name in ("clip", "/tmp/clip", "../clip", "./clip", "a/b/c", "~/clip"):
        assert not hub.is_repository(name), name
