"""`animclip export`: from runs and folders into every format, verified, whole or not at all."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from flax import traverse_util

from animclip_jax import api, convert, export, files, settings
from animclip_jax.exporting import functions, saved_model
from animclip_jax.exporting import source as sources
from animclip_jax.runs import run_config
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.step import TrainState
from animclip_jax.weights import folder, manifest
from configs import quickstart
from input_pipeline import baked
from tests import processes
from tests.exporting.models import CLIP, WORDS, batch_size, source, source_for
from tests.weights.reference import GOLDEN

# That of the Hub is safetensors with a card: tests/exporting/test_hub.py. ONNX needs an extra:
# tests/exporting/test_onnx_files.py.
FORMATS = tuple(kind for kind in export.formats() if kind not in ("hub", "onnx"))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run that has saved a checkpoint after 5 steps."""
    config = quickstart.get_config()
    config.model.vision.layers = config.model.text.layers = 1
    workdir = tmp_path_factory.mktemp("runs") / "run"
    run_config.claim(workdir, settings.plain(config))
    params = source(settings.retriever(config)).params
    tree = traverse_util.unflatten_dict(params, sep="/")
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(5, TrainState(np.int32(5), tree, ()))
    return workdir


def test_a_run_becomes_a_folder_and_that_any_format(run, tmp_path, capsys):
    first = [str(run), "--out", str(tmp_path / "first")]
    assert export.main(first) == 0
    assert "computes what the model does" in capsys.readouterr().out
    params, config = folder.load(tmp_path / "first")
    wanted = source(settings.retriever(settings.of_run(run)))
    assert config == wanted.config
    for name, value in wanted.params.items():
        np.testing.assert_array_equal(params[name], value)
    again = [str(tmp_path / "first"), "--out", str(tmp_path / "again"), "--format=stablehlo"]
    assert export.main(again) == 0
    origin = manifest.check(tmp_path / "again", "stablehlo")["origin"]
    assert origin == {"steps": 5, "trained_on": [settings.of_run(run).data.train]}
    assert (tmp_path / "again" / folder.TENSORS).read_bytes() == (
        tmp_path / "first" / folder.TENSORS
    ).read_bytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_manifest_says_what_is_needed_to_use_it(kind, tmp_path):
    export.export(source_for(kind), tmp_path / "out", kind, batch_size(kind))
    found = manifest.check(tmp_path / "out", kind)
    assert found["frames"]["shape"] == ["batch", 3, 32, 32, 3]
    assert (
        found["tokens"]["range"] == [0, 49407 if kind == "hf" else 99] and found["packages"]["jax"]
    )
    assert found["config"]["clip"]["embed_dim"] == 16
    there = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")
             if path.is_file()}  # fmt: skip
    assert there == {*found["files"], manifest.MANIFEST}
    if kind in ("stablehlo", "savedmodel"):
        sizes = [2, 12] if batch_size(kind) else ["batch", "length"]
        scores = found["functions"]["rerank"]["outputs"]["scores"]
        assert scores == {"dtype": "float32", "shape": sizes[:1]}
        tokens = found["functions"]["encode_text"]["inputs"]["tokens"]
        assert tokens == {"dtype": "int32", "shape": sizes, "range": [0, 99]}
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or str(Path(export.__file__).parents[1]).encode() not in (
            path.read_bytes()
        ), f"{path} names a folder of this machine"
        assert path.stat().st_mode & 0o444 == 0o444 or os.umask(os.umask(0)) & 0o444


def test_a_model_of_the_drawn_world_alone_says_so_wherever_it_is_used(run, tmp_path):
    """Also when it is exported again, or trained on; not when it has seen anything else."""
    out = tmp_path / "demo"
    assert export.main([str(run), "--out", str(out)]) == 0
    assert api.load(out).drawn_only
    drawn = settings.of_run(run).data.train
    files.write_json(tmp_path / "batches" / baked.SUMMARY, {"source": drawn, "digest": "1"})
    for name, changes, seen in (
        ("again", {"init_from": str(out)}, [drawn]),
        ("on", {"init_from": str(run), "data.train": "folder:photos"}, [drawn, "folder:photos"]),
        ("back", {"init_from": str(tmp_path / "on")}, [drawn, "folder:photos"]),
        ("clip", {"init_from": "weights/b32"}, ["b32", drawn]),
        ("other", {"init_from": str(run), "init_towers_from": "weights/pe"}, [drawn, "pe"]),
        ("baked", {"data.train": f"baked:{tmp_path / 'batches'}"}, [drawn]),
        ("nobody knows", {"data.train": "baked:gone"}, ["baked:gone"]),
        ("round", {"init_from": str(tmp_path / "round")}, [drawn]),
    ):
        workdir = tmp_path / name
        config = settings.changed(settings.of_run(run), changes)
        run_config.claim(workdir, settings.plain(config))
        shutil.copytree(run / "checkpoints", workdir / "checkpoints")
        found = sources.read(workdir).origin["trained_on"]
        assert found == seen, name


