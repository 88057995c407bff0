"""Models of the Hub by name: converted once as `animclip convert` does, kept, and found again."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from animclip_jax import api, convert
from animclip_jax.models.towers import SIGLIP
from animclip_jax.weights import folder
from animclip_jax.weights.architecture import SIGLIP_TOKENIZERS
from tests.small_model import SMALL, drawn
from tests.stand_in_hub import COMMIT, OTHER, Hub, opened
from tests.vocabularies import GEMMA_JSON, GEMMA_SIZE

NAME = "google/siglip2-base-patch16-224"
SIGLIP_2 = dataclasses.replace(
    SMALL,
    vocab_size=GEMMA_SIZE,
    embed_dim=SMALL.vision.width,
    activation="gelu_tanh",
    towers=dataclasses.replace(SIGLIP, tokenizer="gemma"),
)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """With a SigLIP 2 of random weights as Hugging Face keeps it, and its vocabulary."""
    monkeypatch.setitem(SIGLIP_TOKENIZERS, GEMMA_SIZE, "gemma")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "theirs").mkdir()
    folder.write_hugging_face(tmp_path / "theirs", drawn(SIGLIP_2), SIGLIP_2)
    shutil.copy(GEMMA_JSON, tmp_path / "theirs" / "tokenizer.json")
    files = {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    yield from opened(files, monkeypatch, tmp_path)


def kept(tmp_path: Path) -> list[str]:
    there = (tmp_path / "home/.cache/animclip/weights").glob("[!.]*")
    return sorted(path.name for path in there)


def test_any_name_of_the_hub_is_what_convert_makes_of_it(stand_in, tmp_path, capsys):
    found = api.find(NAME)
    assert "downloaded and converted once, into" in capsys.readouterr().err
    assert convert.main([NAME, "--out", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in found.iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json"]
    for name in names:
        assert (found / name).read_bytes() == (tmp_path / "out" / name).read_bytes(), name


def test_what_was_kept_needs_no_network_and_stays_the_same_commit(stand_in, tmp_path):
    found = api.find(NAME)
    stand_in.newest = OTHER
    assert api.find(NAME) == found and found.name.endswith(f"-224-{COMMIT[:12]}")
    stand_in.close()
    shutil.rmtree(tmp_path / "cache")
    small, great = api.load(NAME).encode_text(["a dog", "A DOG"])
    np.testing.assert_allclose(small, great, rtol=1e-6)
    assert kept(tmp_path) == [found.name]


def test_a_longer_name_is_another_model(stand_in, tmp_path):
    longer = api.find(f"{NAME}-large")
    assert api.find(NAME) != longer
    assert len(kept(tmp_path)) == 2


def test_without_its_vocabulary_nothing_is_kept(stand_in, tmp_path):
    del stand_in.files["tokenizer.json"]
    with pytest.raises((OSError, ValueError), match="gemma.*vocabulary|vocabulary.*gemma"):
        api.find(NAME)
    assert kept(tmp_path) == []


def test_weights_that_need_a_commit_say_who_takes_one(stand_in, tmp_path):
    stand_in.files = {"config.json": b"{}", "pytorch_model.bin": b""}
    with pytest.raises(
        ValueError, match="give --revision=COMMIT to animclip convert to name the commit"
    ):
        api.find(NAME)
    assert kept(tmp_path) == []


def test_a_folder_of_that_name_goes_before(stand_in, tmp_path):
    (tmp_path / NAME).mkdir(parents=True)
    assert api.find(NAME) == Path(NAME)
    assert stand_in.gets == []
