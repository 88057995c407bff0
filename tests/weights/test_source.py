"""Which layout a file or folder is in, and what is asked of a person where it doesn't say."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from animclip_jax.weights import folder, safetensors_file, source, torch_archive
from input_pipeline.tokenizers import clip_vocabulary
from tests.exporting import models
from tests.small_model import drawn
from tests.weights import shards
from tests.weights.families import FAMILIES, write_siglip
from tests.weights.reference import GOLDEN, GOLDEN_CLIP


@pytest.fixture
def hugging_face(tmp_path: Path) -> Path:
    """A folder as `CLIPModel.save_pretrained` writes it."""
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/config.json").write_bytes((GOLDEN / "one_head.json").read_bytes())
    tensors = (GOLDEN / "model.safetensors").read_bytes()
    (tmp_path / "hf/model.safetensors").write_bytes(tensors)
    return tmp_path / "hf"


@pytest.fixture
def open_clip(tmp_path: Path) -> Path:
    """A folder as open_clip publishes them."""
    tensors = torch_archive.read(GOLDEN / "openai.pt").tensors
    weights = {name: value for name, value in tensors.items() if value.dtype != np.int64}
    (tmp_path / "oc").mkdir()
    safetensors.numpy.save_file(weights, tmp_path / "oc/open_clip_model.safetensors")
    document = {"model_cfg": {"embed_dim": 14, "vision_cfg": {}, "text_cfg": {"heads": 1}}}
    (tmp_path / "oc/open_clip_config.json").write_text(json.dumps(document))
    return tmp_path / "oc"


def assert_golden(found: dict[str, np.ndarray]) -> None:
    wanted = source.read(GOLDEN / "openai.pt")[0]
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_folder_and_a_file_of_hugging_face(hugging_face):
    for path in (hugging_face, hugging_face / "model.safetensors"):
        params, config = source.read(path)
        assert config == GOLDEN_CLIP
        assert_golden(params)


def test_an_archive_of_openais(tmp_path):
    params, config = source.read(GOLDEN / "openai.pt")
    assert config == GOLDEN_CLIP and config.activation == "quick_gelu"
    with pytest.raises(
        ValueError, match="--activation=gelu: .*openai.pt names the activation itself"
    ):
        source.read(GOLDEN / "openai.pt", "gelu")


def test_a_folder_and_a_file_of_open_clip(open_clip):
    for path in (open_clip, open_clip / "open_clip_model.safetensors"):
        params, config = source.read(path)
        assert config == dataclasses.replace(GOLDEN_CLIP, activation="gelu")
        assert_golden(params)


def test_tensors_alone_do_not_say_the_activation(open_clip):
    (open_clip / "open_clip_config.json").unlink()
    path = open_clip / "open_clip_model.safetensors"
    with pytest.raises(ValueError, match="does not say which activation.* give --activation"):
        source.read(path)
    assert source.read(path, "gelu")[1].activation == "gelu"
    assert source.read(path, "quick_gelu")[1] == GOLDEN_CLIP


def test_our_own_folder(tmp_path):
    folder.save(tmp_path / "clip", drawn(GOLDEN_CLIP), GOLDEN_CLIP)
    params, config = source.read(tmp_path / "clip")
    assert config == GOLDEN_CLIP
    np.testing.assert_array_equal(params["log_logit_scale"], drawn(GOLDEN_CLIP)["log_logit_scale"])
    with pytest.raises(ValueError, match="leave it out"):
        source.read(tmp_path / "clip", "gelu")


def test_the_tensors_of_our_own_folder_alone_ask_for_it(tmp_path):
    folder.save(tmp_path / "clip", drawn(GOLDEN_CLIP), GOLDEN_CLIP)
    path = tmp_path / "clip" / folder.TENSORS
    with pytest.raises(ValueError, match=f"{path}: .*give its folder, {tmp_path / 'clip'}"):
        source.read(path)


def test_pixel_statistics_come_along(hugging_face, open_clip):
    half = (0.5, 0.5, 0.5)
    other = {"image_mean": half, "image_std": half}
    (hugging_face / "preprocessor_config.json").write_text(json.dumps(other))
    path = open_clip / "open_clip_config.json"
    pixels = {"preprocess_cfg": {"mean": half, "std": half}}
    path.write_text(json.dumps(json.loads(path.read_text()) | pixels))
    for directory in (hugging_face, open_clip):
        found = source.read(directory)[1].towers.pixels
        assert (found.mean, found.std) == (half, half)


def test_how_pictures_are_resized_comes_along(hugging_face):
    other = {"size": {"height": 24, "width": 24}, "resample": 2}
    (hugging_face / "preprocessor_config.json").write_text(json.dumps(other))
    assert source.read(hugging_face)[1].fitted == (24, "squash", "bilinear", True)


def test_pixels_as_transformers_5_writes_them_come_along(hugging_face, tmp_path):
    """Of CLIPProcessor.save_pretrained and SiglipProcessor.save_pretrained, version 5.24."""
    (tmp_path / "siglip").mkdir()
    write_siglip(tmp_path / "siglip")
    half = [0.5, 0.5, 0.5]
    shared = {"do_resize": True, "image_mean": half, "image_std": half, "resample": 3}
    for directory, size, kind in (
        (hugging_face, {"shortest_edge": 24}, "CLIP"),
        (tmp_path / "siglip", {"height": 24, "width": 24}, "Siglip"),
    ):
        nested = shared | {"size": size, "image_processor_type": f"{kind}ImageProcessor"}
        document = {"image_processor": nested, "processor_class": f"{kind}Processor"}
        (directory / "processor_config.json").write_text(json.dumps(document))
        config = source.read(directory)[1]
        assert config.towers.pixels.mean == config.towers.pixels.std == (0.5, 0.5, 0.5)
        resize = "shortest" if kind == "CLIP" else "squash"
        assert config.fitted[1:] == (resize, "bicubic", True)


@pytest.mark.parametrize("nested, mean", [({"image_mean": [0.1] * 3}, 0.1), (None, 0.2)])
def test_of_two_files_of_pixels_the_one_that_transformers_reads_counts(hugging_face, nested, mean):
    """Older processor_config.json name the processor's class alone."""
    document = {"processor_class": "CLIPProcessor"} | (
        {"image_processor": nested} if nested else {}
    )
    (hugging_face / "processor_config.json").write_text(json.dumps(document))
    (hugging_face / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.2] * 3}))
    assert source.read(hugging_face)[1].towers.pixels.mean == (mean,) * 3


