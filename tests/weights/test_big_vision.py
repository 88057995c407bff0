"""SigLIP's .npz of big_vision: in, out, and files that are something else."""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from animclip_jax.weights import big_vision, rules
from animclip_jax.weights.rules import Layout
from tests.small_model import drawn
from tests.weights import big_vision as theirs_itself
from tests.weights.families import FAMILIES, golden

CONFIG = FAMILIES["siglip"]
HEADS, HEAD, WIDTH = 3, 16, 48


@pytest.fixture
def tree() -> dict[str, np.ndarray]:
    """The random SigLIP of the golden file as big_vision names it, written out by hand."""
    theirs = golden("siglip")
    found: dict[str, np.ndarray] = {}

    def norm(name: str, key: str) -> None:
        found[f"{name}/scale"] = theirs[f"{key}.weight"]
        found[f"{name}/bias"] = theirs[f"{key}.bias"]

    def dense(name: str, key: str) -> None:
        found[f"{name}/kernel"] = theirs[f"{key}.weight"].T
        found[f"{name}/bias"] = theirs[f"{key}.bias"]

    def tower(name: str, key: str, heads: int) -> None:
        for i in range(2):
            block, layer = f"{name}/encoderblock_{i}", f"{key}.encoder.layers.{i}"
            norm(f"{block}/LayerNorm_0", f"{layer}.layer_norm1")
            norm(f"{block}/LayerNorm_1", f"{layer}.layer_norm2")
            dense(f"{block}/MlpBlock_0/Dense_0", f"{layer}.mlp.fc1")
            dense(f"{block}/MlpBlock_0/Dense_1", f"{layer}.mlp.fc2")
            for part in ("query", "key", "value"):
                weight = theirs[f"{layer}.self_attn.{part[0]}_proj.weight"]
                bias = theirs[f"{layer}.self_attn.{part[0]}_proj.bias"]
                at = f"{block}/MultiHeadDotProductAttention_0/{part}"
                found[f"{at}/kernel"] = weight.T.reshape(len(weight), heads, -1)
                found[f"{at}/bias"] = bias.reshape(heads, -1)
            at = f"{block}/MultiHeadDotProductAttention_0/out"
            weight = theirs[f"{layer}.self_attn.out_proj.weight"]
            found[f"{at}/kernel"] = weight.T.reshape(heads, -1, len(weight))
            found[f"{at}/bias"] = theirs[f"{layer}.self_attn.out_proj.bias"]

    tower("img/Transformer", "vision_model", HEADS)
    tower("txt/Encoder_0", "text_model", 2)
    patches = "vision_model.embeddings.patch_embedding"
    found["img/embedding/kernel"] = theirs[f"{patches}.weight"].transpose(2, 3, 1, 0)
    found["img/embedding/bias"] = theirs[f"{patches}.bias"]
    for name, key in (("img", "vision_model"), ("txt", "text_model")):
        table = theirs[f"{key}.embeddings.position_embedding.weight"]
        found[f"{name}/pos_embedding"] = table[None]
    norm("img/Transformer/encoder_norm", "vision_model.post_layernorm")
    norm("txt/Encoder_0/encoder_norm", "text_model.final_layer_norm")
    found["txt/Embed_0/embedding"] = theirs["text_model.embeddings.token_embedding.weight"]
    dense("txt/head", "text_model.head")
    pool, head = "img/MAPHead_0", "vision_model.head"
    found[f"{pool}/probe"] = theirs[f"{head}.probe"]
    norm(f"{pool}/LayerNorm_0", f"{head}.layernorm")
    dense(f"{pool}/MlpBlock_0/Dense_0", f"{head}.mlp.fc1")
    dense(f"{pool}/MlpBlock_0/Dense_1", f"{head}.mlp.fc2")
    weights = np.split(theirs[f"{head}.attention.in_proj_weight"], 3)
    biases = np.split(theirs[f"{head}.attention.in_proj_bias"], 3)
    for part, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
        at = f"{pool}/MultiHeadDotProductAttention_0/{part}"
        found[f"{at}/kernel"] = weight.T.reshape(WIDTH, HEADS, HEAD)
        found[f"{at}/bias"] = bias.reshape(HEADS, HEAD)
    at = f"{pool}/MultiHeadDotProductAttention_0/out"
    out = theirs[f"{head}.attention.out_proj.weight"]
    found[f"{at}/kernel"] = out.T.reshape(HEADS, HEAD, WIDTH)
    found[f"{at}/bias"] = theirs[f"{head}.attention.out_proj.bias"]
    found["t"], found["b"] = theirs["logit_scale"], theirs["logit_bias"]
    return found


