"""A vocabulary goes where its weights go: converted, loaded, indexed, trained, baked, exported."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from ml_collections import ConfigDict

import animclip_jax
from animclip_jax import api, convert, export, settings
from animclip_jax.exporting import source as sources
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import SIGLIP
from animclip_jax.training import bake, loop
from animclip_jax.video_index.open import open_index
from animclip_jax.weights import folder
from animclip_jax.weights.architecture import SIGLIP_TOKENIZERS
from configs import quickstart
from tests import vocabularies
from tests.exporting import models
from tests.searchable import index, write_videos
from tests.small_model import CONFIG, RERANKER, SMALL, drawn
from tests.vocabularies import GEMMA, GEMMA_JSON, GEMMA_SIZE

SIGLIP_2 = dataclasses.replace(
    SMALL,
    vocab_size=GEMMA_SIZE,
    embed_dim=SMALL.vision.width,
    activation="gelu_tanh",
    towers=dataclasses.replace(SIGLIP, tokenizer="gemma"),
)


@pytest.fixture(autouse=True)
def a_known_size(monkeypatch) -> None:
    monkeypatch.setitem(SIGLIP_TOKENIZERS, GEMMA_SIZE, "gemma")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Hugging Face's folder, without its vocabulary."""
    there = tmp_path / "published"
    there.mkdir()
    folder.write_hugging_face(there, drawn(SIGLIP_2), SIGLIP_2)
    return there


@pytest.fixture
def converted(published: Path, tmp_path: Path) -> Path:
    shutil.copy(GEMMA, published / "tokenizer.model")
    assert convert.main([str(published), "--out", str(tmp_path / "ours")]) == 0
    shutil.rmtree(published)
    return tmp_path / "ours"


