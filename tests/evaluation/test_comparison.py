"""Comparisons are paired, refuse what is unlike, and don't call noise a difference."""

import numpy as np
import pytest

from animclip_jax.evaluation import comparison, results
from tests import a_run


def evaluated(folder, run, ranks, owner=None):
    folder.mkdir(exist_ok=True)
    results.write(folder / "results.json", run)
    stages = dict.fromkeys(results.STAGES, ranks)
    owner = np.arange(len(ranks)) if owner is None else owner
    comparison.write_ranks(folder, owner, dict.fromkeys(results.DIRECTIONS, stages))
    return comparison.read(folder / "results.json")


@pytest.fixture
def run():
    return a_run.results()


@pytest.fixture
def ranks():
    return np.where(np.arange(512) % 3 == 0, 1, 40)


def test_says_whether_a_difference_is_real(tmp_path, run, ranks):
    better = ranks.copy()
    better[np.flatnonzero(ranks > 1)[:30]] = 1
    ours, theirs = evaluated(tmp_path / "a", run, better), evaluated(tmp_path / "b", run, ranks)
    found = comparison.compare(ours, theirs)
    one = found["text_to_video"]["reranked"]
    assert one["R@1"]["difference"] == pytest.approx(100 * 30 / 512)
    assert comparison.verdict(one["R@1"], True) == "better"
    assert comparison.verdict(one["MnR"], False) == "better" and one["MnR"]["upper"] < 0
    back = comparison.compare(theirs, ours)["video_to_text"]["coarse"]
    assert (
        comparison.verdict(back["R@1"], True) == comparison.verdict(back["MnR"], False) == "worse"
    )
    table = comparison.table(found)
    assert table.isascii() and max(map(len, table.splitlines())) <= 100
    row = next(line for line in table.splitlines() if "text -> video, re-ranked" in line)
    assert row.split()[4:6] == ["R@1", "+5.9"] and row.endswith("better")
    other = np.random.default_rng(0).permutation(ranks)
    noise = comparison.compare(theirs, evaluated(tmp_path / "c", run, other))
    assert (
        comparison.verdict(noise["text_to_video"]["coarse"]["R@1"], True)
        == "no significant difference"
    )


def test_captions_of_a_video_are_drawn_together(tmp_path, run, ranks):
    owner = np.arange(512) // 64
    better = ranks.copy()
    better[:64] = 1  # all the difference is in one video
    ours = evaluated(tmp_path / "a", run, better, owner)
    found = comparison.compare(ours, evaluated(tmp_path / "b", run, ranks, owner))
    assert (
        comparison.verdict(found["text_to_video"]["coarse"]["R@1"], True)
        == "no significant difference"
    )
    assert comparison.verdict(found["video_to_text"]["coarse"]["R@1"], True) == "better"


@pytest.mark.parametrize(
    "change",
    [
        {"queries": "ffff"},
        {"normalization": "dsl"},
        {"protocol": {"name": "folder", "split": "all", "captions": "all", "num_frames": 4}
         | {"video_to_text": "each caption"}},
    ],
)  # fmt: skip
def test_unlike_evaluations_are_refused(tmp_path, run, ranks, change):
    ours = evaluated(tmp_path / "a", run, ranks)
    theirs = evaluated(tmp_path / "b", run | change, ranks)
    (field,) = change
    said = {
        "queries": "set of videos and captions .* is 'ffff', here it is",
        "normalization": "normalization is 'dsl', here it is 'none'",
        "protocol": "protocol's name is 'folder', here it is 'drawn'",
    }
    with pytest.raises(ValueError, match=rf"b/results\.json: can't be compared, its {said[field]}"):
        comparison.compare(ours, theirs)


def test_files_that_are_missing_or_damaged(tmp_path, run, ranks):
    evaluated(tmp_path / "a", run, ranks)
    path = tmp_path / "a" / "results.json"
    assert sorted(one.name for one in (tmp_path / "a").iterdir()) == ["ranks.npz", "results.json"]
    (tmp_path / "a" / "ranks.npz").write_bytes(b"rubbish")
    with pytest.raises(
        ValueError, match=r"ranks\.npz: (can.t be read|not the ranks of its results).* evaluate"
    ):
        comparison.read(path)
    evaluated(tmp_path / "a", run | {"num_queries": 512}, ranks)
    results.write(path, run | {"num_queries": 7})
    with pytest.raises(ValueError, match="text_to_video/coarse: wanted 7 ranks"):
        comparison.read(path)
    (tmp_path / "a" / "ranks.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"no .*ranks\.npz: evaluate that run again"):
        comparison.read(path)
