"""SigLIP for transformers: model, tokens and pictures in one folder that needs no network."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animclip_jax import convert
from animclip_jax.exporting import hugging_face
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import folder as weights_folder
from animclip_jax.weights import source, vocabulary
from input_pipeline.tokenizers.opening import open_tokenizer
from tests import vocabularies
from tests.models import computed
from tests.small_model import drawn
from tests.weights.families import FAMILIES, inputs, normalised

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


def ours(config: ClipConfig, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of length one: embeddings of CAPTIONS, and of pictures float32 [N, S, S, 3] in [0, 1]."""
    tokens = open_tokenizer(*config.reading)(CAPTIONS)
    found = computed.embeddings(computed.load(drawn(config), config), pictures, tokens)
    text, image = (
        found[name] / np.linalg.norm(found[name], axis=-1, keepdims=True)
        for name in ("text_embedding", "image_embedding")
    )
    return text, image


def test_automodel_computes_the_same(written, monkeypatch):
    torch = pytest.importorskip("torch", reason="needs the extra `parity`")
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder, config = written
    model = transformers.AutoModel.from_pretrained(folder).eval()
    frames, _ = inputs(config)
    tokens = torch.from_numpy(open_tokenizer(*config.reading)(CAPTIONS)).long()
    with torch.no_grad():
        found = model(input_ids=tokens, pixel_values=torch.from_numpy(normalised(frames, config)))
    text, image = ours(config, frames)
    np.testing.assert_allclose(found.text_embeds.numpy(), text, atol=1e-5)
    np.testing.assert_allclose(found.image_embeds.numpy(), image, atol=1e-5)
    params = drawn(config)
    logits = np.exp(params["log_logit_scale"]) * text @ image.T + params["logit_bias"]
    np.testing.assert_allclose(found.logits_per_text.numpy(), logits, atol=1e-4)


def test_sentence_transformers_reads_the_folder(written, monkeypatch):
    library = pytest.importorskip("sentence_transformers", reason="not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder, config = written
    model = library.SentenceTransformer(str(folder))
    shown = Image.fromarray((inputs(config, 1)[0][0] * 255).round().astype(np.uint8))
    text, image = ours(config, np.asarray(shown, np.float32)[None] / 255)
    np.testing.assert_allclose(model.encode(CAPTIONS), text, atol=1e-5)
    np.testing.assert_allclose(model.encode([shown]), image, atol=1e-5)


def test_of_two_files_of_a_vocabulary_the_one_that_its_tokenizer_reads_is_taken(tmp_path):
    config = model("gemma", tmp_path)
    hugging_face.save(tmp_path / "published", drawn(config), config)
    shutil.copy(vocabularies.GEMMA, tmp_path / "published" / "tokenizer.model")
    command = [str(tmp_path / "published"), "--out", str(tmp_path / "ours")]
    assert convert.main(command) == 0
    found = weights_folder.load_clip(tmp_path / "ours")[1]
    assert found == config and found.tokenizer == str(tmp_path / "ours" / "tokenizer.json")
    assert Path(found.tokenizer).read_bytes() == vocabularies.GEMMA_JSON.read_bytes()
    assert (
        convert.main([str(tmp_path / "ours"), "--to=hugging_face", f"--out={tmp_path / 'hf'}"]) == 0
    )
    assert source.read(tmp_path / "hf")[1] == config
    assert vocabulary.find(tmp_path / "published").endswith("tokenizer.model")


def test_a_vocabulary_that_its_tokenizer_does_not_read_is_refused(tmp_path):
    config = model("gemma", tmp_path)
    config = dataclasses.replace(config, tokenizer=str(vocabularies.GEMMA))
    with pytest.raises(ValueError, match=r"reads tokenizer.json, .*gemma.model: give a .json"):
        hugging_face.save(tmp_path / "hf", drawn(config), config)
    assert list(tmp_path.iterdir()) == []