def test_a_converted_siglip_2_is_loaded_and_reads_captions(converted):
    names = sorted(path.name for path in converted.iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.model"]
    assert str(converted) not in (converted / "config.json").read_text()
    model = animclip_jax.load(converted)
    dog, same, cat = model.encode_text(["A DOG", "a dog", "a cat"])
    np.testing.assert_allclose(dog, same, rtol=1e-6)
    assert np.abs(dog - cat).max() > 1e-3


def test_a_folder_is_indexed_and_searched_with_it(converted, tmp_path):
    model = api.load(converted)
    index(write_videos(tmp_path / "videos"), tmp_path / "index", model, converted)
    moments = open_index(tmp_path / "index").search("a white block travels", n=3)
    assert len(moments) == 3 and all(np.isfinite(one.coarse) for one in moments)


def test_another_file_can_be_named(published, tmp_path):
    command = [str(published), "--out", str(tmp_path / "ours"), "--tokenizer", str(GEMMA_JSON)]
    assert convert.main(command) == 0
    config = folder.load_clip(tmp_path / "ours")[1]
    assert config == SIGLIP_2 and config.tokenizer == str(tmp_path / "ours/tokenizer.json")
    assert Path(config.tokenizer).read_bytes() == GEMMA_JSON.read_bytes()


@pytest.mark.parametrize(
    "file, message",
    [
        (None, "reads tokens of gemma, whose vocabulary is not here: animclip convert takes it"),
        ("t5", "spiece.model: begins with <pad> </s> <unk>"),
        ("none.model", "none.model: no such file, the vocabulary of the model"),
        ("config.json", "config.json: no vocabulary"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_named_and_nothing_is_written(
    published, tmp_path, capsys, file, message
):
    out = tmp_path / "ours"
    named = vocabularies.t5(tmp_path) if file == "t5" else published / str(file)
    given = ["--tokenizer", str(named)] if file else []
    before = sorted(tmp_path.rglob("*"))
    assert convert.main([str(published), "--out", str(out), *given]) == 1
    error = capsys.readouterr().err
    assert error.startswith("animclip convert: ") and message in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_vocabulary_that_changed_or_is_gone_is_named(converted):
    (converted / "tokenizer.model").write_bytes(GEMMA.read_bytes()[:-1])
    with pytest.raises(ValueError, match="tokenizer.model: not the vocabulary of this model"):
        api.load(converted)
    (converted / "tokenizer.model").unlink()
    with pytest.raises(FileNotFoundError, match="tokenizer.model: no such file, the vocabulary"):
        api.load(converted)
    document = json.loads((converted / "config.json").read_text())
    for wrong in ({"file": "../secret.model"}, "tokenizer.model", {}):
        document["clip"]["tokenizer"] = wrong
        (converted / "config.json").write_text(json.dumps(document))
        with pytest.raises(ValueError, match="config.json: found .* as 'tokenizer'"):
            api.load(converted)


def config_of(tmp_path: Path, clip: ClipConfig = SIGLIP_2) -> ConfigDict:
    config = quickstart.get_config()
    config.model = ConfigDict(dataclasses.asdict(clip))
    config.reranker = ConfigDict(dataclasses.asdict(RERANKER))
    return settings.changed(
        config,
        {
            "steps": 2,
            "batch_size": 4,
            "log_every": 1,
            "checkpoint.every": 1,
            "data.train": "drawn:train:8",
            "data.eval": "drawn:val:4",
            "data.group_size": 1,
            "data.cache_dir": str(tmp_path / "cache"),
            "animation.image_size": clip.image_size,
            "animation.num_frames": 2,
            "evaluation.rerank_k": 2,
            "optimizer.algorithm": "adamw",
        },
    )


def train(config: ConfigDict, workdir: Path) -> int:
    return loop.train(settings.training(config, workdir), epath.Path(workdir), {})


@pytest.mark.parametrize("kind", ["safetensors", "stablehlo", "savedmodel"])
def test_every_export_has_it(tmp_path, kind):
    clip = dataclasses.replace(SIGLIP_2, tokenizer=str(GEMMA))
    given = models.source(dataclasses.replace(CONFIG, clip=clip))
    export.export(given, tmp_path / "out", kind, models.batch_size(kind))
    document = json.loads((tmp_path / "out/manifest.json").read_text())
    tokens = document["tokens"]
    assert (tokens["tokenizer"], tokens["file"]) == ("gemma", "tokenizer.model")
    assert (tokens["end"], tokens["padding"]) == (1, 0)
    assert (tmp_path / "out/tokenizer.model").read_bytes() == GEMMA.read_bytes()
    assert "tokenizer.model" in document["files"]
    assert str(GEMMA.parent) not in json.dumps(document)


@pytest.mark.slow
def test_a_run_keeps_it_goes_on_with_it_and_is_exported_with_it(converted, tmp_path):
    config, run = config_of(tmp_path), tmp_path / "run"
    config.init_from = str(converted)
    assert train(config, run) == 0
    shutil.rmtree(converted)
    assert (run / "tokenizer.model").read_bytes() == GEMMA.read_bytes()
    config.steps, first = 3, (run / "config.json").read_text()
    (run / "config.json").write_text(first.replace('"steps": 2', '"steps": 3'))
    assert train(config, run) == 0
    evaluated = settings.evaluation(settings.of_run(run))
    assert evaluated.model.clip.tokenizer == str(run / "tokenizer.model")
    export.export(sources.read(run), tmp_path / "exported", "safetensors")
    shutil.rmtree(run)
    assert api.load(tmp_path / "exported").encode_text("a dog").shape == (1, 32)


def test_another_vocabulary_than_the_runs_is_named(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(GEMMA, run / "tokenizer.model")
    config = config_of(tmp_path)
    assert settings.training(config, run).batches.tokenizer == str(run / "tokenizer.model")
    config.model.tokenizer = str(GEMMA_JSON)
    with pytest.raises(ValueError, match="gemma.json: not the run's vocabulary"):
        settings.training(config, run)
    # Gone since: the run has its own.
    config.model.tokenizer = str(tmp_path / "gone.model")
    assert settings.training(config, run).batches.tokenizer == str(run / "tokenizer.model")


@pytest.mark.parametrize("file", ["", "t5"])
def test_a_run_without_its_vocabulary_leaves_nothing(tmp_path, file):
    config = config_of(tmp_path)
    config.model.tokenizer = str(vocabularies.t5(tmp_path)) if file else ""
    with pytest.raises(ValueError, match="spiece.model: begins with|whose vocabulary is not here"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_baked_batches_are_those_of_one_vocabulary(tmp_path):
    config = config_of(tmp_path)
    config.model.tokenizer = str(GEMMA)
    made = settings.batches(settings.with_tokenizer(config))
    bake.bake(config.data.train, config.data.cache_dir, made, tmp_path / "baked", 1)
    assert str(GEMMA) not in (tmp_path / "baked/baked.json").read_text()
    moved = shutil.copy(GEMMA, tmp_path / "moved.model")
    from input_pipeline.baked import baked_batches

    source = f"baked:{tmp_path / 'baked'}"
    again = dataclasses.replace(made, tokenizer=str(moved))
    batch = next(baked_batches(source, again, start_step=0))
    assert batch.tokens.max() < GEMMA_SIZE and (batch.tokens == 1).sum(axis=1).tolist() == [1] * 4
    other = dataclasses.replace(made, tokenizer=str(GEMMA_JSON))
    with pytest.raises(ValueError, match="baked with tokenizer '[0-9a-f]{64}', but the run needs"):
        baked_batches(source, other, start_step=0)
