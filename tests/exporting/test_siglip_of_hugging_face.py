"""SigLIP for transformers: model, tokens and pictures in one folder that needs no network."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from animclip_jax.exporting import hugging_face
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import source
from input_pipeline.tokenizers.opening import open_tokenizer
from tests import vocabularies
from tests.small_model import drawn
from tests.weights.families import FAMILIES

CAPTIONS = ["a red dog runs over the grass", "Two CHILDREN, near a car!", "a", "slowly " * 40]


def model(kind: str, directory: Path) -> ClipConfig:
    """A small SigLIP, or SigLIP 2, with a vocabulary."""
    config = FAMILIES["siglip"]
    t5 = kind == "c4_en"
    return dataclasses.replace(
        config,
        vocab_size=vocabularies.T5_SIZE if t5 else vocabularies.GEMMA_SIZE,
        tokenizer=str(vocabularies.t5(directory) if t5 else vocabularies.GEMMA_JSON),
        towers=dataclasses.replace(config.towers, tokenizer=kind),
    )


@pytest.fixture(params=["c4_en", "gemma"])
def written(request, tmp_path) -> tuple[Path, ClipConfig]:
    config = model(request.param, tmp_path)
    hugging_face.save(tmp_path / "hf", drawn(config), config)
    return tmp_path / "hf", config


def test_the_folder_comes_back(written):
    folder, config = written
    params, again = source.read(folder)
    assert again == config
    wanted = open_tokenizer(*config.reading)(CAPTIONS)
    np.testing.assert_array_equal(open_tokenizer(*again.reading)(CAPTIONS), wanted)
    for name, value in drawn(config).items():
        np.testing.assert_array_equal(params[name], value, err_msg=name)


def test_pictures_that_are_not_anti_aliased_can_not_be_expressed(tmp_path):
    config = model("gemma", tmp_path)
    pixels = dataclasses.replace(config.towers.pixels, antialias=False)
    config = dataclasses.replace(config, towers=dataclasses.replace(config.towers, pixels=pixels))
    with pytest.raises(ValueError, match="pixels.antialias is False: transformers' processors"):
        hugging_face.save(tmp_path / "hf", drawn(config), config)
    assert not (tmp_path / "hf").exists()


def test_its_tokens_are_padded_to_the_end_on_the_right_and_have_no_mask(written):
    folder, config = written
    second = config.towers.tokenizer == "gemma"
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    assert tokens["tokenizer_class"] == ("Siglip2Tokenizer" if second else "SiglipTokenizer")
    assert tokens["pad_token"] == ("<pad>" if second else "</s>")
    assert (tokens["padding_side"], tokens["model_input_names"]) == ("right", ["input_ids"])
    sentences = json.loads((folder / "sentence_bert_config.json").read_text())
    assert sentences["processing_kwargs"]["text"]["padding"] == "max_length"
    pictures = json.loads((folder / "preprocessor_config.json").read_text())
    assert pictures["image_processor_type"] == "SiglipImageProcessor"
    assert pictures["size"] == {"height": 24, "width": 24} and pictures["resample"] == 2
    assert pictures["image_mean"] == [0.5, 0.5, 0.5] and "crop_size" not in pictures


def test_transformers_loads_it_offline_and_makes_our_tokens(written, monkeypatch):
    pytest.importorskip("torch", reason="needs the extra `parity`")
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder, config = written
    assert type(transformers.AutoModel.from_pretrained(folder)).__name__ == "SiglipModel"
    processor = transformers.AutoProcessor.from_pretrained(folder)
    length = config.context_length
    given = {"padding": "max_length", "truncation": True, "max_length": length}
    found = processor(text=CAPTIONS, return_tensors="np", **given)
    assert set(found) == {"input_ids"}
    wanted = open_tokenizer(*config.reading)(CAPTIONS)
    np.testing.assert_array_equal(found["input_ids"], wanted)


def test_a_vocabulary_that_its_tokenizer_does_not_read_is_refused(tmp_path):
    config = model("gemma", tmp_path)
    config = dataclasses.replace(config, tokenizer=str(vocabularies.GEMMA))
    with pytest.raises(ValueError, match=r"gemma.model: .* reads tokenizer.json, wanted a .json"):
        hugging_face.save(tmp_path / "hf", drawn(config), config)
    assert list(tmp_path.iterdir()) == []