def saved(tmp_path: Path, tree: dict[str, np.ndarray], prefix: str = "params/") -> Path:
    arrays: Any = {f"{prefix}{name}": value for name, value in tree.items()}
    np.savez(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


def stacked(tree: dict[str, np.ndarray], towers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """As big_vision's scan keeps the layers of these towers."""
    scanned = {name for name in tree if "encoderblock_" in name and name.startswith(towers)}
    found = {name: value for name, value in tree.items() if name not in scanned}
    for name in scanned:
        if "encoderblock_0" in name:
            layers = [tree[name.replace("block_0", f"block_{i}")] for i in range(2)]
            found[name.replace("encoderblock_0", "encoderblock")] = np.stack(layers)
    return found


def assert_the_same(path: Path) -> None:
    """The file holds the SigLIP of the golden file."""
    params, config = big_vision.read(path)
    assert config == CONFIG
    wanted = rules.to_ours(rules.unfuse(golden("siglip")), CONFIG, Layout.HUGGING_FACE, "")
    assert set(params) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(params[name], value, err_msg=name)


# So400m/14 at 224 pixels and B/16 at 512 were published with the layers of the pictures' tower
# stacked and those of the captions' apart, SigLIP 2 with both stacked.
@pytest.mark.parametrize("towers", [(), ("img",), ("img", "txt")], ids=" ".join)
@pytest.mark.parametrize("prefix", ["params/", "", "opt/target/"])
def test_its_arrays_are_those_of_the_same_model_of_hugging_face(tmp_path, tree, towers, prefix):
    assert_the_same(saved(tmp_path, stacked(tree, towers), prefix))


def test_names_and_shapes_are_those_that_big_vision_itself_makes(tmp_path, tree):
    params, config = big_vision.read(saved(tmp_path, tree))
    big_vision.save(tmp_path / "out", params, config)
    with np.load(tmp_path / "out" / "model.npz") as written:
        shapes = {name.removeprefix("params/"): written[name].shape for name in written.files}
    assert shapes == theirs_itself.table("apart")
    made = stacked(tree, ("img", "txt"))
    assert {name: value.shape for name, value in made.items()} == theirs_itself.table("stacked")


def test_an_optimizer_beside_the_parameters_is_left_out(tmp_path, tree):
    path = saved(tmp_path, tree)
    beside: Any = {f"opt/0/mu/{name}": value for name, value in tree.items()}
    with np.load(path) as whole:
        np.savez(path, **{name: whole[name] for name in whole.files}, **beside)
    assert_the_same(path)


def test_captions_without_a_projection_get_one_that_changes_nothing(tmp_path, tree):
    """As of the multilingual So400m, whose two towers have one width."""
    wide = {
        name.replace("img/Transformer", "txt/Encoder_0"): value
        for name, value in tree.items()
        if name.startswith("img/Transformer/")
    }
    wide |= {
        "txt/Embed_0/embedding": np.ones((99, WIDTH), np.float32),
        "txt/pos_embedding": np.ones((1, 12, WIDTH), np.float32),
    }
    kept = {
        name: value
        for name, value in tree.items()
        if not name.startswith(("txt/head/", "txt/Encoder_0/"))
    }
    params, config = big_vision.read(saved(tmp_path, kept | wide))
    assert config.embed_dim == config.text.width == WIDTH
    np.testing.assert_array_equal(params["text/projection/kernel"], np.eye(WIDTH))
    np.testing.assert_array_equal(params["text/projection/bias"], np.zeros(WIDTH))


def test_a_projection_is_missing_where_the_towers_have_two_widths(tmp_path, tree):
    kept = {name: value for name, value in tree.items() if not name.startswith("txt/head/")}
    with pytest.raises(ValueError, match=r"which has txt/head/kernel \(2 axes\), under params/"):
        big_vision.read(saved(tmp_path, kept))


def test_there_and_back_is_bit_equal(tmp_path, tree):
    params, config = big_vision.read(saved(tmp_path, tree))
    big_vision.save(tmp_path / "out", params, config)
    with np.load(tmp_path / "out" / "model.npz", allow_pickle=False) as found:
        assert set(found.files) == {f"params/{name}" for name in tree}
        for name, value in tree.items():
            np.testing.assert_array_equal(found[f"params/{name}"], value, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floats_become_float32(tmp_path, tree, dtype):
    other = {name: value.astype(dtype) for name, value in tree.items()}
    params, _ = big_vision.read(saved(tmp_path, other))
    assert {value.dtype for value in params.values()} == {np.dtype(np.float32)}
    wanted = other["txt/head/kernel"].astype(np.float32)
    np.testing.assert_array_equal(params["text/projection/kernel"], wanted)


def test_a_vocabulary_says_which_siglip_it_is(tmp_path, tree):
    tree["txt/Embed_0/embedding"] = np.zeros((256_000, 20), np.float16)
    assert big_vision.read(saved(tmp_path, tree))[1].towers.tokenizer == "gemma"


def test_arrays_that_do_not_fit_are_named_together(tmp_path, tree):
    tree["img/head/bias"] = tree.pop("txt/head/bias")
    tree["b"] = np.zeros(2, np.float32)
    with pytest.raises(ValueError) as error:
        big_vision.read(saved(tmp_path, tree))
    lines = str(error.value).splitlines()
    assert "a.npz: these arrays don't fit a SigLIP of this size:" in lines[0]
    assert lines[1:] == [
        "  missing: txt/head/bias (48,)",
        "  not expected: img/head/bias (48,)",
        "  wrong shape: b is (2,), wanted (1,)",
    ]


def test_heads_that_do_not_divide_the_width_are_said_with_the_file(tmp_path, tree):
    name = "txt/Encoder_0/encoderblock_0/MultiHeadDotProductAttention_0/query/kernel"
    width = tree[name].shape[0]
    tree[name] = np.zeros((width, 7, 8), np.float32)
    with pytest.raises(ValueError, match=r"a\.npz: .*heads 7"):
        big_vision.read(saved(tmp_path, tree))


def test_a_file_of_something_else_is_refused(tmp_path, tree):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="a.npz: no SigLIP of big_vision, which has img/embedding"):
        big_vision.read(tmp_path / "a.npz")
    path = saved(tmp_path, tree | {"evil": np.array([{"a": print}], object)})
    with pytest.raises(
        ValueError, match="a.npz: can't be read: params/evil.npy holds Python objects"
    ):
        big_vision.read(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="a.npz: can't be read"):
        big_vision.read(path)
    assert not zipfile.is_zipfile(path)


@pytest.mark.parametrize("name", ["pe_core", "clip"])
def test_towers_that_it_can_not_hold_are_refused_with_all_reasons(tmp_path, name):
    config = FAMILIES["pe_core"] if name == "pe_core" else None
    if config is None:
        config = dataclasses.replace(CONFIG, towers=type(CONFIG.towers)(), embed_dim=14)
    with pytest.raises(ValueError, match="does not compute these towers: vision is .*; text is"):
        big_vision.save(tmp_path / "out", drawn(config), config)
    assert list(tmp_path.iterdir()) == []