@pytest.mark.parametrize(
    "nested, said",
    [
        ([3], r"found \[3\] as 'image_processor', wanted an object"),
        ({"resample": 1}, "resample is 1"),
    ],
)
def test_wrong_pixels_of_transformers_5_name_their_file(hugging_face, nested, said):
    (hugging_face / "processor_config.json").write_text(json.dumps({"image_processor": nested}))
    with pytest.raises(ValueError, match=rf"^{hugging_face}/processor_config.json: {said}"):
        source.read(hugging_face)


@pytest.mark.parametrize("name", ["spiece.model", "tokenizer.model", "tokenizer.json"])
def test_a_vocabulary_beside_the_weights_is_found(tmp_path, name):
    write_siglip(tmp_path)
    assert source.read(tmp_path)[1].tokenizer == ""
    (tmp_path / name).touch()
    assert source.read(tmp_path)[1].tokenizer == str(tmp_path / name)
    # As a file among others.
    assert source.read(tmp_path / "model.safetensors")[1].tokenizer == str(tmp_path / name)


CLIPS = clip_vocabulary.token_ids()
WORDS = [*CLIPS][:-2]


def ids_of(words: list[str], first: int = 0) -> dict[str, int]:
    return {word: number for number, word in enumerate(words, first)}


@pytest.fixture(scope="module")
def clip_of_all_tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clip")
    folder.write_hugging_face(directory, drawn(models.WORDS.clip), models.WORDS.clip)
    return directory


