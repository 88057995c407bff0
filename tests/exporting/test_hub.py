"""`animclip export --format=hub`: a folder with a card, pushed to a stand-in, and read back."""

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animclip_jax import api, convert, export
from animclip_jax.exporting import hub_folder, model_card, push
from animclip_jax.exporting import source as sources
from animclip_jax.weights import folder, manifest
from tests import a_run
from tests.exporting.models import WORDS, source
from tests.stand_in_hub import COMMIT, Hub, opened
from tests.vocabularies import GEMMA, GEMMA_JSON
from tests.weights.families import SIGLIP_2

TOKEN = "hf_" + "a" * 34
NAME = "some/clip"
ORIGIN = {
    "steps": a_run.STEPS,
    "trained_on": ["folder:/home/somebody/films", "drawn:train:48"],
    "base_weights": [f"openai/clip-vit-base-patch32@{COMMIT}"],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "model"
    facts = model_card.Facts(NAME, "mit", a_run.results())
    export.export(source(WORDS)._replace(origin=ORIGIN), out, "hub", facts=facts)
    return out


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub without a repository, and a token that it knows."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield from opened({}, monkeypatch, tmp_path, empty=True, token=TOKEN)


def test_the_folder_is_ours_with_a_card_a_tokenizer_and_a_processor(written: Path) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {
        *("README.md", "config.json", "model.safetensors", "example.safetensors", "manifest.json"),
        *("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"),
        "preprocessor_config.json",
    }
    params, config = folder.load(written)
    wanted = source(WORDS).params
    assert config == WORDS and params.keys() == wanted.keys()
    assert all(np.array_equal(params[name], wanted[name]) for name in wanted)
    assert api.load(written).reranks


def test_the_card_says_what_it_is_what_it_saw_and_how_it_searches(written: Path) -> None:
    card = (written / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    assert "license: mit\n" in head and "- openai/clip-vit-base-patch32\n" in head
    assert f"animclip index VIDEOS --model {NAME} --out index" in body
    assert f"commit `{COMMIT}`" in body and "`folder:films`" in body and "`drawn:train:48`" in body
    candidates = a_run.results()["rerank_k"]
    found = a_run.results()["text_to_video"]["reranked"]
    lower, upper = found["intervals"]["R@1"]
    assert f"| re-ranked ({candidates} candidates) | {found['R@1']:.1f} [{lower:.1f}, " in body
    assert f"{upper:.1f}] |" in body
    assert "Protocol `drawn`" in body and "This model: `mit`." in body
    assert "The weights it began with, `openai/clip-vit-base-patch32`: published" in body
    program = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
    compile(program[0], "card", "exec")
    assert "pip install . " in body and "install animclip-jax" not in body
    everything = card + (written / "manifest.json").read_text()
    assert "somebody" not in everything, "a folder of the machine"


def test_a_card_of_little_knowledge_says_so(tmp_path: Path) -> None:
    bare = source()._replace(origin={})
    card = model_card.card(bare, model_card.Facts())
    assert "license:" not in card and "This model: not stated by its author." in card
    assert "was not evaluated" in card and "Nothing is recorded" in card
    drawn = source()._replace(origin={"trained_on": ["drawn:train"]})
    assert "are noise" in model_card.card(drawn, model_card.Facts())
    assert "are noise" not in card


@pytest.mark.parametrize(
    "file, said",
    [
        (GEMMA, "reads tokenizer.json, and this model's vocabulary is a .model file."),
        (GEMMA_JSON, "are for transformers' processor"),
    ],
)
def test_the_card_says_why_nothing_is_for_transformers(
    tmp_path: Path, file: Path, said: str
) -> None:
    config = dataclasses.replace(SIGLIP_2, tokenizer=str(file))
    given = source(config)._replace(origin={})
    hub_folder.finish(tmp_path, given, model_card.Facts())
    card = (tmp_path / "README.md").read_text()
    assert said in card and "no processor that makes" not in card
    assert str(file.parent) not in card
    assert (tmp_path / "preprocessor_config.json").is_file() == (file == GEMMA_JSON)


@pytest.mark.parametrize(
    "begun, license",
    [
        ([], ""),
        (["openai/clip-vit-base-patch32@0"], "mit"),
        (["google/siglip2-base-patch16-224@0"], "apache-2.0"),
        (["openai/clip-vit-base-patch32@0", "google/siglip-base-patch16-224@0"], ""),
        (["somebody/clip@0"], ""),
    ],
)
def test_the_licence_is_that_of_the_weights_where_it_is_known(
    tmp_path: Path, begun: list[str], license: str
) -> None:
    given = source()._replace(origin={"base_weights": begun})
    assert model_card.read(tmp_path, given, None, None).license == license
    assert model_card.read(tmp_path, given, None, "cc0-1.0").license == "cc0-1.0"


def test_results_of_another_checkpoint_are_not_this_ones(tmp_path: Path) -> None:
    found = a_run.results()
    (tmp_path / "results.json").write_text(json.dumps(found))
    for steps, wanted in ((found["steps"], found), (found["steps"] + 1, None), (None, None)):
        given = source()._replace(origin={"steps": steps})
        assert model_card.read(tmp_path, given, None, None).results == wanted


def test_the_weights_that_it_began_with_are_known_through_folders(
    written: Path, tmp_path: Path
) -> None:
    folder.save(
        tmp_path / "b32",
        *folder.dual_encoders(source(WORDS).params, WORDS),
        {"repository": "openai/clip-vit-base-patch32", "commit": COMMIT},
    )
    for directory in (written, tmp_path / "b32"):
        bases = model_card.bases(sources.read(directory))
        assert bases == [f"openai/clip-vit-base-patch32@{COMMIT}"]


def test_what_is_pushed_comes_back_whole_by_its_name(
    stand_in: Hub, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    push.require_free(NAME)
    assert push.push(written, NAME, private=True).endswith(f"/{NAME}")
    assert stand_in.made[0]["name"] == "clip" and stand_in.made[0]["organization"] == "some"
    assert stand_in.files.keys() == {path.name for path in written.iterdir()}
    assert convert.main([NAME, "--out", str(tmp_path / "back")]) == 0
    for name in (folder.CONFIG, folder.TENSORS, manifest.MANIFEST):
        assert (tmp_path / "back" / name).read_bytes() == (written / name).read_bytes(), name
    found, wanted = api.load(NAME), api.load(written)
    assert found.reranks and found.fingerprint == wanted.fingerprint
    assert found.manifest["origin"] == wanted.manifest["origin"]
    hugging_face = tmp_path / "hf"
    assert convert.main([NAME, "--to", "hugging_face", "--out", str(hugging_face)]) == 0
    assert (hugging_face / "vocab.json").is_file()


def test_a_file_that_changed_on_the_hub_is_an_error(
    stand_in: Hub, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    push.push(written, NAME)
    stand_in.files["example.safetensors"] += b" "
    assert convert.main([NAME, "--out", str(tmp_path / "back")]) == 1
    assert "example.safetensors: changed since it was written" in capsys.readouterr().err
    assert not (tmp_path / "back").exists()


def refused(tmp_path: Path, capsys: pytest.CaptureFixture, *words: str) -> str:
    """The one line that an export that pushes ends with, before it wrote anything."""
    line = [str(tmp_path / "run"), "--format=hub", "--out", str(tmp_path / "out"), *words]
    assert export.main(line) == 1
    said = capsys.readouterr().err
    assert said.startswith("animclip export: --push=") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()
    return said


def test_without_a_token_nothing_is_written(
    stand_in: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert "the Hub does not accept this machine's token: run" in refused(
        tmp_path, capsys, f"--push={NAME}"
    )
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert "no Hugging Face token on this machine: run `hf auth login`, or" in refused(
        tmp_path, capsys, f"--push={NAME}"
    )
    assert "wanted OWNER/NAME" in refused(tmp_path, capsys, "--push=clip")


def test_a_repository_that_exists_is_left_alone(
    stand_in: Hub, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    stand_in.empty = False
    assert "has this repository already" in refused(tmp_path, capsys, f"--push={NAME}")
    assert stand_in.made == [] and stand_in.files == {}


def test_without_a_network_nothing_is_written(
    stand_in: Hub, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    stand_in.server.shutdown()
    stand_in.server.server_close()
    assert "the Hub can't be reached" in refused(tmp_path, capsys, f"--push={NAME}")
    stand_in.close = lambda: None  # type: ignore[method-assign]


def test_an_upload_that_fails_says_how_to_go_on(
    stand_in: Hub, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: str, body: bytes) -> dict[str, Any]:
        raise ConnectionResetError

    copy = shutil.copytree(written, tmp_path / "copy")
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", lambda *_, **__: fails("", b""))
    with pytest.raises(OSError, match=f"hf upload {NAME} {copy}"):
        push.push(copy, NAME)
    assert (copy / "README.md").is_file()
