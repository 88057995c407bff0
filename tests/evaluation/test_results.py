"""results.json: the schema and its errors, its page in docs, gathering of arms, the table."""

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


@pytest.fixture
def sweep(tmp_path, run):
    for arm, first in (("animated", 20.0), ("repeat", 12.0), ("still", 13.0)):
        (tmp_path / arm).mkdir()
        run["text_to_video"]["reranked"] = a_run.scores(first)
        results.write(tmp_path / arm / "results.json", run)
    return tmp_path


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
    (tmp_path / "results.json").write_text(json.dumps(results._plain(run)))
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


def test_gather(sweep):
    found = results.gather(sweep, "animated")
    assert found["arm"] == "animated"
    assert list(found["controls"]) == ["repeat", "still"]
    assert found["text_to_video"]["reranked"]["R@1"] == 20.0
    assert found["controls"]["repeat"]["text_to_video"]["reranked"]["R@1"] == 12.0
    results.write(sweep / "results.json", found)
    assert list(results.arms_of(found)) == ["animated", "repeat", "still"]
    # The gathered file and other folders are no arms.
    (sweep / "plots").mkdir()
    assert results.find_sweep(sweep) == results.Sweep(None, ["animated", "repeat", "still"])


def test_sweep_json_says_which_arms_there_are(sweep):
    (sweep / "sweep.json").write_text('{"main": "still", "arms": ["still", "animated"]}')
    assert results.find_sweep(sweep) == results.Sweep("still", ["still", "animated"])
    assert list(results.gather(sweep, "still")["controls"]) == ["animated"]


@pytest.mark.parametrize(
    "text",
    ['{"main": "a", "arms": ["b"]}', '{"arms": ["a"]}', '["a"]', '{"main": "..", "arms": [".."]}']
    + ['{"main": "a/b", "arms": ["a/b"]}', '{"main": "a", "arms": "a"}'],
)
def test_a_wrong_sweep_json_is_refused(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ValueError, match=r"sweep\.json: found .*, wanted"):
        results.find_sweep(tmp_path)


def test_gather_names_the_unfinished_arm(sweep):
    (sweep / "still" / "results.json").unlink()
    (sweep / "still" / "metrics.jsonl").touch()
    with pytest.raises(FileNotFoundError, match="arm 'still' is not finished"):
        results.gather(sweep, "animated")


def test_gather_refuses_what_cannot_be_compared(sweep, run):
    results.write(sweep / "still" / "results.json", run | {"num_videos": 500})
    with pytest.raises(ValueError, match="num_videos: found 500, wanted 512 as in 'animated'"):
        results.gather(sweep, "animated")
    with pytest.raises(ValueError, match=r"no arm 'moving', found \['animated', 'repeat', 'still"):
        results.gather(sweep, "moving")


def test_table_of_a_run(run):
    run["video_to_text"]["coarse"] = a_run.scores(9.0)
    lines = results.table(run).splitlines()
    assert lines[0] == "drawn:test: 512 queries, 512 videos, seed 0, 600 steps"
    body = {line.split()[0]: line.split() for line in lines[5:9]}
    assert body["coarse"][1:] == ["10.0", "20.0", "30.0", "12.0*", "33.2*"] + [
        "9.0",
        "19.0",
        "29.0",
        "12.0*",
        "33.2*",
    ]
    assert body["re-ranked"][1:4] == ["(20)", "15.0*", "25.0*"]
    # The ceiling is no result: it is not marked where it is no better than one.
    assert body["ceiling"][1:5] == ["60.0", "70.0", "80.0", "12.0"]
    assert body["chance"][1:] == ["0.2", "1.0", "2.0", "-", "-"] * 2


def test_table_of_a_sweep_marks_the_best_of_each_column(sweep):
    table = results.table(results.gather(sweep, "animated"))
    assert table.index("animated") < table.index("repeat") < table.index("still")
    assert [cell for line in table.splitlines() for cell in line.split()].count("20.0*") == 1
    assert "60.0*" not in table
    # Ends of columns are in line.
    rows = [line for line in table.splitlines() if line.count(".") >= 8]
    assert len({row.index(".") for row in rows if "chance" not in row}) == 1


def test_table_fits_100_columns_and_any_terminal(run):
    run["dataset"] = "folder:/data/übermäßig/" + "x" * 300
    for direction in ("text_to_video", "video_to_text"):
        for stage in ("coarse", "reranked", "ceiling"):
            run[direction][stage] |= {"MdR": 12345.5, "MnR": 9999.9, "R@10": 100.0}
    arm = "animated with everything \x1b[31m"
    table = results.table(run | {"arm": arm, "controls": {"überlang" * 9: run}})
    assert table.isascii() and "\x1b" not in table
    assert max(map(len, table.splitlines())) <= 100


def test_arms_that_take_other_numbers_of_frames_are_gathered(sweep, run):
    run["protocol"]["num_frames"] = 8
    results.write(sweep / "still" / "results.json", run)
    assert results.gather(sweep, "animated")["controls"]["still"]["protocol"]["num_frames"] == 8
    run["protocol"]["split"] = "val"
    results.write(sweep / "still" / "results.json", run)
    with pytest.raises(ValueError, match="field protocol: found .*'val'"):
        results.gather(sweep, "animated")


def test_the_limit_of_shared_captions_stands_beside_the_results(tmp_path, run):
    assert "SHARED" not in results.table(
        run | {"shared_captions": {"captions": 0, "greatest_R@1": 100.0}}
    )
    results.write(
        tmp_path / "results.json",
        run | {"shared_captions": {"captions": 37, "greatest_R@1": 92.82}},
    )
    table = results.table(results.read(tmp_path / "results.json"))
    said = "37 of 512 captions are another video's too: text -> video, R@1 can't pass 92.8"
    assert f"SHARED CAPTIONS: {said}" in table
    assert max(map(len, table.splitlines())) <= 100
