"""VideoPrism from its published file through the commands: frozen first, then finetuned."""

from pathlib import Path

import numpy as np
import pytest

from animclip_jax import api, convert, export, train
from animclip_jax.exporting import source as sources
from animclip_jax.weights import folder
from tests import captioned, vocabularies
from tests.programs import small_family
from tests.weights import videoprism as theirs


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Converted weights, with their vocabulary, in `weights`; pictures and videos beside."""
    home = tmp_path_factory.mktemp("videoprism")
    captioned.write_pictures(home / "pictures")
    captioned.write_videos(home / "videos")
    (home / "vocabulary").mkdir()
    vocabulary = vocabularies.t5(home / "vocabulary")
    path = theirs.save(home / "flax_lvt.npz", theirs.drawn("small"))
    assert convert.main([str(path), f"--tokenizer={vocabulary}", f"--out={home / 'weights'}"]) == 0
    return home


def command(home: Path, workdir: str, *settings: str) -> list[str]:
    return [
        f"--config={small_family.__file__}:videoprism",
        f"--workdir={home / workdir}",
        f"--config.data.train=folder:{home / 'pictures'}",
        f"--config.data.eval=folder:{home / 'videos'}",
        f"--config.data.cache_dir={home / 'cache'}",
        *settings,
    ]


def test_converted_weights_search_with_as_many_frames_as_they_have_positions(home):
    model = api.load(home / "weights")
    assert not model.reranks and model.config.num_frames == theirs.SMALL.towers.video.frames
    videos = np.random.default_rng(0).integers(0, 256, (2, 9, 20, 30, 3)).astype(np.uint8)
    found = model.encode_video(list(videos)).embedding @ model.encode_text(["a dog", "rain"]).T
    assert found.shape == (2, 2) and np.abs(found).max() < 1


def test_without_its_vocabulary_it_is_not_converted(home, tmp_path, capsys):
    assert convert.main([str(home / "flax_lvt.npz"), f"--out={tmp_path / 'no'}"]) == 1
    assert "tokens of cc_en, whose vocabulary is not here" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("layout", ["hugging_face", "open_clip", "big_vision"])
def test_layouts_of_towers_for_pictures_are_no_place_for_it(home, tmp_path, capsys, layout):
    out = tmp_path / layout
    assert convert.main([str(home / "weights"), f"--to={layout}", f"--out={out}"]) == 1
    assert "VideoPrism's towers" in (said := capsys.readouterr().err) and "whole videos" in said
    assert not out.exists()


def test_an_export_for_transformers_says_why_there_is_none(home, tmp_path, capsys):
    out = tmp_path / "hf"
    assert export.main([str(home / "weights"), f"--out={out}", "--format=hf"]) == 1
    assert "whole videos" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_for_the_hub_has_a_card_and_no_processor(home, tmp_path):
    out = tmp_path / "hub"
    assert export.main([str(home / "weights"), f"--out={out}", "--format=hub"]) == 0
    assert (out / "README.md").is_file() and not (out / "preprocessor_config.json").exists()
    np.testing.assert_array_equal(
        api.load(out).encode_text("a dog"), api.load(home / "weights").encode_text("a dog")
    )


@pytest.mark.slow
def test_its_towers_are_frozen_first_and_then_finetuned(home):
    frozen = "--config.optimizer.frozen=^clip/(vision|text)/"
    begun = f"--config.init_from={home / 'weights'}"
    assert train.main(command(home, "frozen", begun, frozen)) == 0
    begun = f"--config.init_from={home / 'frozen'}"
    assert train.main(command(home, "finetuned", begun)) == 0
    converted, _ = folder.load(home / "weights")
    of_frozen, of_finetuned = (sources.read(home / run).params for run in ("frozen", "finetuned"))
    towers = [name for name in of_frozen if name.startswith(("clip/vision/", "clip/text/"))]
    for name in towers:
        np.testing.assert_array_equal(of_frozen[name], converted[name.removeprefix("clip/")])
    moved = [name for name in towers if np.any(of_finetuned[name] != of_frozen[name])]
    assert set(towers) - set(moved) == set()
    assert np.any(of_frozen["reranker/head_out/kernel"])
