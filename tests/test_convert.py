"""`animclip convert`, from every layout, back to Hugging Face's, and its refusals."""

import json

import numpy as np
import pytest

from animclip_jax import convert, export
from animclip_jax.exporting import source as exported
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import folder, manifest, rules, source
from tests.exporting import models
from tests.exporting.models import WORDS
from tests.weights import reference
from tests.weights.reference import GOLDEN, GOLDEN_CLIP


def test_openais_archive_becomes_ours(tmp_path, capsys):
    assert convert.main([str(GOLDEN / "openai.pt"), "--out", str(tmp_path / "clip")]) == 0
    assert "in the layout of animclip, 24 pixels, patches of 8" in capsys.readouterr().out
    assert folder.load(tmp_path / "clip")[1] == GOLDEN_CLIP


def test_ours_becomes_hugging_faces(tmp_path):
    params = models.source(WORDS.clip).params
    folder.save(tmp_path / "clip", params, WORDS.clip)
    there = str(tmp_path / "hf")
    assert convert.main([str(tmp_path / "clip"), "--out", there, "--to", "hugging_face"]) == 0
    again, described = source.read(tmp_path / "hf")
    assert described == WORDS.clip
    for name, value in params.items():
        np.testing.assert_array_equal(again[name], value)


def test_positions_are_resized_on_request_alone(tmp_path, capsys):
    out = tmp_path / "clip"
    command = [str(GOLDEN / "openai.pt"), "--out", str(out)]
    assert convert.main([*command, "--image-size", "40"]) == 0
    assert "40 pixels, patches of 8, position embeddings resized from 24" in capsys.readouterr().out
    params, config = folder.load(out)
    assert isinstance(config, ClipConfig) and config.image_size == 40
    assert params["vision/position_embedding"].shape == (26, 20)


def test_a_changed_model_keeps_its_origin(tmp_path, capsys):
    hub = {"repository": "openai/clip-vit-base-patch32", "commit": "ab12"}
    clip = models.source(WORDS.clip)
    folder.save(tmp_path / "clip", clip.params, WORDS.clip, hub)
    bases = {"base_weights": ["openai/clip-vit-base-patch32@ab12"]}
    learned = {"steps": 7, "trained_on": ["drawn:train"], **bases}
    export.export(models.source(WORDS)._replace(origin=learned), tmp_path / "mine", "safetensors")
    for name, origin in (("clip", bases), ("mine", learned)):
        out = tmp_path / f"{name}-48"
        given = [str(tmp_path / name), "--out", str(out), "--image-size=48"]
        assert convert.main(given) == 0
        assert exported.read(out).origin == origin
        from_hub = "from openai/clip-vit-base-patch32 at commit ab12" in capsys.readouterr().out
        assert from_hub == (name == "clip")


@pytest.mark.parametrize("is_export", [True, False])
def test_a_whole_model_of_a_folder_stays_whole(tmp_path, is_export):
    whole, out = models.source(), tmp_path / "out"
    if is_export:
        export.export(whole, tmp_path / "mine", "safetensors")
    else:
        folder.save(tmp_path / "mine", whole.params, whole.config)
    assert convert.main([str(tmp_path / "mine"), "--out", str(out)]) == 0
    params, config = folder.load(out)
    assert config == whole.config and params.keys() == whole.params.keys()
    for name, value in whole.params.items():
        np.testing.assert_array_equal(params[name], value)
    assert (out / manifest.MANIFEST).is_file() == is_export


@pytest.mark.parametrize(
    "flags, reason",
    [
        (["--to=hugging_face"], "the format can't hold them"),
        (["--to=open_clip"], "the format can't hold them"),
        (["--image-size=48"], "--image-size and --tokenizer change the dual encoders alone"),
    ],
)
def test_parts_that_are_left_out_of_a_whole_model_are_named(tmp_path, capsys, flags, reason):
    folder.save(tmp_path / "mine", models.source(WORDS).params, WORDS)
    assert convert.main([str(tmp_path / "mine"), "--out", str(tmp_path / "out"), *flags]) == 0
    left = f"left out, because {reason}: coder, motion, reranker, temporal\n"
    assert left in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["SOURCE", "--out", "FULL"], "there already"),
        (["missing.pt", "--out", "new"], "missing.pt: no such file or folder"),
        (["some/clip", "--out", "new", "--revision", "main"], "main: wanted a commit, 40 hexa"),
        (["SOURCE", "--out", "new", "--image-size", "30"], "30 is not a multiple of patch_size 8"),
        (["SOURCE", "--out", "new", "--activation", "gelu"], "names the activation itself"),
        (["SOURCE", "--out", "new", "--revision", "0" * 40], "is not on the Hub"),
        (["SOURCE", "--out", "new", "--to", "hugging_face"], "vocab_size is 99: Hugging Face's"),
    ],
)
def test_wrong_requests_are_explained_and_leave_nothing(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "letter").touch()
    arguments = [str(GOLDEN / "openai.pt") if name == "SOURCE" else name for name in arguments]
    assert convert.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("animclip convert: ") and message in error
    assert [path.name for path in tmp_path.iterdir()] == ["FULL"]


def test_transformers_loads_what_we_write_and_computes_the_same(tmp_path):
    pytest.importorskip("torch", reason="needs the extra `parity`")
    transformers = pytest.importorskip("transformers")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/config.json").write_bytes((GOLDEN / "heads.json").read_bytes())
    tensors = (GOLDEN / "model.safetensors").read_bytes()
    (tmp_path / "in/model.safetensors").write_bytes(tensors)
    assert convert.main([str(tmp_path / "in"), "--out", str(tmp_path / "ours")]) == 0
    (tmp_path / "hf").mkdir()
    folder.write_hugging_face(tmp_path / "hf", *folder.load_clip(tmp_path / "ours"))
    model = transformers.CLIPModel.from_pretrained(tmp_path / "hf").eval()
    found = reference.outputs(model, *reference.inputs(GOLDEN_CLIP, 3))
    with np.load(GOLDEN / "heads.npz") as wanted:
        for name in wanted:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-6)
    assert json.loads((tmp_path / "hf/config.json").read_text())["architectures"] == ["CLIPModel"]


def test_a_random_torchscript_clip_of_today(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra `parity`")
    pytest.importorskip("transformers", reason="needs the extra `parity`")
    model = reference.random_clip(GOLDEN_CLIP, seed=1).half().float()
    module = reference.openai_module(model, GOLDEN_CLIP)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    reference.save_script(module, *reference.inputs(GOLDEN_CLIP, 2), tmp_path / "clip.pt")
    wanted = {name: value.numpy() for name, value in model.state_dict().items()}
    for name, extra in (("clip.pt", []), ("state.pt", ["--activation", "quick_gelu"])):
        out = tmp_path / f"{name}.ours"
        assert convert.main([str(tmp_path / name), "--out", str(out), *extra]) == 0
        found = rules.to_theirs(*folder.load_clip(out), rules.Layout.HUGGING_FACE)
        assert set(found) == set(wanted)
        for key, value in wanted.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)
