"""Small towers of each family through every command: train, resume, evaluate, export, search."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from animclip_jax import api, evaluate, export, index, search, train
from animclip_jax.evaluation import results
from animclip_jax.models.towers import CLIP
from animclip_jax.runs import layout
from tests import captioned, vocabularies
from tests.a_run import assert_same_losses, losses
from tests.programs import small_family

# The one that differs most, and, marked slow, the others.
OTHERS = [name for name in small_family.FAMILIES if name != "siglip_2"]


@pytest.fixture(
    scope="module",
    params=["siglip_2", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)],
)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def run(family, tmp_path_factory) -> Path:
    """The folder of a finished run of two steps; beside it what it was made of."""
    home = tmp_path_factory.mktemp(family)
    captioned.write_pictures(home / "pictures")
    captioned.write_videos(home / "videos")
    assert train.main(command(home / "run", family)) == 0
    return home / "run"


def command(workdir: Path, family: str) -> list[str]:
    home = workdir.parent
    settings = []
    if family == "videoprism":
        settings = [f"--config.model.tokenizer={vocabularies.t5(home)}"]
    return [
        f"--config={small_family.__file__}:{family}",
        f"--workdir={workdir}",
        f"--config.data.train=folder:{home / 'pictures'}",
        f"--config.data.eval=folder:{home / 'videos'}",
        f"--config.data.cache_dir={home / 'cache'}",
        *settings,
    ]


@pytest.fixture(scope="module")
def exported(run) -> Path:
    assert export.main([str(run), f"--out={run.parent / 'exported'}"]) == 0
    return run.parent / "exported"


def test_a_stopped_run_goes_on(run, family):
    """From its first step, as if it had never stopped."""
    stopped = run.parent / "stopped"
    shutil.copytree(run, stopped)
    shutil.rmtree(stopped / layout.CHECKPOINTS / "2")
    for name in ("finished", "results.json"):
        (stopped / name).unlink()
    assert train.main(command(stopped, family)) == 0
    assert list(losses(stopped)) == [1, 2]
    assert_same_losses(stopped, run)


def test_it_is_evaluated_as_at_its_end(run, tmp_path):
    assert evaluate.main([f"--workdir={run}", f"--out={tmp_path}"]) == 0
    again, before = (results.read(one / "results.json") for one in (tmp_path, run))
    for direction in ("text_to_video", "video_to_text"):
        for stage in ("coarse", "reranked"):
            assert again[direction][stage] == before[direction][stage]
    assert before["num_videos"] == 3


def test_it_is_exported_with_all_that_reads_its_captions_and_pictures(family, exported):
    config = small_family.FAMILIES[family]
    model = api.load(exported)
    assert model.config.clip.towers == config.towers and model.reranks
    assert bool(model.config.clip.tokenizer) == (config.towers.tokenizer != CLIP.tokenizer)
    captions = model.encode_text(["a red clip", "a long clip"])
    assert captions.shape == (2, config.embed_dim)
    assert np.abs(captions[0] - captions[1]).max() > 1e-3


def test_its_programs_compute_the_same(run, exported):
    """`animclip export` compares what it wrote with the model itself."""
    out = run.parent / "programs"
    assert export.main([str(run), f"--out={out}", "--format=stablehlo"]) == 0
    said = json.loads((out / "manifest.json").read_text())["frames"]["resized"]
    pixels = api.load(exported).config.clip.towers.pixels
    assert pixels.interpolation in said


def test_it_finds_videos_by_words_and_by_a_picture(run, exported, tmp_path, capsys):
    where = tmp_path / "index"
    assert index.main([str(run.parent / "videos"), f"--model={exported}", f"--out={where}"]) == 0
    capsys.readouterr()
    assert search.main([str(where), "a red clip", "--json", "--no-group"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stage"] == "reranked" and len(found["results"]) == 8
    frame = run.parent / "pictures" / "0.jpg"
    assert search.main([str(where), f"--image={frame}", "--json", "--no-group"]) == 0
    assert len(json.loads(capsys.readouterr().out)["results"]) == 8