def test_what_a_format_has_no_place_for_is_said(tmp_path, capsys):
    export.export(source(WORDS), tmp_path / "whole", "safetensors")
    command = [str(tmp_path / "whole"), "--out", str(tmp_path / "hf"), "--format=hf"]
    assert export.main(command) == 0
    assert "left out, because the format can't hold them: coder, motion, reranker, temporal" in (
        capsys.readouterr().out
    )
    left = manifest.check(tmp_path / "hf", "hf")["origin"]["left_out"]
    assert left == ["coder", "motion", "reranker", "temporal"]
    assert not manifest.check(tmp_path / "hf", "hf")["reranks"]
    one = sources.left_out_in_words(["reranker"])
    assert one == "left out, because the format can't hold it: reranker"


@pytest.mark.parametrize("kind", FORMATS)
def test_converted_weights_without_training(kind, tmp_path):
    there = str(tmp_path / "clip")
    if kind == "hf":
        folder.save(tmp_path / "clip", source(WORDS.clip).params, WORDS.clip)
    else:
        assert convert.main([str(GOLDEN / "openai.pt"), "--out", there]) == 0
    size = [f"--batch-size={batch_size(kind)}"] if batch_size(kind) else []
    assert export.main([there, "--out", str(tmp_path / "out"), "--format", kind, *size]) == 0
    found = manifest.check(tmp_path / "out", kind)
    assert not found["reranks"] and set(found["config"]) == {"clip"}
    loaded = export.formats()[kind].load(tmp_path / "out")
    assert set(loaded) == {"encode_text", "encode_video"}


@pytest.mark.parametrize("kind", FORMATS)
def test_what_does_not_compute_the_same_is_no_export(kind, tmp_path, monkeypatch):
    """Parameters that differ by a hair where they are written."""
    given = source_for(kind)
    write = folder.write_hugging_face if kind == "hf" else folder.write

    def wrong(directory, params, config):
        params = {name: value * np.float32(1 + 1e-3) for name, value in params.items()}
        write(directory, params, config)

    monkeypatch.setattr(folder, write.__name__, wrong)
    if kind == "savedmodel":
        make = functions.make

        def other(config, num_frames, batch_size):
            made = make(config, num_frames, batch_size)

            def changed(call):
                return lambda params, given: call(
                    {key: value * 1.001 for key, value in params.items()}, given
                )

            return {name: one._replace(call=changed(one.call)) for name, one in made.items()}

        monkeypatch.setattr(saved_model, "make", other)
    with pytest.raises(ValueError, match="encode_text is not the live model's: text_"):
        export.export(given, tmp_path / "out", kind, batch_size(kind))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["MODEL", "--out", "FULL", "--format=hf"], "there already"),
        (["nothing", "--out", "new", "--format=hf"], "no nothing/config.json"),
    ],
)
def test_wrong_requests_are_explained_and_leave_nothing(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    folder.save(Path("MODEL"), source(CLIP).params, CLIP)
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "letter").touch()
    assert export.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("animclip export: ") and message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FULL", "MODEL"]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--format=stablehlo", "--batch-size=2"], "leave it out"),
        (["--format=savedmodel", "--batch-size=0"], "wanted a whole number, 1 or more"),
    ],
)
def test_a_wrong_batch_size_is_explained(tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as end:
        export.main(["MODEL", f"--out={tmp_path / 'new'}", *flags])
    assert end.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_unfinished_run_without_a_checkpoint(tmp_path, capsys):
    run_config.claim(tmp_path / "run", settings.plain(quickstart.get_config()))
    command = [str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--format=hf"]
    assert export.main(command) == 1
    assert "no checkpoint in" in capsys.readouterr().err


def test_help_names_the_formats(capsys):
    with pytest.raises(SystemExit) as stop:
        export.main(["--help"])
    printed = capsys.readouterr().out
    assert stop.value.code == 0 and all(f"  {kind} " in printed for kind in FORMATS)


@pytest.mark.parametrize(
    "number, left", [(signal.SIGTERM, []), (signal.SIGKILL, [".out.lock", ".out.partial"])]
)
def test_a_kill_in_mid_write_leaves_no_export(tmp_path, number, left):
    folder.save(tmp_path / "clip", source(CLIP).params, CLIP)
    command = [str(tmp_path / "clip"), "--out", str(tmp_path / "out"), "--format=safetensors"]
    program = processes.program("sleeping_export", *command)
    with processes.started(program, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "written\n"
        writer.send_signal(number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(["clip", *left])
    assert export.main(command) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "out"]
