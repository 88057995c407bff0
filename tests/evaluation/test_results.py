"""results.json: the schema and its errors, its page in docs."""

import copy
import json
from pathlib import Path

import pytest

from animclip_jax.evaluation import results
from tests import a_run

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.fixture
def run():
    return a_run.results(reranked=15.0) | {"config": {"steps": 600, "pan": {"travel": (0.1, 0.5)}}}


def test_write_then_read(tmp_path, run):
    results.write(tmp_path / "results.json", run)
    found = results.read(tmp_path / "results.json")
    assert found["config"]["pan"] == {"travel": [0.1, 0.5]}
    assert found["text_to_video"] == run["text_to_video"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_setting_that_is_not_finite_does_not_lose_the_results(tmp_path, run):
    run["config"]["clip_norm"] = float("inf")
    results.write(tmp_path / "results.json", run)
    assert results.read(tmp_path / "results.json")["config"]["clip_norm"] is None


def change(path, value):
    def apply(run):
        *parents, last = path.split("/")
        for name in parents:
            run = run[name]
        run[last] = value

    return apply


def remove(name):
    return lambda run: run.pop(name)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove("rerank_k"), "field rerank_k is missing, wanted candidates re-ranked a query"),
        (change("num_queries", "many"), 'field num_queries: found "many", wanted integer'),
        (change("num_videos", 0), "field num_videos: found 0, wanted at least 1"),
        (change("git_commit", 7), "field git_commit: found 7, wanted string or null"),
        (change("text_to_video/coarse/R@1", 100.5), "coarse.R@1: found 100.5, wanted at most 100"),
        (change("text_to_video/coarse/MdR", 0.0), "coarse.MdR: found 0.0, wanted at least 1"),
        (change("text_to_video/ceiling/MnR", float("nan")), "ceiling.MnR: found null, wanted num"),
        (change("video_to_text/coarse", {}), "field video_to_text.coarse.R@1 is missing"),
        (change("seconds/lunch", 1.0), r"seconds: found unknown fields \['lunch'\], wanted some"),
        (change("controls", {}), "field arm is missing, wanted name of the arm"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path, run, spoil, message):
    spoil(run)
    with pytest.raises(ValueError, match=message) as raised:
        results.write(tmp_path / "results.json", run)
    assert str(tmp_path / "results.json") in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "results.json").write_text(json.dumps(results.as_json(run)))
    with pytest.raises(ValueError, match=message):
        results.read(tmp_path / "results.json")


def test_controls_have_the_same_fields_but_no_controls(tmp_path, run):
    control = copy.deepcopy(run)
    run |= {"arm": "animated", "controls": {"still": control}}
    results.write(tmp_path / "results.json", run)
    del control["seed"]
    with pytest.raises(ValueError, match=r"field controls\.still\.seed is missing"):
        results.write(tmp_path / "results.json", run)
    control |= {"seed": 0, "arm": "x", "controls": {}}
    with pytest.raises(ValueError, match=r"controls\.still\.controls: found \{\}, wanted none"):
        results.write(tmp_path / "results.json", run)


def test_unreadable_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="finish the run first"):
        results.read(tmp_path / "results.json")
    for text in ('{"seed": 1', '{"seed": NaN}', ""):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(ValueError, match=r"results\.json: not JSON"):
            results.read(tmp_path / "results.json")
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match=r"field the file: found \[\], wanted object"):
        results.read(tmp_path / "results.json")
    assert len(list(tmp_path.iterdir())) == 1


def properties(schema):
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield from value
            yield from properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value)


def test_every_field_is_documented():
    names = set(properties(results.SCHEMA))
    assert {"R@1", "rerank", "controls", "arm"} <= names
    page = PAGE.read_text()
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