@pytest.mark.parametrize(
    "name, document",
    [
        ("tokenizer.json", {"model": {"vocab": ids_of(["a", "b", "ab"])}}),
        ("tokenizer.json", {"model": {"vocab": ids_of([*WORDS[:-2], *WORDS[:-3:-1]])}}),
        ("tokenizer.json", {"model": {"vocab": [["a", -1.0]], "type": "Unigram"}}),
        ("vocab.json", ids_of(["a", "b", "ab"])),
        ("vocab.json", ids_of(WORDS, 1)),
        ("vocab.json", ids_of(WORDS[:-1])),
        ("vocab.json", {}),
    ],
)
def test_a_clip_with_a_vocabulary_of_its_own_is_refused(
    clip_of_all_tokens, tmp_path, name, document
):
    """It would get CLIP's ids, which mean other words there."""
    directory = shutil.copytree(clip_of_all_tokens, tmp_path / "clip")
    (directory / name).write_text(json.dumps(document))
    for path in (directory, directory / folder.TENSORS):
        with pytest.raises(ValueError, match=f"^{directory / name}: found another voc.*[^\n]*$"):
            source.read(path)


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.json": {"model": {"vocab": CLIPS}}, "vocab.json": ids_of(["a", "b"])},
        {"vocab.json": CLIPS | {"<pad>": 49408}},
        {"vocab.json": ids_of([*WORDS, "<start_of_text>", "<end_of_text>"])},
        {},
    ],
    ids=["tokenizer.json goes before", "added tokens", "other names of start and end", "none"],
)
def test_a_clip_with_clips_vocabulary_is_read(clip_of_all_tokens, tmp_path, files):
    directory = shutil.copytree(clip_of_all_tokens, tmp_path / "clip")
    for name, document in files.items():
        (directory / name).write_text(json.dumps(document))
    assert source.read(directory)[1] == models.WORDS.clip


def test_a_clip_without_room_for_its_vocabulary_is_refused(hugging_face):
    assert source.read(hugging_face)[1].vocab_size == 99, "without the file its ids are folded"
    (hugging_face / "vocab.json").write_text(json.dumps(CLIPS))
    with pytest.raises(ValueError, match="vocab.json: found a model of 99 tokens, wanted"):
        source.read(hugging_face)


def write_pe_core(directory: Path, **changed: np.ndarray) -> None:
    """As open_clip publishes it."""
    tensors = safetensors.numpy.load_file(GOLDEN / "pe_core.safetensors") | changed
    safetensors.numpy.save_file(tensors, directory / "open_clip_model.safetensors")
    vision = {"timm_model_name": "vit_pe_core_tiny_patch16_384", "timm_pool": "map"}
    model = {"vision_cfg": vision, "text_cfg": {"heads": 2}, "custom_text": True}
    (directory / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("attn_pool.kv.weight", (95, 48), r"not expected: .*attn_pool.attn.in_proj_weight\[kv\]"),
        ("attn_pool.kv.bias", (), r"not expected: .*attn_pool.attn.in_proj_bias\[kv\]"),
        ("cls_token", (2, 1, 48), r"wrong shape: visual.class_embedding is \(2, 1, 48\)"),
        ("pos_embed", (3, 10, 48), "wrong shape: visual.positional_embedding|has "),
    ],
)
def test_tensors_of_timms_that_lie_are_named(tmp_path, name, shape, said):
    write_pe_core(tmp_path, **{f"visual.trunk.{name}": np.zeros(shape, np.float32)})
    with pytest.raises(ValueError, match=said) as error:
        source.read(tmp_path)
    assert str(tmp_path / "open_clip_") in str(error.value)


def test_pe_core_as_open_clip_publishes_it(tmp_path):
    write_pe_core(tmp_path)
    params, config = source.read(tmp_path)
    assert config == FAMILIES["pe_core"] and config.fitted == (24, "squash", "bilinear", True)
    folder.save(tmp_path / "ours", params, config)
    assert source.read(tmp_path / "ours")[1] == config


def test_timms_files_beside_those_of_open_clip_are_not_read(open_clip):
    (open_clip / "config.json").write_text(json.dumps({"architecture": "vit_base_patch32"}))
    (open_clip / "model.safetensors").write_bytes(b"the vision tower alone")
    assert_golden(source.read(open_clip)[0])


def test_what_is_neither_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no: no such file or folder"):
        source.read(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="neither config.json with model.safetensors or"):
        source.read(tmp_path)
    (tmp_path / "a.h5").touch()
    with pytest.raises(ValueError, match="can't read '.h5', wanted .safetensors, .pt or .npz"):
        source.read(tmp_path / "a.h5")


