"""The arms of a sweep: which there are, and their results in one."""

import pytest

from animclip_jax.evaluation import results
from animclip_jax.evaluation.sweep import Sweep, arms_of, find_sweep, gather
from tests import a_run


@pytest.fixture
def run():
    return a_run.results()


@pytest.fixture
def sweep(tmp_path, run):
    for arm, first in (("animated", 20.0), ("repeat", 12.0), ("still", 13.0)):
        (tmp_path / arm).mkdir()
        run["text_to_video"]["reranked"] = a_run.scores(first)
        results.write(tmp_path / arm / "results.json", run)
    return tmp_path


def test_gather(sweep):
    found = gather(sweep, "animated")
    assert found["arm"] == "animated"
    assert list(found["controls"]) == ["repeat", "still"]
    assert found["text_to_video"]["reranked"]["R@1"] == 20.0
    assert found["controls"]["repeat"]["text_to_video"]["reranked"]["R@1"] == 12.0
    results.write(sweep / "results.json", found)
    assert list(arms_of(found)) == ["animated", "repeat", "still"]
    # The gathered file and other folders are no arms.
    (sweep / "plots").mkdir()
    assert find_sweep(sweep) == Sweep(None, ["animated", "repeat", "still"])


def test_sweep_json_says_which_arms_there_are(sweep):
    (sweep / "sweep.json").write_text('{"main": "still", "arms": ["still", "animated"]}')
    assert find_sweep(sweep) == Sweep("still", ["still", "animated"])
    assert list(gather(sweep, "still")["controls"]) == ["animated"]


@pytest.mark.parametrize(
    "text",
    ['{"main": "a", "arms": ["b"]}', '{"arms": ["a"]}', '["a"]', '{"main": "..", "arms": [".."]}']
    + ['{"main": "a/b", "arms": ["a/b"]}', '{"main": "a", "arms": "a"}'],
)
def test_a_wrong_sweep_json_is_refused(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ValueError, match=r"sweep\.json: found .*, wanted"):
        find_sweep(tmp_path)


def test_gather_names_the_unfinished_arm(sweep):
    (sweep / "still" / "results.json").unlink()
    (sweep / "still" / "metrics.jsonl").touch()
    with pytest.raises(FileNotFoundError, match="arm 'still' is not finished"):
        gather(sweep, "animated")


def test_gather_refuses_what_cannot_be_compared(sweep, run):
    results.write(sweep / "still" / "results.json", run | {"num_videos": 500})
    with pytest.raises(ValueError, match="num_videos: found 500, wanted 512 as in 'animated'"):
        gather(sweep, "animated")
    with pytest.raises(ValueError, match=r"no arm 'moving', found \['animated', 'repeat', 'still"):
        gather(sweep, "moving")


def test_arms_that_take_other_numbers_of_frames_are_gathered(sweep, run):
    run["protocol"]["num_frames"] = 8
    results.write(sweep / "still" / "results.json", run)
    assert gather(sweep, "animated")["controls"]["still"]["protocol"]["num_frames"] == 8
    run["protocol"]["split"] = "val"
    results.write(sweep / "still" / "results.json", run)
    with pytest.raises(ValueError, match="field protocol: found .*'val'"):
        gather(sweep, "animated")


def test_a_run_with_a_best_step_is_no_sweep(tmp_path, run):
    (tmp_path / "best").mkdir()
    for folder in (tmp_path, tmp_path / "best"):
        results.write(folder / "results.json", run)
    (tmp_path / "config.json").write_text("{}")
    assert find_sweep(tmp_path) is None


def test_evaluations_below_another_are_no_arms_of_it(sweep, run):
    results.write(sweep / "results.json", run)
    (sweep / "ranks.npz").touch()
    assert find_sweep(sweep) is None
