"""Tests of animclip_jax.harness.mteb: a tiny task, run by mteb where it is installed."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animclip_jax import api, export
from animclip_jax.harness import mteb as harness
from tests.exporting.models import CLIP, WORDS, source
from tests.searchable import write_videos

needs_mteb = pytest.mark.skipif(
    importlib.util.find_spec("mteb") is None,
    reason="needs mteb: pip install '.[mteb]'",
)
# mteb and what it brings warn of each other.
quiet = pytest.mark.filterwarnings("default")
TEXTS = ["a red clip", "a clip of shots", "a long clip that goes on for some time"]
NAMES = ["red.mp4", "shots.mp4", "long.mp4"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> api.Model:
    out = tmp_path_factory.mktemp("exported") / "whole"
    export.export(source(WORDS), out, "safetensors")
    return api.load(out)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("videos") / "in"
    write_videos(directory)
    return directory


def task(items: list[dict[str, Any]], by_text: bool = True, top_ranked: Any = None) -> Any:
    """mteb's task: each text with the video of its number, or the other way round."""
    import datasets
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.abstasks.task_metadata import TaskMetadata

    class Tiny(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Tiny",
            description="made up",
            dataset={"path": "none/none", "revision": "0"},
            type="Any2AnyRetrieval",
            category="t2v" if by_text else "v2t",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="hit_rate_at_1",
            modalities=["text", "video"],
        )

        def load_data(self, num_proc: int | None = None, **options: Any) -> None:
            ids = [str(number) for number in range(len(items))]
            films = datasets.Dataset.from_dict({"id": ids, "video": items})
            films = films.cast_column("video", datasets.Video(decode=False))
            films = films.cast_column("video", datasets.Video())
            texts = datasets.Dataset.from_dict({"id": ids, "text": TEXTS[: len(items)]})
            queries, corpus = (texts, films) if by_text else (films, texts)
            relevant = {one: {one: 1} for one in ids}
            data = RetrievalSplitData(
                queries=queries, corpus=corpus, relevant_docs=relevant, top_ranked=top_ranked
            )
            self.dataset = {"default": {"test": data}}
            self.data_loaded = True

    return Tiny()


def in_files(videos: Path) -> list[dict[str, Any]]:
    """One video by its bytes, the others by their paths."""
    paths = [videos / name for name in NAMES]
    first = {"bytes": paths[0].read_bytes(), "path": paths[0].name}
    return [first, *({"bytes": None, "path": str(path)} for path in paths[1:])]