def clip_tensors() -> dict[str, np.ndarray]:
    """OpenAI's names, weights alone."""
    tensors = torch_archive.read(GOLDEN / "openai.pt").tensors
    return {name: value for name, value in tensors.items() if value.dtype != np.int64}


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "clip.", "module._orig_mod.", "state_dict.module.", "model."],
)
def test_a_training_checkpoint_is_the_model_inside_it(tmp_path, prefix):
    tensors = {f"{prefix}{name}": value for name, value in clip_tensors().items()}
    if prefix != "_orig_mod.":
        # Of the optimizer, or of a model around CLIP.
        tensors["optimizer.state.0.exp_avg"] = np.zeros(3, np.float32)
    safetensors.numpy.save_file(tensors, tmp_path / "epoch_9.safetensors")
    params, config = source.read(tmp_path / "epoch_9.safetensors", "quick_gelu")
    assert config == GOLDEN_CLIP
    assert_golden(params)


def test_a_checkpoint_of_two_models_is_refused(tmp_path):
    tensors = {
        f"{prefix}{name}": value
        for prefix in ("state_dict.", "state_dict_ema.")
        for name, value in clip_tensors().items()
    }
    safetensors.numpy.save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="2 CLIPs in it, at state_dict, state_dict_ema"):
        source.read(tmp_path / "a.safetensors", "quick_gelu")


def test_a_folder_of_shards(hugging_face):
    shards.write(hugging_face, safetensors_file.read(hugging_face / "model.safetensors"))
    for path in (hugging_face, hugging_face / "model.safetensors.index.json"):
        params, config = source.read(path)
        assert config == GOLDEN_CLIP
        assert_golden(params)


def test_shards_that_do_not_hold_what_the_index_names(hugging_face):
    tensors = safetensors_file.read(hugging_face / "model.safetensors")
    places = shards.write(hugging_face, tensors)
    index = hugging_face / "model.safetensors.index.json"
    for wrong in ({"weight_map": {"a": "../b.safetensors"}}, {"weight_map": [1]}, {}):
        index.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match="index.json: no weight_map from names"):
            source.read(hugging_face)
    more = places | {"absent": places[sorted(tensors)[0]]}
    index.write_text(json.dumps({"weight_map": more}))
    with pytest.raises(ValueError, match="00001-of-00002.safetensors: lacks absent, which"):
        source.read(hugging_face)
    (hugging_face / "model-00002-of-00002.safetensors").unlink()
    index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(FileNotFoundError, match="00002-of-00002.*: no such file, and"):
        source.read(hugging_face)


def test_open_clips_folder_with_a_pickle(open_clip):
    (open_clip / "open_clip_model.safetensors").unlink()
    archive = (GOLDEN / "openai.pt").read_bytes()
    (open_clip / "open_clip_pytorch_model.bin").write_bytes(archive)
    params, config = source.read(open_clip)
    assert config == dataclasses.replace(GOLDEN_CLIP, activation="gelu")
    assert_golden(params)


def test_real_checkpoints_of_torch(tmp_path, hugging_face):
    """As a training writes them: the optimizer beside the state dict, tensors in shards of .bin."""
    torch = pytest.importorskip("torch", reason="needs the extra `parity`")
    state = {name: torch.tensor(value) for name, value in clip_tensors().items()}
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    wrapped = {f"module.{name}": value for name, value in state.items()}
    checkpoint = {"epoch": 3, "name": "a", "state_dict": wrapped}
    torch.save(checkpoint | {"optimizer": optimizer.state_dict()}, tmp_path / "epoch_3.pt")
    assert_golden(source.read(tmp_path / "epoch_3.pt", "quick_gelu")[0])

    tensors = safetensors_file.read(hugging_face / "model.safetensors")
    (hugging_face / "model.safetensors").unlink()
    torch.save({k: torch.tensor(v) for k, v in tensors.items()}, hugging_face / "one.bin")
    index = {"weight_map": dict.fromkeys(tensors, "one.bin")}
    (hugging_face / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert_golden(source.read(hugging_face)[0])