def evaluated(model: Any, task: Any, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """mteb's scores, and what it writes of the items' scores."""
    import mteb

    found = mteb.evaluate(
        model, task, cache=None, prediction_folder=folder, show_progress_bar=False,
        co2_tracker=False,
    )  # fmt: skip
    (path,) = folder.rglob("*.json")
    (scores,) = found.task_results[0].scores["test"]
    return scores, json.loads(path.read_text())["default"]["test"]


def table(predicted: dict[str, dict[str, float]]) -> np.ndarray:
    ids = [str(number) for number in range(len(NAMES))]
    return np.array([[predicted[one][other] for other in ids] for one in ids])


@pytest.mark.slow
@needs_mteb
@quiet
@pytest.mark.parametrize("by_text", [True, False])
def test_mteb_scores_as_the_model_does(
    model: api.Model, videos: Path, tmp_path: Path, by_text: bool
) -> None:
    text = model.encode_text(TEXTS)
    film = model.encode_video([videos / name for name in NAMES])
    cosine = text @ film.embedding.T
    fused = np.stack([model.rerank(one, film) for one in TEXTS])
    assert not np.allclose(cosine, fused, rtol=0.1)
    given = task(in_files(videos), by_text)
    for wrapped, wanted in (
        (harness.DualEncoder(model, "me/tiny"), cosine),
        (harness.TwoStage(model, "me/tiny"), fused),
    ):
        folder = tmp_path / type(wrapped).__name__
        scores, predicted = evaluated(wrapped, given, folder)
        wanted = wanted if by_text else wanted.T
        np.testing.assert_allclose(table(predicted), wanted, rtol=1e-4, atol=1e-5)
        first = np.mean(wanted.argmax(axis=1) == np.arange(3))
        assert scores["hit_rate_at_1"] == pytest.approx(first, abs=1e-4)
        assert scores["main_score"] == scores["hit_rate_at_1"]


@needs_mteb
@quiet
def test_only_the_items_that_are_listed_are_scored(
    model: api.Model, videos: Path, tmp_path: Path
) -> None:
    listed = {"0": ["2", "0"], "1": ["1", "2"], "2": ["2"]}
    wrapped = harness.TwoStage(model, "me/tiny")
    _, predicted = evaluated(wrapped, task(in_files(videos), top_ranked=listed), tmp_path)
    assert {name: sorted(found) for name, found in predicted.items()} == {
        name: sorted(wanted) for name, wanted in listed.items()
    }


@needs_mteb
@quiet
def test_missing_and_broken_videos_are_named(
    model: api.Model, videos: Path, tmp_path: Path
) -> None:
    gone = {"bytes": None, "path": str(tmp_path / "gone.mp4")}
    items = [gone, in_files(videos)[0], {"bytes": b"<html>", "path": "page.mp4"}]
    message = (
        r"Tiny: 2 of 3 videos can't be read: 0 \(.*gone.mp4: no such file.*\); 2 \(.*\)\. Get them"
    )
    for wrapped in (harness.DualEncoder(model, "me/tiny"), harness.TwoStage(model, "me/tiny")):
        with pytest.raises(ValueError, match=message) as raised:
            evaluated(wrapped, task(items), tmp_path)
        assert "/tmp" not in str(raised.value).split("2 (")[1]


@needs_mteb
@quiet
def test_its_card_says_what_it_is(model: api.Model) -> None:
    card = harness.TwoStage(model, "me/tiny", 7).mteb_model_meta
    assert (card.name, card.revision) == ("me/tiny", model.fingerprint)
    assert card.experiment_kwargs == {"candidates": 7} and card.embed_dim == CLIP.embed_dim
    assert harness.DualEncoder(model, "me/tiny").mteb_model_meta.experiment_kwargs is None
    with pytest.raises(ValueError, match="name"):
        harness.DualEncoder(model, "no owner")


@pytest.mark.parametrize("by_text", [True, False])
def test_the_rest_follows_the_reranked_ones_in_coarse_order(
    model: api.Model, by_text: bool
) -> None:
    """Without mteb."""
    rng = np.random.default_rng(0)
    size = WORDS.clip.image_size
    films = [rng.integers(0, 255, (2, size, size, 3), np.uint8) for _ in range(5)]
    features = model.encode_video(films)
    captions = model._captions([*TEXTS, "a dog", "rain"])
    cosine = captions.embedding @ features.embedding.T
    fused = np.stack([model.rerank(one, features) for one in [*TEXTS, "a dog", "rain"]])
    if not by_text:
        cosine, fused = cosine.T, fused.T
    found = harness.search(model, captions, features, by_text, 2, 4)
    for number, best in enumerate(found):
        coarse = np.argsort(-cosine[number])
        items, scores = [item for item, _ in best], [score for _, score in best]
        assert sorted(items[:2]) == sorted(coarse[:2]) and items[2:] == list(coarse[2:4])
        np.testing.assert_allclose(scores[:2], fused[number][items[:2]], rtol=1e-4)
        assert scores == sorted(scores, reverse=True) and scores[1] - scores[2] == 1
    best_of_all = harness.search(model, captions, features, by_text, 9, 1)
    assert [best for ((best, _),) in best_of_all] == fused.argmax(axis=1).tolist()


def test_what_can_not_be_wrapped_is_said(model: api.Model, monkeypatch: Any) -> None:
    with pytest.raises(ValueError, match="no re-ranker: wrap it by DualEncoder"):
        harness.TwoStage(dataclasses.replace(model, reranks=False), "me/tiny")
    with pytest.raises(ValueError, match="candidates: found 0, wanted 1 or more"):
        harness.TwoStage(model, "me/tiny", 0)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "animclip-jax\[mteb\]"'):
        harness.DualEncoder(model, "me/tiny")
